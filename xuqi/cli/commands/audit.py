"""`xuqi audit`: who did what, and whether the trail of it is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from xuqi.cli.context import REFUSED, CliContext, as_json, cli

if TYPE_CHECKING:
    from collections.abc import Mapping


@click.group("audit", help="稽核軌跡：清單、驗證。\n\nThe audit trail: list, verify.")
def command() -> None:
    pass


@command.command("list", help="誰做了什麼，由舊到新。\n\nWho did what, the oldest first.")
@click.option("--after", default=0, help="這個編號之後 / after this number")
@click.option(
    "--at-most", default=1_000, type=click.IntRange(1, 10_000), help="最多幾筆 / how many"
)
@click.option("--who", help="這個人 / of this person")
@as_json
@cli
def listed(
    context: CliContext, *, after: int, at_most: int, who: str | None, as_json: bool
) -> None:
    from renewal.store import audit  # noqa: PLC0415 - help needs none

    with context.store.snapshot() as look:
        found = audit.listed(look, after=after, at_most=at_most)
    rows = [{**row, "hash": row["hash"].hex()} for row in found if who is None or row["who"] == who]
    context.print_table(
        (
            ("編號", "時間", "承辦", "系統帳號", "動作", "對象", "原因"),
            ("number", "at", "who", "system user", "did", "object", "why"),
        ),
        rows,
        as_json=as_json,
        cells=_cells,
    )


def _cells(row: Mapping[str, Any]) -> list[object]:
    from xuqi.cli.i18n import moment  # noqa: PLC0415 - help needs none

    names = ("who", "os_user", "did", "object", "why")
    return [row["id"], moment(row["at"]), *(row[name] or "" for name in names)]


@command.command(
    help="重算每一筆的雜湊鏈，並與對外記錄比對；有改寫或截斷時結束代碼為 1。\n\n"
    "Recompute the chain of every line and compare it with what was told outside; exit code 1 if "
    "one was changed or cut off."
)
@as_json
@cli
@click.pass_context
def verify(ctx: click.Context, context: CliContext, *, as_json: bool) -> None:
    from renewal.store import audit  # noqa: PLC0415 - help needs none
    from renewal.store.audit_heads import AuditHeads  # noqa: PLC0415

    heads = AuditHeads(context.settings.audit_file)
    noted = heads.noted()
    with context.store.snapshot() as look:
        broken, lost = audit.broken_links(look), audit.lost(look, noted)
        count = sum(1 for _ in audit.entries(look))
    lines = [
        context.lang.pick(
            f"{count:,} 筆；改寫 {len(broken)}、截斷 {len(lost)}；"
            f"對外記錄 {len(noted):,} 筆（{heads.path}）",
            f"{count:,} lines; {len(broken)} changed, {len(lost)} cut off; "
            f"{len(noted):,} told outside ({heads.path})",
        )
    ]
    lines += [f"  {number}" for number in sorted({*broken, *lost})[:100]]
    context.print_result(
        {"lines": count, "changed": broken, "cut_off": lost, "told_outside": len(noted)},
        lines,
        as_json=as_json,
    )
    if broken or lost:
        ctx.exit(REFUSED)
