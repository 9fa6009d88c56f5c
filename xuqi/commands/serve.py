"""`xuqi serve`: everything in one process."""

from __future__ import annotations

import click

from xuqi.desk import Desk, desk


@click.command(
    "serve", help="在一個程序裡執行全部服務，直到 SIGTERM。\n\nRun everything until SIGTERM."
)
@desk
@click.pass_context
def command(ctx: click.Context, desk: Desk) -> None:
    from xuqi.serving.process import serve  # noqa: PLC0415 - help needs nothing of it

    ctx.exit(serve(desk.house))
