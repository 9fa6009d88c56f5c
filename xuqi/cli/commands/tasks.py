"""`xuqi tasks`: what people must do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from xuqi.cli.context import CliContext, as_json, cli, staff
from xuqi.cli.i18n import moment

if TYPE_CHECKING:
    from renewal.db.rows import Task
    from renewal.db.unit_of_work import UnitOfWork


@click.group(
    "tasks",
    help="需由人員辦理的事：在其他憑證機構，或查出客戶的電話。\n\n"
    "What people must do: at another CA, or to find a customer's number.",
)
def command() -> None:
    pass


@command.command("list", help="列出待辦。\n\nList the tasks.")
@click.option("--all", "every", is_flag=True, help="包含已結束的 / those that have ended too")
@click.option("--after", default=0, help="從這個編號之後 / after this number")
@click.option("-n", "at_most", default=100, show_default=True, type=click.IntRange(1, 10_000))
@as_json
@cli
def list_(context: CliContext, after: int, at_most: int, *, every: bool, as_json: bool) -> None:
    from renewal.store import tasks  # noqa: PLC0415 - help needs none
    from schema.reasons import DecisionKind  # noqa: PLC0415
    from schema.states import TaskState  # noqa: PLC0415
    from templates.codes import text  # noqa: PLC0415

    with context.store.snapshot() as look:
        state = None if every else TaskState.OPEN
        found = tasks.listed(look, state=state, after=after, at_most=at_most)
        rows = [_as_dict(look, task) for task in found]
    asked = {
        "suspend": DecisionKind.CA_SUSPEND_ASKED,
        "resume": DecisionKind.CA_RESUME_ASKED,
        "revoke": DecisionKind.CA_REVOKE_ASKED,
        "find number": DecisionKind.CALL_TO_BE_FOUND,
    }
    zh = ("待辦", "憑證", "序號", "要做什麼", "展期", "狀態", "開始", "結束", "人員", "說明")
    en = ("task", "certificate", "serial", "what", "renewal", "state", "opened", "ended", "by")
    context.print_table(
        (zh, (*en, "why")),
        rows,
        as_json=as_json,
        cells=lambda row: (
            row["id"],
            row["certificate"],
            row["serial"],
            text(asked[row["change"]], context.lang.value),
            row["renewal"] or "-",
            text(TaskState(row["state"]), context.lang.value),
            moment(row["opened_at"]),
            moment(row["ended_at"]),
            row["ended_by"] or "-",
            row["why"] or "-",
        ),
    )


@command.command(
    help="已在該憑證機構辦理；--not-needed：不需辦理。\n\n"
    "It is done at that CA; with --not-needed: nothing is to be done after all."
)
@click.argument("task", type=int)
@click.option("--not-needed", is_flag=True, help="不需辦理 / it is not needed")
@staff
@as_json
@cli
def done(
    context: CliContext, task: int, who: str, why: str, *, not_needed: bool, as_json: bool
) -> None:
    context.back_office.end_task(task, who=who, why=why, needed=not not_needed)
    with context.store.snapshot() as look:
        row = _as_dict(look, look.tasks.get(task))
    line = context.lang.pick(f"待辦 {task}：已結束", f"task {task}: ended")
    context.print_result(row, [line], as_json=as_json)


def _as_dict(look: UnitOfWork, task: Task) -> dict[str, Any]:
    from msgspec.structs import asdict  # noqa: PLC0415 - help needs none

    return {**asdict(task), "serial": look.certificates.get(task.certificate).serial}
