"""`xuqi dead-letters`: events that a consumer has given up, for staff to mend and send again."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from renewal.eventlog.trace import trace_of
from xuqi.desk import Desk, as_json, desk, staff
from xuqi.language import moment

if TYPE_CHECKING:
    from renewal.store.dead_letters import DeadLetter


@click.group(
    "dead-letters",
    help="無法處理的事件：清單、明細、修正、重送。\n\nEvents that could not be handled.",
)
def command() -> None:
    pass


@command.command("list", help="列出未處理的。\n\nList the open ones.")
@click.option("--consumer", help="只列這個處理者 / only of this consumer")
@click.option("--after", default=0, help="從這個編號之後 / after this number")
@click.option("-n", "at_most", default=100, show_default=True, type=click.IntRange(1, 10_000))
@as_json
@desk
def list_(desk: Desk, consumer: str | None, after: int, at_most: int, *, as_json: bool) -> None:
    from renewal.store import dead_letters  # noqa: PLC0415 - help needs none

    with desk.store.look() as look:
        found = dead_letters.list_open(look, after=after, at_most=at_most, consumer=consumer)
    desk.listed(
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
            row["why"],
        ),
    )


@command.command(help="一則的明細。\n\nShow one.")
@click.argument("number", type=int)
@as_json
@desk
def show(desk: Desk, number: int, *, as_json: bool) -> None:
    told = _as_dict(_letter(desk, number))
    lines = [f"{name}: {moment(it) if hasattr(it, 'tzinfo') else it}" for name, it in told.items()]
    desk.told(told, lines, as_json=as_json)


@command.command(
    help="以修正後的內容重送；不給 FILE 就開啟編輯器。\n\n"
    "Send one again with another body; without FILE an editor opens."
)
@click.argument("number", type=int)
@click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False
)
@staff
@as_json
@desk
def edit(desk: Desk, number: int, file: Path | None, who: str, why: str, *, as_json: bool) -> None:
    body = file.read_bytes().strip() if file else _edited(desk, number)
    desk.back_office.edit_dead_letter(number, body, who=who, why=why)
    _sent(desk, number, as_json=as_json)


@command.command(help="原樣重送。\n\nSend one again as it is.")
@click.argument("number", type=int)
@staff
@as_json
@desk
def replay(desk: Desk, number: int, who: str, why: str, *, as_json: bool) -> None:
    desk.back_office.replay_dead_letter(number, who=who, why=why)
    _sent(desk, number, as_json=as_json)


def _edited(desk: Desk, number: int) -> bytes:
    before = _letter(desk, number).body.decode(errors="replace")
    after = click.edit(before, extension=".json")
    if after is None:
        desk.refuse("內容沒有變更：未重送", "nothing was changed: not sent")
    return after.strip().encode()


def _letter(desk: Desk, number: int) -> DeadLetter:
    from renewal.store import dead_letters  # noqa: PLC0415 - help needs none

    with desk.store.look() as look:
        found = dead_letters.list_open(look, after=number - 1, at_most=1)
    if not found or found[0].id != number:
        desk.refuse(f"沒有未處理的 {number}", f"there is no open dead letter {number}")
    return found[0]


def _sent(desk: Desk, number: int, *, as_json: bool) -> None:
    line = desk.lang.pick(f"{number}：已重送", f"{number}: sent again")
    desk.told({"number": number, "sent": True}, [line], as_json=as_json)


def _as_dict(letter: DeadLetter) -> dict[str, Any]:
    told = asdict(letter) | {"body": letter.body.decode(errors="replace")}
    del told["traceparent"]  # the same in one piece
    return told | trace_of(letter)._asdict()
