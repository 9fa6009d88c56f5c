"""`xuqi scan`: finds certificates that have entered their window."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from xuqi.cli.context import CliContext, as_json, cli
from xuqi.cli.i18n import moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from renewal.db.engine import Store
    from renewal.rules.policies import Policies

AT_MOST = 50_000
_HELP = """掃描即將到期的憑證，宣告一次並安排提醒。

Announce certificates that have entered their window, and say of which a reminder may be owed.

--at 只能和 --dry-run 一起用：真正的掃描只用現在的時間。
--at goes with --dry-run only: a real scan has no other time than now.
"""


@click.command("scan", help=_HELP)
@click.option("--dry-run", is_flag=True, help="只列出誰、為什麼 / only say who and why")
@click.option(
    "--at", metavar="TIME", help="ISO 8601，含時區 / with a time zone; 2026-11-23T09:00+08:00"
)
@as_json
@cli
def command(context: CliContext, at: str | None, *, dry_run: bool, as_json: bool) -> None:
    if at is not None and not dry_run:
        raise click.UsageError("--at goes with --dry-run only / --at 只能和 --dry-run 一起用")
    if not dry_run:
        _scan(context, as_json=as_json)
        return
    if at is not None:
        from renewal.clock import VirtualClock  # noqa: PLC0415 - help needs none

        context.clock = VirtualClock(_moment(at))
    heads = (
        ("做什麼", "憑證", "客戶", "產品", "序號", "到期", "為什麼"),
        ("what", "certificate", "customer", "product", "serial", "ends", "why"),
    )
    context.print_table(
        heads,
        [*_would_announce(context), *_would_remind(context)],
        as_json=as_json,
        cells=lambda row: (
            context.lang.pick(*_WHAT[row["what"]]),
            row["certificate"],
            row["customer"] or "-",
            row["product"],
            row["serial"],
            moment(row["not_after"]),
            _why(context, row),
        ),
    )


_WHAT = {"announce": ("宣告", "announce"), "remind": ("提醒", "remind")}


def _moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r}: {error}", param_hint="--at") from error
    if at.tzinfo is None:
        raise click.BadParameter(
            f"{text!r} has no time zone: add +08:00 / 沒有時區", param_hint="--at"
        )
    return at.astimezone(UTC)


def _scan(context: CliContext, *, as_json: bool) -> None:
    from renewal.clock_guard import ClockGuard  # noqa: PLC0415 - help needs none
    from scheduler import jobs  # noqa: PLC0415

    ClockGuard(context.store).check()
    entered = jobs.scan(context.store, context.policies)
    left = jobs.leave(context.store, context.policies)
    remind = jobs.remind(context.store, context.policies)
    full = entered.full or left.full or remind.full
    values = {
        "announced": entered.announced,
        "left": left.announced,
        "to_remind": remind.announced,
        "full": full,
    }
    counts = [f"{run.announced:,}" for run in (entered, left, remind)]
    zh = "進入展期期間 {}，逾期未展 {}，待提醒 {}".format(*counts)
    en = "entered {}, left {}, to remind {}".format(*counts)
    line = context.lang.pick(zh, en)
    if full:
        line += context.lang.pick("；還有，請再執行一次", "; there is more, run it again")
    context.print_result(values, [line], as_json=as_json)


def _would_announce(context: CliContext) -> Iterator[dict[str, Any]]:
    from scheduler import jobs  # noqa: PLC0415 - help needs none

    page: list[int] = []
    for _, due in jobs.would_announce(context.store, context.policies):
        page.append(due.id)
        if len(page) == jobs.PAGE:
            yield from _rows(context.store, context.policies, "announce", page)
            page = []
    yield from _rows(context.store, context.policies, "announce", page)


def _would_remind(context: CliContext) -> Iterator[dict[str, Any]]:
    from renewal.store import certificates as queries  # noqa: PLC0415 - help needs none

    with context.store.snapshot() as look:
        found = queries.to_remind(look, AT_MOST)
    yield from _rows(context.store, context.policies, "remind", found)


def _rows(store: Store, policies: Policies, what: str, ids: list[int]) -> Iterator[dict[str, Any]]:
    from renewal.rules import reminder_schedule  # noqa: PLC0415 - help needs none

    with store.snapshot() as look:
        look.certificates.load(ids)
        for row in map(look.certificates.get, ids):
            policy = policies.of(row.product)
            yield {
                "what": what,
                "certificate": row.id,
                "customer": row.customer,
                "product": row.product,
                "serial": row.serial,
                "not_after": row.not_after,
                "days_left": reminder_schedule.days_left(look.at, row.not_after),
                "before_days": policy.window.before_days,
                "threshold": reminder_schedule.reminder_owed(
                    look.at, row.not_after, policy, row.told
                ),
            }


def _why(context: CliContext, row: Mapping[str, Any]) -> str:
    from xuqi.cli.translations import days  # noqa: PLC0415 - help needs none

    if row["what"] == "announce":
        zh = f"剩 {row['days_left']} 天，展期期間為到期前 {row['before_days']} 天起"
        en = f"{row['days_left']} days left, the window opens {row['before_days']} days before"
        return context.lang.pick(zh, en)
    if row["threshold"] is None:
        return context.lang.pick("時間到了，但已無應提醒的級距", "looked at again, nothing is owed")
    return context.lang.pick("已過級距：", "threshold passed: ") + days(
        context.lang, row["threshold"]
    )
