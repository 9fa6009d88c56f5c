"""`xuqi status`: the state of the installation."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from xuqi.cli.context import REFUSED, CliContext, as_json, cli
from xuqi.cli.i18n import moment, table
from xuqi.terminal import safe_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.first_days import FirstDays
    from schema.state_machine import State

_HELP = """目前狀態：各狀態數量、處理進度、擱置、無法處理的事件、下一件到期、排程主導者。

How things stand: counts by state, each consumer's lag, what is parked, dead letters, what is due
next, and who leads the schedule.

結束代碼 / exit code: 1, 若有處理者已停止 / if a consumer has stopped.
"""


@click.command("status", help=_HELP)
@as_json
@cli
@click.pass_context
def command(ctx: click.Context, context: CliContext, *, as_json: bool) -> None:
    behind = _behind(context, away=_away(context))
    with context.store.snapshot() as look:
        values = _status(look, behind)
        values["first_days"] = _first_days(look, context.settings.begins)
    values["serve"] = _serving(context)
    lines = [
        *_states(context, values),
        *_for_people(context, values),
        *_first_days_line(context, values),
        "",
        *_consumers(context, values),
        "",
        *_times(context, values),
    ]
    context.print_result(values, lines, as_json=as_json)
    if any(loop["given_up"] for loop in values["serve"]["loops"]):
        ctx.exit(REFUSED)


def _first_days(look: UnitOfWork, first: FirstDays) -> dict[str, Any] | None:
    """What is held because the bank has gone live only lately; ``None`` once that is over."""
    from renewal.store import messages, reports  # noqa: PLC0415 - help needs none
    from schema.taipei import day_of, start_of  # noqa: PLC0415 - as above

    if not first.count_on(look.at):
        return None
    return {
        "begins": first.begins,
        "ends": first.ends,
        "a_day": first.a_day or None,
        "today": messages.reminded_since(look, start_of(day_of(look.at))),
        "held": reports.held_on_first_days(look),
    }


def _first_days_line(context: CliContext, values: dict[str, Any]) -> list[str]:
    first = values["first_days"]
    if first is None:
        return []
    cap = f"{first['a_day']:,}" if first["a_day"] else "-"
    return [
        context.lang.pick(
            f"上線初期：{first['begins']} 起，每日上限 {cap} 人到 {first['ends']} 前，"
            f"今天已提醒 {first['today']:,}，延後 {first['held']:,} 張",
            f"first days: from {first['begins']}, at most {cap} a day before {first['ends']}, "
            f"{first['today']:,} reminded today, {first['held']:,} certificates held",
        )
    ]


def _for_people(context: CliContext, values: dict[str, Any]) -> list[str]:
    """What waits for people: tasks at another CA, and what carriers ask to be looked at."""
    waits, lines = values["for_people"], []
    if waits["tasks"]:
        zh, en = "其他憑證機構的待辦（xuqi tasks list）", "tasks at another CA (xuqi tasks list)"
        lines.append(f"{context.lang.pick(zh, en)}: {waits['tasks']}")
    if waits["recordings"]:
        zh, en = "逾期未補登（xuqi recordings list）", "overdue recordings (xuqi recordings list)"
        lines.append(f"{context.lang.pick(zh, en)}: {waits['recordings']}")
    if waits["alarms"]:
        zh, en = "要有人處理的事（xuqi alarms list）", "alarms (xuqi alarms list)"
        lines.append(f"{context.lang.pick(zh, en)}: {waits['alarms']}")
    for lane in waits["stopped_lanes"]:
        since = moment(lane["since"]) if lane["since"] else "?"
        until = moment(lane["until"])
        zh = f"管道停止：{lane['name']}，代碼 {lane['code'] or '-'}，自 {since} 起，{until} 再試"
        en = (
            f"lane stopped: {lane['name']}, code {lane['code'] or '-'}, since {since}, "
            f"tried again at {until}"
        )
        lines.append(context.lang.pick(zh, en))
    return lines


def _away(context: CliContext) -> bool:
    """
    Whether the broker is; said of each server that does not answer.

    Raises:
        StoreUnavailableError: the database is.
    """
    from renewal.db.engine import StoreUnavailableError  # noqa: PLC0415 - help needs none
    from xuqi.reachable import closed, doors  # noqa: PLC0415 - as above

    context.hurry()
    asked = doors(context.settings)
    silent = closed(asked)
    for door in silent:
        text = context.lang.pick(f"沒有回應：{door}", f"no answer: {door}")
        click.echo(safe_line(f"xuqi: {text}"), err=True)
    if any(door.setting == "XUQI_STORE_URL" for door in silent):
        raise StoreUnavailableError("the database does not answer (XUQI_STORE_URL)")
    brokers = [door for door in asked if door.setting == "XUQI_LOG_URL"]
    return bool(brokers) and all(door in silent for door in brokers)


def _behind(context: CliContext, *, away: bool) -> Mapping[str, int] | None:
    """What Kafka says of its consumers: nothing where the log is embedded, or does not answer."""
    if away:
        return {}
    from consumers.registry import consumer_types  # noqa: PLC0415
    from renewal.eventlog.port import LogUnavailableError  # noqa: PLC0415 - help needs none
    from xuqi.event_log import open_backlog  # noqa: PLC0415
    from xuqi.reachable import KNOCK  # noqa: PLC0415

    backlog = open_backlog(context.settings, patience=timedelta(seconds=KNOCK))
    if backlog is None:
        return None
    with closing(backlog):
        try:
            return backlog.of({it.group: it.topics for it in consumer_types()})
        except LogUnavailableError as error:
            text = context.lang.pick("無法得知落後數量", "nobody knows how far they are behind")
            click.echo(safe_line(f"xuqi: {text}: {error}"), err=True)
            return {}


def _status(look: UnitOfWork, behind: Mapping[str, int] | None) -> dict[str, Any]:
    from consumers.registry import standing  # noqa: PLC0415
    from renewal.db import leases  # noqa: PLC0415 - help needs none
    from renewal.store import alarms, lanes, recordings, reports, tasks  # noqa: PLC0415 - help needs none
    from scheduler.timetable import LEASE  # noqa: PLC0415

    silent = behind == {}
    lease = leases.current(look, LEASE)
    return {
        "at": look.at,
        **reports.by_state(look),
        "consumers": {
            name: {**one._asdict(), "behind": None if silent else one.behind}
            for name, one in standing(look, behind).items()
        },
        "for_people": {
            "tasks": tasks.open_count(look),
            "recordings": recordings.overdue_count(look),
            "alarms": len(alarms.open_alarms(look)),
            "stopped_lanes": [one._asdict() for one in lanes.stopped_lanes(look)],
        },
        "next_reminder": reports.next_reminder(look),
        "leader": {**lease._asdict(), "leads": lease.until > look.at} if lease else None,
    }


def _serving(context: CliContext) -> dict[str, Any]:
    """
    What the serving processes on this home have written of themselves, if they are still there.
    """
    from xuqi.process_lock import ProcessLock  # noqa: PLC0415 - help needs none
    from xuqi.serving.status_file import status_files  # noqa: PLC0415

    lock = ProcessLock(context.settings.home / "serve.lock")
    alone = context.settings.store.startswith("sqlite") and lock.take()
    lock.release()
    found = [] if alone else status_files(context.settings.home)
    return {
        "running": any(not one["stopped"] for one in found),
        "process": ", ".join(str(one["process"]) for one in found if not one["stopped"]),
        "loops": [loop for one in found for loop in one["loops"]],
    }


def _states(context: CliContext, values: dict[str, Any]) -> list[str]:
    from schema.states import (  # noqa: PLC0415 - help needs none
        CertificateState,
        MessageState,
        RenewalState,
    )
    from xuqi.cli import translations  # noqa: PLC0415

    names: dict[str, tuple[str, type[State]]] = {
        "certificates": ("憑證", CertificateState),
        "renewals": ("展期", RenewalState),
        "messages": ("訊息", MessageState),
    }
    lines = []
    for name, (zh, states) in names.items():
        counts = (
            f"{translations.state(context.lang, states(state))} {n:,}"
            for state, n in values[name].items()
        )
        lines.append(f"{context.lang.pick(zh, name)}: {', '.join(counts) or '-'}")
    return lines


def _consumers(context: CliContext, values: dict[str, Any]) -> list[str]:
    loops = {loop["name"]: loop for loop in values["serve"]["loops"]}
    head = context.lang.pick(
        "處理者 落後 擱置 無法處理 下次 狀況", "consumer behind parked dead next how"
    ).split()
    rows = []
    for name, it in values["consumers"].items():
        how = loops.get(name, {}).get("trouble") or ("-" if name not in loops else "ok")
        behind = "?" if it["behind"] is None else it["behind"]
        rows.append((name, behind, it["parked"], it["dead"], moment(it["next_due"]), how))
    rows += [
        (name, "-", "-", "-", "-", loop["trouble"] or "ok")
        for name, loop in loops.items()
        if name not in values["consumers"]
    ]
    return table(head, rows)


def _times(context: CliContext, values: dict[str, Any]) -> list[str]:
    pick = context.lang.pick
    serve, leader = values["serve"], values["leader"]
    running = pick("未執行", "not running")
    if serve["running"]:
        running = pick(f"執行中，程序 {serve['process']}", f"running, process {serve['process']}")
    leads = pick("沒有", "nobody")
    if leader is not None and leader["leads"]:
        leads = pick(
            f"{leader['holder']}（第 {leader['term']} 任）",
            f"{leader['holder']} (term {leader['term']})",
        )
    return [
        f"serve: {running}",
        f"{pick('排程主導者', 'leads the schedule')}: {leads}",
        f"{pick('下一件提醒', 'next reminder')}: {moment(values['next_reminder'])}",
    ]
