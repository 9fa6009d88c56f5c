"""`xuqi dead-letters`: events that a consumer has given up, for staff to mend and send again."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from renewal.eventlog.trace import trace_of
from xuqi.cli.context import CliContext, as_json, cli, staff
from xuqi.cli.filters import ConsumerFilter
from xuqi.cli.i18n import moment
from xuqi.cli.translations import reason
from xuqi.identity import operator, with_note

if TYPE_CHECKING:
    from renewal.delivery.dead_letters import DeadLetter


@click.group(
    "dead-letters",
    help="無法處理的事件：清單、明細、修正、重送。\n\nEvents that could not be handled.",
)
def command() -> None:
    pass


@command.command("list", help="列出未處理的。\n\nList the open ones.")
@click.option("--consumer", type=ConsumerFilter(), help="只列這個處理者 / only of this consumer")
@click.option("--after", default=0, help="從這個編號之後 / after this number")
@click.option("-n", "at_most", default=100, show_default=True, type=click.IntRange(1, 10_000))
@as_json
@cli
def list_(
    context: CliContext, consumer: str | None, after: int, at_most: int, *, as_json: bool
) -> None:
    from renewal.delivery import dead_letters  # noqa: PLC0415 - help needs none

    with context.store.snapshot() as look:
        found = dead_letters.list_open(look, after=after, at_most=at_most, consumer=consumer)
    context.print_table(
        (
            ("編號", "處理者", "事件", "時間", "次數", "為什麼"),
            ("number", "consumer", "event", "died", "tries", "why"),
        ),
        [_as_dict(letter) for letter in found],
        as_json=as_json,
        cells=lambda row: (
            row["id"],
            row["consumer"],
            row["identity"],
            moment(row["died_at"]),
            row["tries"],
            reason(context.lang, row["why"]),
        ),
    )


@command.command(help="一則的明細。\n\nShow one.")
@click.argument("number", type=int)
@as_json
@cli
def show(context: CliContext, number: int, *, as_json: bool) -> None:
    values = _as_dict(_letter(context, number)) | _edit_of(context, number)
    shown = values | {"why": reason(context.lang, values["why"])}
    lines = [f"{name}: {moment(it) if hasattr(it, 'tzinfo') else it}" for name, it in shown.items()]
    context.print_result(values, lines, as_json=as_json)


@command.command(
    help="提出修正後的內容；由另一個人以 send 重送。不給 FILE 就開啟編輯器。\n\n"
    "Propose another body; another person sends it (`send`). Without FILE an editor opens."
)
@click.argument("number", type=int)
@click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False
)
@staff
@as_json
@cli
def edit(
    context: CliContext, number: int, file: Path | None, who: str, why: str, *, as_json: bool
) -> None:
    from back_office.settling import Settling  # noqa: PLC0415 - help needs none

    body = file.read_bytes().strip() if file else _edited(context, number)
    Settling(context.store).propose_edit(number, body, who=operator(), why=with_note(who, why))
    line = context.lang.pick(
        f"{number}：等另一個人送出（xuqi dead-letters send {number}）",
        f"{number}: another person is to send it (xuqi dead-letters send {number})",
    )
    context.print_result({"number": number, "sent": False}, [line], as_json=as_json)


@command.command(
    help="送出別人修正的內容（先看 show）；--reject：退回。\n\n"
    "Send what another person has mended (see `show`); with --reject throw it away."
)
@click.argument("number", type=int)
@click.option("--sha256", default="", help="show 所示的 edit_sha256 / the edit_sha256 of `show`")
@click.option("--reject", is_flag=True, help="退回 / throw it away")
@staff
@as_json
@cli
def send(
    context: CliContext,
    number: int,
    sha256: str,
    who: str,
    why: str,
    *,
    reject: bool,
    as_json: bool,
) -> None:
    from back_office.settling import Settling  # noqa: PLC0415 - help needs none

    if not reject and not sha256:
        context.refuse(
            f"請先看 xuqi dead-letters show {number}，並給 --sha256",
            f"look at `xuqi dead-letters show {number}` first, and name its --sha256",
        )
    by, settling = with_note(who, why), Settling(context.store)
    settling.decide_edit(number, send=not reject, who=operator(), why=by, seen=sha256)
    if not reject:
        _sent(context, number, as_json=as_json)
        return
    line = context.lang.pick(f"{number}：已退回", f"{number}: thrown away")
    context.print_result({"number": number, "sent": False}, [line], as_json=as_json)


@command.command(help="原樣重送。\n\nSend one again as it is.")
@click.argument("number", type=int)
@staff
@as_json
@cli
def replay(context: CliContext, number: int, who: str, why: str, *, as_json: bool) -> None:
    context.back_office.replay_dead_letter(number, who=who, why=why)
    _sent(context, number, as_json=as_json)


@command.command(
    "replay-all",
    help="重送所有符合條件的；--all-of 須等於符合的則數。\n\n"
    "Send again all that match; --all-of must be how many there are.",
)
@click.option("--consumer", default="", help="只送這個處理者的 / only of this consumer")
@click.option("--kind", default="", help="只送這種事件 / only events of this kind")
@click.option("--cause", default="", help="只送這個原因的 / only of this cause, a part of it")
@click.option("--all-of", required=True, type=click.IntRange(1), help="則數 / how many")
@staff
@as_json
@cli
def replay_all(
    context: CliContext,
    *,
    consumer: str,
    kind: str,
    cause: str,
    all_of: int,
    who: str,
    why: str,
    as_json: bool,
) -> None:
    from back_office.replaying import Replaying  # noqa: PLC0415 - help needs none
    from renewal.delivery import dead_letters  # noqa: PLC0415 - as above

    chosen = dead_letters.LetterFilter(consumer=consumer, kind=kind, why=cause)
    with context.store.snapshot() as look:
        there = dead_letters.count(look, chosen)
    if there != all_of:
        context.refuse(f"符合的有 {there} 則：未重送", f"{there} match: none was sent")
    found = Replaying(context.store).matching(chosen, who=who, why=why)
    line = context.lang.pick(
        f"已重送 {found.done} 則，略過 {found.skipped} 則",
        f"{found.done} sent again, {found.skipped} skipped",
    )
    values = {"sent": found.done, "skipped": found.skipped}
    context.print_result(values, [line], as_json=as_json)


@command.command(
    help="關閉：已由人員結清，不再重送。\n\n"
    "Close one that was settled by hand: it is not sent again."
)
@click.argument("number", type=int)
@staff
@as_json
@cli
def close(context: CliContext, number: int, who: str, why: str, *, as_json: bool) -> None:
    from back_office.settling import Settling  # noqa: PLC0415 - help needs none

    Settling(context.store).dead_letter(number, who=who, why=why)
    line = context.lang.pick(f"{number}：已關閉", f"{number}: closed")
    context.print_result({"number": number, "state": "closed"}, [line], as_json=as_json)


def _edit_of(context: CliContext, number: int) -> dict[str, Any]:
    """What waits for a second person, who looks at it before sending it."""
    from renewal.delivery import dead_letters  # noqa: PLC0415 - help needs none

    with context.store.snapshot() as look:
        edit = dead_letters.edit_of(look, number)
    if edit is None:
        return {}
    body = edit.body.decode(errors="replace")
    return {
        "edit_body": body, "edit_by": edit.made_by, "edit_why": edit.why,
        "edit_sha256": edit.sha256,
    }  # fmt: skip


def _edited(context: CliContext, number: int) -> bytes:
    before = _letter(context, number).body.decode(errors="replace")
    after = click.edit(before, extension=".json")
    if after is None:
        context.refuse("內容沒有變更：未重送", "nothing was changed: not sent")
    return after.strip().encode()


def _letter(context: CliContext, number: int) -> DeadLetter:
    from renewal.delivery import dead_letters  # noqa: PLC0415 - help needs none

    with context.store.snapshot() as look:
        found = dead_letters.list_open(look, after=number - 1, at_most=1)
    if not found or found[0].id != number:
        context.refuse(f"沒有未處理的 {number}", f"there is no open dead letter {number}")
    return found[0]


def _sent(context: CliContext, number: int, *, as_json: bool) -> None:
    line = context.lang.pick(f"{number}：已重送", f"{number}: sent again")
    context.print_result({"number": number, "sent": True}, [line], as_json=as_json)


def _as_dict(letter: DeadLetter) -> dict[str, Any]:
    values = asdict(letter) | {"body": letter.body.decode(errors="replace")}
    del values["traceparent"]  # the same in one piece
    return values | trace_of(letter)._asdict()
