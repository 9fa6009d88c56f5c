"""`xuqi reconcile`: holds our books against those of the bank, the CA, carriers and tokens."""

from __future__ import annotations

import click

from xuqi.cli.context import CliContext, as_json, cli


@click.command(
    "reconcile",
    help="與銀行、憑證機構、業者、載具對帳；有差異則結束代碼為 1；只留下結果。\n\n"
    "Hold our books against the bank, the CA, the carriers and the tokens; exits with 1 on any "
    "difference. Nothing but the result is written.",
)
@as_json
@cli
@click.pass_context
def command(ctx: click.Context, context: CliContext, *, as_json: bool) -> None:
    from back_office.reconciling import Reconciling  # noqa: PLC0415 - help needs none
    from renewal.store.audit import os_user  # noqa: PLC0415
    from templates.codes import remedy, text  # noqa: PLC0415
    from xuqi.reconcile import comparisons  # noqa: PLC0415

    lang = context.lang.value
    reconciling = Reconciling(context.app.store, comparisons(lambda: context.app))
    rows = [
        {
            "side": one.side,
            "code": one.code.value,
            "key": one.key,
            "what": text(one.code, lang),
            "next": remedy(one.code.why(), lang),
        }
        for one in reconciling.carry_out(reconciling.begin(who=os_user()))
    ]
    sides = {
        "bank": context.lang.pick("銀行", "bank"),
        "ca": context.lang.pick("憑證機構", "CA"),
        "carrier": context.lang.pick("業者", "carrier"),
        "token": context.lang.pick("載具", "token"),
    }
    context.print_table(
        (
            ("對象", "代碼", "哪一筆", "差異", "下一步"),
            ("with", "code", "which", "difference", "next step"),
        ),
        rows,
        as_json=as_json,
        cells=lambda row: (sides[row["side"]], row["code"], row["key"], row["what"], row["next"]),
    )
    ctx.exit(1 if rows else 0)
