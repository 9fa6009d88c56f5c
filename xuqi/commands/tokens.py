"""`xuqi token`: what is on the tokens in the readers, and their PINs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from xuqi.desk import Desk, as_json, desk
from xuqi.language import moment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from token_station.piv import PivSession
    from token_station.simulated_reader import SimulatedReader

_which = click.option(
    "--token", "serial", help="載具序號；只有一個時不必給 / its serial, if there are several"
)


@click.group(
    "token", help="載具：清單、內容、變更密碼、解鎖。\n\nTokens: list, show, PIN, unblock."
)
def command() -> None:
    pass


@command.command("list", help="讀卡機裡的載具。\n\nThe tokens in the readers.")
@as_json
@desk
def list_(desk: Desk, *, as_json: bool) -> None:
    with _readers(desk) as readers:
        rows = [_told(desk, reader) for reader in readers]
    desk.listed(
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
@desk
def show(desk: Desk, serial: str | None, *, as_json: bool) -> None:
    with _opened(desk, serial) as session:
        found = [(one.place, one.der) for one in session.certificates()]
        rows = [_content(session.serial, place, der) for place, der in found]
    desk.listed(
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
@desk
def change_pin(desk: Desk, serial: str | None) -> None:
    with _opened(desk, serial) as session:
        left = session.tries_left()
        desk.say(
            f"載具 {session.serial}，還可試 {_number(left)} 次",
            f"token {session.serial}, {_number(left)} tries left",
        )
        released = left in {1, None} and desk.agreed(
            "這可能是最後一次，錯了就鎖定。要用嗎？",
            "This may be the last try, and a wrong PIN blocks the token. Use it?",
        )
        old = desk.hidden("現在的密碼", "present PIN")
        session.change_pin(old, _new_pin(desk), last_try_released=released)
    desk.say("密碼已變更", "the PIN was changed")


@command.command(help="以解鎖碼設定新密碼。\n\nSet a new PIN with the unblocking code.")
@_which
@desk
def unblock(desk: Desk, serial: str | None) -> None:
    with _opened(desk, serial) as session:
        # A PIV token does not tell how many tries its unblocking code has left.
        if not desk.agreed(
            f"載具 {session.serial}：解鎖碼錯誤次數過多，載具就不能再用。要繼續嗎？",
            f"token {session.serial}: too many wrong unblocking codes end the token. Go on?",
        ):
            desk.refuse("沒有解鎖", "not unblocked")
        puk = desk.hidden("解鎖碼", "unblocking code")
        session.unblock_pin(puk, _new_pin(desk), last_try_released=True)
    desk.say("密碼已重設", "the PIN was set anew")


def _new_pin(desk: Desk) -> str:
    new = desk.hidden("新密碼", "new PIN")
    if desk.hidden("再一次", "once more") != new:
        desk.refuse("兩次不同：載具沒有變動", "the two differ: nothing was sent to the token")
    return new


def _number(left: int | None) -> str:
    return "?" if left is None else str(left)


@contextmanager
def _readers(desk: Desk) -> Iterator[list[SimulatedReader]]:
    from renewal.clock import SystemClock  # noqa: PLC0415 - help needs none
    from xuqi.places import StationPlace  # noqa: PLC0415
    from xuqi.readers import simulated_readers  # noqa: PLC0415

    with (
        StationPlace(desk.settings.home, desk.settings.branch).for_a_person(),
        simulated_readers(desk.settings.home, desk.clock or SystemClock()) as readers,
    ):
        yield readers


@contextmanager
def _opened(desk: Desk, serial: str | None) -> Iterator[PivSession]:
    """
    The token of that serial, or the only one.
    """
    from token_station.piv import open_token  # noqa: PLC0415 - help needs none

    with _readers(desk) as readers:
        sessions = [open_token(reader, desk.keys.tokens.value) for reader in readers]
        fitting = [one for one in sessions if serial in {None, one.serial}]
        if len(fitting) != 1:
            there = ", ".join(one.serial for one in sessions) or "-"
            desk.refuse(
                f"用 --token 指定一個載具；現有：{there}",
                f"say which by --token; there are: {there}",
            )
        yield fitting[0]


def _told(desk: Desk, reader: SimulatedReader) -> dict[str, Any]:
    from token_station.piv import open_token  # noqa: PLC0415 - help needs none

    session = open_token(reader, desk.keys.tokens.value)
    info = session.info()
    return {
        "reader": reader.name,
        "kind": info.kind,
        "serial": info.serial,
        "tries_left": info.tries_left,
        "certificates": len(session.certificates()),
    }


def _content(serial: str, place: str, der: bytes) -> dict[str, Any]:
    from cryptography import x509  # noqa: PLC0415 - help needs none

    found = x509.load_der_x509_certificate(der)
    return {
        "token": serial,
        "place": place,
        "certificate": f"{found.serial_number:x}",
        "valid_from": found.not_valid_before_utc,
        "valid_to": found.not_valid_after_utc,
    }
