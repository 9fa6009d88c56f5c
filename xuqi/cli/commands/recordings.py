"""`xuqi recordings`: renewals that a branch has yet to record before transfers are usable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from xuqi.cli.context import CliContext, as_json, cli, staff
from xuqi.cli.i18n import moment

if TYPE_CHECKING:
    from renewal.db.rows import Recording
    from renewal.db.unit_of_work import UnitOfWork


@click.group(
    "recordings",
    help="分行補登：憑證更新後，登錄完成才能轉帳。\n\n"
    "What a branch must record after a renewal: transfers are usable only then.",
)
def command() -> None:
    pass


@command.command("list", help="列出待補登的展期。\n\nList the renewals that wait for it.")
@click.option("--branch", help="只列這個分行 / only of this branch")
@click.option("--all", "every", is_flag=True, help="包含已補登的 / those recorded, too")
@click.option("--after", default="", help="從這筆展期之後 / after this renewal")
@click.option("-n", "at_most", default=100, show_default=True, type=click.IntRange(1, 10_000))
@as_json
@cli
def list_(
    context: CliContext,
    branch: str | None,
    after: str,
    at_most: int,
    *,
    every: bool,
    as_json: bool,
) -> None:
    from renewal.store import recordings  # noqa: PLC0415 - help needs none
    from schema.states import RecordingState  # noqa: PLC0415
    from templates.codes import text  # noqa: PLC0415

    with context.store.snapshot() as look:
        found = recordings.listed(look, every=every, branch=branch, after=after, at_most=at_most)
        rows = [_shown(look, row) for row in found]
    context.print_table(
        (
            ("展期", "憑證", "分行", "狀態", "期限", "補登", "人員", "使用者代號"),
            ("renewal", "certificate", "branch", "state", "due", "recorded", "by", "user codes"),
        ),
        rows,
        as_json=as_json,
        cells=lambda row: (
            row["renewal"],
            row["certificate"],
            row["branch"] or "-",
            text(RecordingState(row["state"]), context.lang.value),
            moment(row["due_at"]),
            moment(row["recorded_at"]),
            row["recorded_by"] or "-",
            " ".join(row["user_codes"]) or "-",
        ),
    )


@command.command(
    help="補登一筆展期，並登錄共用憑證的使用者代號（十二位數字）；之後即可轉帳。\n\n"
    "Record a renewal, with the user codes (twelve digits) that share the certificate: "
    "transfers are usable from now on."
)
@click.argument("renewal")
@click.option("--code", "codes", multiple=True, help="使用者代號，可給多個 / a user code, each")
@staff
@as_json
@cli
def record(
    context: CliContext, renewal: str, codes: tuple[str, ...], who: str, why: str, *, as_json: bool
) -> None:
    from back_office.tokens import TokenActions  # noqa: PLC0415 - help needs none

    row = TokenActions(context.store).record(renewal, codes, who=who, why=why)
    with context.store.snapshot() as look:
        shown = _shown(look, row)
    line = context.lang.pick(
        f"展期 {renewal}：已補登，可以轉帳", f"renewal {renewal}: recorded, transfers are usable"
    )
    context.print_result(shown, [line], as_json=as_json)


def _shown(look: UnitOfWork, row: Recording) -> dict[str, Any]:
    from renewal.lifecycle.recordings import codes_of  # noqa: PLC0415 - help needs none
    from renewal.rules.user_codes import masked  # noqa: PLC0415

    names = (
        "renewal", "certificate", "branch", "state", "opened_at", "due_at", "recorded_at",
        "recorded_by",
    )  # fmt: skip
    values = {name: getattr(row, name) for name in names}
    return {**values, "user_codes": [masked(code) for code in codes_of(look, row)]}
