"""`xuqi events`: the events on the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from renewal.eventlog.trace import trace_of
from xuqi.cli.context import CliContext, as_json, cli, staff
from xuqi.cli.i18n import moment

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
@cli
def tail(context: CliContext, at_most: int, *, follow: bool, as_json: bool) -> None:
    from renewal.db import outbox  # noqa: PLC0415 - help needs none
    from renewal.eventlog import queries  # noqa: PLC0415 - help needs none
    from renewal.store import reports  # noqa: PLC0415 - help needs none

    with context.store.snapshot() as look:
        newest = queries.newest(look, max(at_most, 1))
    places = dict.fromkeys(outbox.LANES, newest[-1].position if newest else 0)
    for record in newest[-at_most:] if at_most else ():
        _tell(context, record, as_json=as_json)
    while follow:
        seen = context.store.changes
        with context.store.snapshot() as look:
            news = reports.events_since(look, places, PAGE)
        for record in news:
            _tell(context, record, as_json=as_json)
            places[outbox.lane_of(record.topic)] = record.position
        if not news:
            context.store.wait_for_change(seen, context.store.poll_interval)


def _tell(context: CliContext, record: Record, *, as_json: bool) -> None:
    body = record.body.decode(errors="replace")[:LONGEST]
    values: dict[str, Any] = {
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
    context.print_result(values, [line], as_json=as_json)


@command.command(
    "relay-again",
    help="自第一則有處理者未讀的事件起，重新轉送至 Kafka；先停止所有 relay。\n\n"
    "Tell Kafka again what stands in the outbox from the first event on that a consumer has not "
    "read; stop every relay first.",
)
@click.option("--dry-run", is_flag=True, help="只說從哪裡開始 / only say from where")
@staff
@as_json
@cli
def relay_again(context: CliContext, who: str, why: str, *, dry_run: bool, as_json: bool) -> None:
    from xuqi.check import first_not_read  # noqa: PLC0415 - help needs none
    from xuqi.event_log import must_be_kafka  # noqa: PLC0415 - help needs none

    must_be_kafka(context.settings)
    with context.store.snapshot() as look:
        found = first_not_read(look)
    first, identity = found or (None, None)
    if first is not None and not dry_run:
        context.back_office.relay_again(first, who=who, why=why)
    values = {"first": first, "identity": identity, "set_back": bool(found) and not dry_run}
    context.print_result(
        values, [_from_where(context, first, identity, dry_run=dry_run)], as_json=as_json
    )


def _from_where(
    context: CliContext, first: int | None, identity: str | None, *, dry_run: bool
) -> str:
    if first is None:
        return context.lang.pick(
            "每則事件都已讀取：不必重送", "each event has been read: nothing to do"
        )
    if dry_run:
        return context.lang.pick(
            f"將自第 {first} 則（{identity}）起重送",
            f"would tell again from {first} on ({identity})",
        )
    return context.lang.pick(
        f"自第 {first} 則（{identity}）起重送：請啟動 relay",
        f"told again from {first} on ({identity}): start the relays",
    )
