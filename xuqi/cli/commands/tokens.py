"""`xuqi token`: what is on the tokens in the readers, and their PINs."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import click

from xuqi.cli.commands import token_life
from xuqi.cli.context import CliContext, as_json, cli
from xuqi.cli.i18n import moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from token_station.port import OpensTokens, TokenReader, TokenSession

NO_TOKEN = ("tries_left", "certificates")

_which = click.option(
    "--token", "serial", help="載具序號；只有一個時不必給 / its serial, if there are several"
)


@click.group(
    "token",
    help="載具：讀卡機裡的清單、內容、密碼、解鎖；載具帳的入庫、配發、暫停、遺失、銷毀。\n\n"
    "Tokens: in the readers (list, show, PIN, unblock), and on record (stock, assign, hold, lost).",
)
def command() -> None:
    pass


token_life.add_to(command)


@command.command("list", help="讀卡機裡的載具。\n\nThe tokens in the readers.")
@as_json
@cli
def list_(context: CliContext, *, as_json: bool) -> None:
    with _readers(context) as readers:
        rows = [_shown(context, reader) for reader in readers]
    context.print_table(
        (
            ("讀卡機", "種類", "序號", "密碼可試次數", "憑證數"),
            ("reader", "kind", "serial", "PIN tries left", "certificates"),
        ),
        rows,
        as_json=as_json,
        cells=lambda row: (
            row["reader"],
            row["kind"],
            row["serial"],
            row["tries_left"],
            row["certificates"],
        ),
    )


@command.command(
    help="載具內容：序號、憑證、有效起迄。\n\n"
    "Token content: serial, certificate, valid from, valid to."
)
@_which
@as_json
@cli
def show(context: CliContext, serial: str | None, *, as_json: bool) -> None:
    with _opened(context, serial) as session:
        found = [(one.key_slot, one.der) for one in session.certificates()]
        rows = [_content(session.serial, key_slot, der) for key_slot, der in found]
    context.print_table(
        (
            ("載具序號", "憑證識別碼", "有效起", "有效迄"),
            ("token", "certificate", "valid from", "valid to"),
        ),
        rows,
        as_json=as_json,
        cells=lambda row: (
            row["token"],
            row["certificate"],
            moment(row["valid_from"]),
            moment(row["valid_to"]),
        ),
    )


@command.command("change-pin", help="變更載具密碼。\n\nChange the token's PIN.")
@_which
@cli
def change_pin(context: CliContext, serial: str | None) -> None:
    with _opened(context, serial) as session:
        left = session.tries_left()
        context.say(
            f"載具 {session.serial}，還可試 {_number(left)} 次",
            f"token {session.serial}, {_number(left)} tries left",
        )
        released = left in {1, None} and context.confirm(
            "這可能是最後一次，錯了就鎖定。要用嗎？",
            "This may be the last try, and a wrong PIN blocks the token. Use it?",
        )
        old = context.ask_hidden("現在的密碼", "present PIN")
        session.change_pin(old, _new_pin(context), last_try_released=released)
    context.say("密碼已變更", "the PIN was changed")


@command.command(
    "take-over",
    help="載具的管理金鑰改成由序號導出的那一把：一支載具外洩，打不開其他載具。\n\n"
    "Give a token its own management key, derived from its serial, in place of the common one.",
)
@_which
@cli
def take_over(context: CliContext, serial: str | None) -> None:
    from token_station.piv.session import PivSession  # noqa: PLC0415 - help needs none

    with _opened(context, serial) as session:
        if not isinstance(session, PivSession):
            context.refuse("這種載具沒有管理金鑰", "a token of this kind has no management key")
        session.take_over()
        context.say(
            f"載具 {session.serial} 已有自己的管理金鑰",
            f"token {session.serial} has a management key of its own",
        )


@command.command(
    "make-blank",
    help="試用：在 <home>/cards 製作一張空白的模擬卡。\n\n"
    "For trials: put a blank simulated card into <home>/cards, as a maker delivers it.",
)
@click.argument("name")
@cli
def make_blank(context: CliContext, name: str) -> None:
    from token_station.simulator.card import blank  # noqa: PLC0415 - help needs none
    from token_station.simulator.card_profiles import JAVACARD  # noqa: PLC0415

    path = context.settings.home / "cards" / f"{name}.json"
    if path.exists() or not name.isalnum():
        context.refuse(f"{path} 已存在或名稱不合", f"{path} is there, or that is no name")
    blank(path, JAVACARD, number="0")
    context.say(f"{path}：空白載具", f"{path}: a blank token")


@command.command(help="以解鎖碼設定新密碼。\n\nSet a new PIN with the unblocking code.")
@_which
@cli
def unblock(context: CliContext, serial: str | None) -> None:
    with _opened(context, serial) as session:
        # A PIV token does not tell how many tries its unblocking code has left.
        if not context.confirm(
            f"載具 {session.serial}：解鎖碼錯誤次數過多，載具就不能再用。要繼續嗎？",
            f"token {session.serial}: too many wrong unblocking codes end the token. Go on?",
        ):
            context.refuse("沒有解鎖", "not unblocked")
        puk = context.ask_hidden("解鎖碼", "unblocking code")
        session.unblock_pin(puk, _new_pin(context), last_try_released=True)
    context.say("密碼已重設", "the PIN was set anew")


def _new_pin(context: CliContext) -> str:
    new = context.ask_hidden("新密碼", "new PIN")
    if context.ask_hidden("再一次", "once more") != new:
        context.refuse("兩次不同：載具沒有變動", "the two differ: nothing was sent to the token")
    return new


def _number(left: int | None) -> str:
    return "?" if left is None else str(left)


@contextmanager
def _readers(context: CliContext) -> Iterator[Sequence[TokenReader | OpensTokens]]:
    from renewal.clock import SystemClock  # noqa: PLC0415 - help needs none
    from xuqi.process_lock import StationLock  # noqa: PLC0415
    from xuqi.simulated_readers import attached_readers  # noqa: PLC0415

    with (
        StationLock(context.settings.home, context.settings.branch).for_a_person(),
        attached_readers(
            context.settings.readers, context.settings.home, context.clock or SystemClock()
        ) as readers,
    ):
        yield readers


@contextmanager
def _opened(context: CliContext, serial: str | None) -> Iterator[TokenSession]:
    """The token of that serial, or the only one."""
    from renewal.rules.serials import token_serial  # noqa: PLC0415 - help needs none

    with _readers(context) as readers, ExitStack() as stack:
        sessions = list(_sessions(context, readers, stack))
        asked = None if serial is None else token_serial(serial)
        fitting = [one for one in sessions if asked in {None, token_serial(one.serial)}]
        if len(fitting) != 1:
            there = ", ".join(one.serial for one in sessions) or "-"
            context.refuse(
                f"用 --token 指定一個載具；現有：{there}",
                f"say which by --token; there are: {there}",
            )
        yield fitting[0]


def _sessions(
    context: CliContext, readers: Sequence[TokenReader | OpensTokens], stack: ExitStack
) -> Iterator[TokenSession]:
    from renewal.rules.token_keys import WriteKeys  # noqa: PLC0415 - help needs none
    from token_station.errors import CardRemovedError, NoSerialError  # noqa: PLC0415
    from token_station.port import SharedReader  # noqa: PLC0415
    from token_station.tokens import open_token  # noqa: PLC0415

    for reader in readers:
        if isinstance(reader, SharedReader):
            stack.callback(reader.release)
        try:
            yield open_token(reader, WriteKeys(context.keys.tokens.value))
        except (CardRemovedError, NoSerialError):
            continue  # an empty reader, or a blank token


def _shown(context: CliContext, reader: TokenReader | OpensTokens) -> dict[str, Any]:
    with ExitStack() as stack:
        session = next(_sessions(context, [reader], stack), None)
        if session is None:
            return {"reader": reader.name, "kind": "", "serial": "", **dict.fromkeys(NO_TOKEN)}
        info = session.info()
        return {
            "reader": reader.name,
            "kind": info.kind,
            "serial": info.serial,
            "tries_left": info.tries_left,
            "certificates": len(session.certificates()),
        }


def _content(serial: str, key_slot: str, der: bytes) -> dict[str, Any]:
    from renewal.rules import x509  # noqa: PLC0415 - help needs none

    found = x509.read(der)
    return {
        "token": serial,
        "place": key_slot,
        "certificate": f"{found.serial:x}",
        "valid_from": found.not_before,
        "valid_to": found.not_after,
    }
