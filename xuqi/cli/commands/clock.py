"""`xuqi clock`: whether the machine's clock is believed, and a person's agreement with it."""

from __future__ import annotations

import click

from xuqi.cli.context import CliContext, as_json, cli, staff
from xuqi.cli.i18n import moment


@click.group(
    "clock",
    help="時鐘是否可信；跳動太大時，同意之前不掃描、不發送。\n\n"
    "Whether the clock is believed. After a leap nothing is scanned or sent until somebody agrees.",
)
def command() -> None:
    pass


@command.command(help="目前的時間，與上次可信的時間。\n\nWhat it says, and what it last said.")
@as_json
@cli
def show(context: CliContext, *, as_json: bool) -> None:
    from renewal.store.clock_marks import mark_of  # noqa: PLC0415 - help needs none

    with context.store.snapshot() as look:
        mark, at = mark_of(look), look.at
    seen = mark.seen_at if mark else None
    doubted = mark is not None and mark.doubted_at is not None
    zh, en = (
        ("不可信，等人同意", "doubted: somebody must agree") if doubted else ("可信", "believed")
    )
    last = moment(seen) if seen else "-"
    context.print_result(
        {"now": at, "seen": seen, "doubted": doubted},
        [context.lang.pick(f"{moment(at)}，上次 {last}：{zh}", f"{moment(at)}, last {last}: {en}")],
        as_json=as_json,
    )


@command.command(
    help="同意目前的時間是對的，繼續掃描與發送。\n\nAgree that it is right now, and go on."
)
@staff
@cli
def accept(context: CliContext, *, who: str, why: str) -> None:
    from back_office.messaging import Messaging  # noqa: PLC0415 - help needs none

    Messaging(context.store).accept_clock(who=who, why=why)
    context.say("已同意，繼續", "agreed: everything goes on")
