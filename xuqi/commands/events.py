"""`xuqi events`: what lies on the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from renewal.eventlog.trace import trace_of
from xuqi.desk import Desk, as_json, desk
from xuqi.language import moment

if TYPE_CHECKING:
    from renewal.eventlog.port import Record

PAGE = 500
LONGEST = 300  #: signs of an event on a line; --json has all of it


@click.group("events", help="事件紀錄。\n\nThe log of events.")
def command() -> None:
    pass


@command.command(help="最近的事件；--follow 持續顯示。\n\nThe last events; --follow goes on.")
@click.option("-n", "at_most", default=20, show_default=True, type=click.IntRange(0, 10_000))
@click.option("--follow", "-f", is_flag=True, help="持續到 Ctrl-C / until Ctrl-C")
@as_json
@desk
def tail(desk: Desk, at_most: int, *, follow: bool, as_json: bool) -> None:
    from renewal.store import lists, log  # noqa: PLC0415 - help needs none

    with desk.store.look() as look:
        newest = log.newest(look, max(at_most, 1))
    position = newest[-1].position if newest else 0
    for record in newest[-at_most:] if at_most else ():
        _tell(desk, record, as_json=as_json)
    while follow:
        seen = desk.store.changes
        with desk.store.look() as look:
            news = lists.events_since(look, position, PAGE)
        for record in news:
            _tell(desk, record, as_json=as_json)
            position = record.position
        if not news:
            desk.store.wait_for_change(seen, desk.store.look_again)


def _tell(desk: Desk, record: Record, *, as_json: bool) -> None:
    body = record.body.decode(errors="replace")[:LONGEST]
    told: dict[str, Any] = {
        "position": record.position,
        "at": record.at,
        "topic": record.topic,
        "key": record.key,
        "kind": record.kind,
        "identity": record.identity,
        **trace_of(record)._asdict(),
        "body": record.body.decode(errors="replace"),
    }
    line = f"{record.position:>8}  {moment(record.at)}  {record.topic}  {body}"
    desk.told(told, [line], as_json=as_json)
