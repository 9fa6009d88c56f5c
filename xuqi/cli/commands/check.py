"""`xuqi check`: recomputes the invariants."""

from __future__ import annotations

import click

from xuqi.cli.context import CliContext, as_json, cli
from xuqi.cli.i18n import Lang


@click.command(
    "check",
    help="重新核對各項不變條件；有任何違反，結束代碼為 1。\n\n"
    "Recompute the invariants; exits with 1 on any violation.",
)
@as_json
@cli
@click.pass_context
def command(ctx: click.Context, context: CliContext, *, as_json: bool) -> None:
    from xuqi.check import main  # noqa: PLC0415 - help needs none

    ctx.exit(main(context.app, json=as_json, english=context.lang is Lang.EN))
