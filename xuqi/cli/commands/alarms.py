"""`xuqi alarms`: what people must look at, and the ways out that are stopped for it."""

from __future__ import annotations

from typing import Any

import click

from xuqi.cli.context import CliContext, as_json, cli, staff
from xuqi.cli.i18n import moment

LANES = ("sms codes", "sms reminders", "mail")


@click.group(
    "alarms",
    help="要有人處理的事：電信業者、郵件、時鐘。\n\n"
    "What people must look at: carriers, mail, the clock.",
)
def command() -> None:
    pass


@command.command("list", help="列出未結的警示。\n\nList the open ones.")
@as_json
@cli
def list_(context: CliContext, *, as_json: bool) -> None:
    from renewal.store import alarms  # noqa: PLC0415 - help needs none

    with context.store.snapshot() as look:
        rows: list[dict[str, Any]] = [dict(one._asdict()) for one in alarms.open_alarms(look)]
    for row in rows:
        row["meaning"] = _meaning(row["subject"], row["code"])
    context.print_table(
        (
            ("警示", "種類", "對象", "代碼", "意義", "次數", "最近一次"),
            ("alarm", "kind", "subject", "code", "meaning", "times", "last"),
        ),
        rows,
        as_json=as_json,
        cells=lambda row: (
            row["id"],
            context.lang.pick(KINDS[row["kind"]], row["kind"]),
            row["subject"],
            row["code"] or "-",
            row["meaning"],
            row["times"],
            moment(row["last_at"]),
        ),
    )


KINDS = {
    "lane stopped": "管道停止",
    "unknown code": "不明代碼",
    "content": "內容被拒",
    "route": "此發送者到不了",
    "many in a row": "連續多次失敗",
    "guesses": "大量猜測驗證碼",
    "emergency account": "緊急帳號被使用",
    "pumping": "大量請求驗證碼",
    "clock": "時鐘",
    "bounces unread": "退信信箱讀不到",
}


def _meaning(subject: str, code: str) -> str:
    from renewal.gateways.sms.errors import meaning  # noqa: PLC0415 - help needs none

    return meaning(code) if subject.startswith("sms") else code or "-"


@command.command(
    help="結束一則警示；不明代碼可說明它是指單一訊息。\n\n"
    "End one. Of a code that nobody knew, say what it speaks of: us, or the one message."
)
@click.argument("alarm")
@click.option(
    "--ruling",
    type=click.Choice(["ours", "message"]),
    help="不明代碼的意義 / what an unknown code speaks of",
)
@staff
@cli
def end(context: CliContext, alarm: str, ruling: str | None, *, who: str, why: str) -> None:
    from back_office.messaging import Messaging  # noqa: PLC0415 - help needs none
    from renewal.store.alarms import Ruling  # noqa: PLC0415

    verdict = Ruling(ruling) if ruling else None
    Messaging(context.store).end_alarm(alarm, verdict, who=who, why=why)
    context.say(f"{alarm}：已結束", f"{alarm}: ended")


@command.command(help="各管道的狀態。\n\nHow the ways out stand.")
@as_json
@cli
def lanes(context: CliContext, *, as_json: bool) -> None:
    from renewal.store.lanes import all_lanes  # noqa: PLC0415 - help needs none

    with context.store.snapshot() as look:
        found, at = all_lanes(look), look.at
    rows = []
    for name in sorted({*LANES, *found}):
        lane = found.get(name)
        until = lane.stopped_until if lane else None
        rows.append(
            {
                "lane": name,
                "stopped_until": until if until and until > at else None,
                "code": lane.code if lane else "",
                "in_a_row": lane.in_a_row if lane else 0,
            }
        )
    context.print_table(
        (
            ("管道", "停止至", "代碼", "連續失敗"),
            ("lane", "stopped until", "code", "failures in a row"),
        ),
        rows,
        as_json=as_json,
        cells=lambda row: (
            row["lane"],
            moment(row["stopped_until"]) if row["stopped_until"] else "-",
            row["code"] or "-",
            row["in_a_row"],
        ),
    )


@command.command(help="讓停止的管道繼續。\n\nLet a stopped lane go on.")
@click.argument("lane", type=click.Choice(LANES))
@staff
@cli
def resume(context: CliContext, lane: str, *, who: str, why: str) -> None:
    from back_office.messaging import Messaging  # noqa: PLC0415 - help needs none

    Messaging(context.store).resume_lane(lane, who=who, why=why)
    context.say(f"{lane}：繼續", f"{lane}: goes on")
