"""`xuqi check`: recomputes the invariants."""

from __future__ import annotations

import click

from xuqi.desk import Desk, as_json, desk


@click.command(
    "check",
    help="重新核對各項不變條件；有任何違反，結束代碼為 1。\n\n"
    "Recompute the invariants; exits with 1 on any violation.",
)
@as_json
@desk
@click.pass_context
def command(ctx: click.Context, desk: Desk, *, as_json: bool) -> None:
    from xuqi.check import main  # noqa: PLC0415 - help needs none

    ctx.exit(main(desk.house, json=as_json))
