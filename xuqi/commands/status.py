"""`xuqi status`: how things stand."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from xuqi.desk import REFUSED, Desk, as_json, desk
from xuqi.language import moment, table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from renewal.delivery import Consumer
    from renewal.store.work import Work

_HELP = """目前狀態：各狀態數量、處理進度、擱置、無法處理的事件、下一件到期、排程主導者。

How things stand: counts by state, each consumer's lag, what is parked, dead letters, what is due
next, and who leads the schedule.

結束代碼 / exit code: 1, 若有處理者已停止 / if a consumer has stopped.
"""


@click.command("status", help=_HELP)
@as_json
@desk
@click.pass_context
def command(ctx: click.Context, desk: Desk, *, as_json: bool) -> None:
    behind = _behind(desk)
    with desk.store.look() as look:
        told = _status(look, behind)
    told["serve"] = _serving(desk)
    lines = [*_states(desk, told), "", *_consumers(desk, told), "", *_times(desk, told)]
    desk.told(told, lines, as_json=as_json)
    if any(loop["given_up"] for loop in told["serve"]["loops"]):
        ctx.exit(REFUSED)


def _behind(desk: Desk) -> Mapping[str, int] | None:
    """
    What Kafka says of its consumers: nothing where the log is embedded, or does not answer.
    """
    from renewal.eventlog.port import LogUnavailableError  # noqa: PLC0415 - help needs none
    from xuqi.house import CONSUMERS  # noqa: PLC0415
    from xuqi.logs import open_backlog  # noqa: PLC0415

    backlog = open_backlog(desk.settings)
    if backlog is None:
        return None
    with closing(backlog):
        try:
            return backlog.of({it.group: it.topics for it in CONSUMERS})
        except LogUnavailableError as error:
            text = desk.lang.pick("無法得知落後數量", "nobody knows how far they are behind")
            click.echo(f"xuqi: {text}: {error}", err=True)
            return {}


def _status(look: Work, behind: Mapping[str, int] | None) -> dict[str, Any]:
    from renewal.store import leases, lists  # noqa: PLC0415 - help needs none
    from scheduler.timetable import LEASE  # noqa: PLC0415
    from schema.codec import kind_name  # noqa: PLC0415
    from xuqi.house import CONSUMERS  # noqa: PLC0415

    def stands(it: type[Consumer]) -> dict[str, Any]:
        kinds = [kind_name(kind) for kind in it.kinds]
        known = None if behind is None else behind.get(it.group, 0)
        found = lists.standing(look, it.group, it.topics, kinds, behind=known)
        return {**found._asdict(), "behind": None if behind == {} else found.behind}

    lease = leases.current(look, LEASE)
    return {
        "at": look.at,
        **lists.by_state(look),
        "consumers": {it.group: stands(it) for it in CONSUMERS},
        "next_reminder": lists.next_reminder(look),
        "leader": {**lease._asdict(), "leads": lease.until > look.at} if lease else None,
    }


def _serving(desk: Desk) -> dict[str, Any]:
    """
    What the serving processes on this home have written of themselves, if they are still there.
    """
    from xuqi.places import Place  # noqa: PLC0415 - help needs none
    from xuqi.serving.record import records  # noqa: PLC0415

    place = Place(desk.settings.home / "serve.lock")
    alone = desk.settings.store.startswith("sqlite") and place.take()
    place.release()
    found = [] if alone else records(desk.settings.home)
    return {
        "running": any(not one["stopped"] for one in found),
        "process": ", ".join(str(one["process"]) for one in found if not one["stopped"]),
        "loops": [loop for one in found for loop in one["loops"]],
    }


def _states(desk: Desk, told: dict[str, Any]) -> list[str]:
    from xuqi import words  # noqa: PLC0415 - help needs none

    names = {"certificates": "憑證", "renewals": "展期", "messages": "訊息"}
    lines = []
    for name, zh in names.items():
        counts = (f"{words.state(desk.lang, state)} {n:,}" for state, n in told[name].items())
        lines.append(f"{desk.lang.pick(zh, name)}: {', '.join(counts) or '-'}")
    return lines


def _consumers(desk: Desk, told: dict[str, Any]) -> list[str]:
    loops = {loop["name"]: loop for loop in told["serve"]["loops"]}
    head = desk.lang.pick(
        "處理者 落後 擱置 無法處理 下次 狀況", "consumer behind parked dead next how"
    ).split()
    rows = []
    for name, it in told["consumers"].items():
        how = loops.get(name, {}).get("trouble") or ("-" if name not in loops else "ok")
        behind = "?" if it["behind"] is None else it["behind"]
        rows.append((name, behind, it["parked"], it["dead"], moment(it["next_due"]), how))
    rows += [
        (name, "-", "-", "-", "-", loop["trouble"] or "ok")
        for name, loop in loops.items()
        if name not in told["consumers"]
    ]
    return table(head, rows)


def _times(desk: Desk, told: dict[str, Any]) -> list[str]:
    pick = desk.lang.pick
    serve, leader = told["serve"], told["leader"]
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
        f"{pick('下一件提醒', 'next reminder')}: {moment(told['next_reminder'])}",
    ]
