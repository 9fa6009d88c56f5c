"""`xuqi reconcile`: holds our books against those of the bank, the CA and the carriers."""

from __future__ import annotations

import click

from xuqi.cli.context import CliContext, as_json, cli


@click.command(
    "reconcile",
    help="與銀行、憑證機構、業者對帳；有任何差異，結束代碼為 1。不會更改任何資料。\n\n"
    "Hold our books against those of the bank, the CA and the carriers; exits with 1 on any "
    "difference. Nothing is changed.",
)
@as_json
@cli
@click.pass_context
def command(ctx: click.Context, context: CliContext, *, as_json: bool) -> None:
    from templates.codes import text  # noqa: PLC0415 - help needs none
    from xuqi.reconcile import reconcile  # noqa: PLC0415

    lang = context.lang.value
    rows = [
        {"side": one.side, "code": one.code.value, "key": one.key, "what": text(one.code, lang)}
        for one in reconcile(context.app)
    ]
    sides = {
        "bank": context.lang.pick("銀行", "bank"),
        "ca": context.lang.pick("憑證機構", "CA"),
        "carrier": context.lang.pick("業者", "carrier"),
    }
    context.print_table(
        (("對象", "代碼", "哪一筆", "差異"), ("with", "code", "which", "difference")),
        rows,
        as_json=as_json,
        cells=lambda row: (sides[row["side"]], row["code"], row["key"], row["what"]),
    )
    ctx.exit(1 if rows else 0)
