"""`xuqi serve`: everything in one process, or some of its rooms."""

from __future__ import annotations

import click

from xuqi.desk import Desk, desk
from xuqi.serving.rooms import ROOMS, chosen

_HELP = f"""執行全部服務，直到 SIGTERM；以 --only 只執行其中幾個部門。

Run everything until SIGTERM; with --only some rooms of it. On PostgreSQL each room can be a
process of its own, and there can be several of each; on SQLite one process serves a home.

\b
部門 / rooms:
  {", ".join(ROOMS[:6])},
  {", ".join(ROOMS[6:])}
"""


def _rooms(_ctx: click.Context, _param: click.Parameter, text: str | None) -> frozenset[str]:
    if text is None:
        return frozenset(ROOMS)
    try:
        return chosen(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command("serve", help=_HELP)
@click.option(
    "--only",
    "--rooms",
    "rooms",
    metavar="ROOM,...",
    callback=_rooms,
    help="只執行這些部門，以逗號分隔；預設全部 / only these rooms; all of them if not given",
)
@click.option(
    "--supervised",
    is_flag=True,
    help="在監督程序之下執行，中斷時立即重新開始 / by a worker that is started again when it dies",
)
@desk
@click.pass_context
def command(ctx: click.Context, desk: Desk, *, rooms: frozenset[str], supervised: bool) -> None:
    if supervised:
        from xuqi.serving import supervisor  # noqa: PLC0415 - help needs nothing of it

        supervisor.preload(desk.settings, rooms)
        supervisor.supervise()
    from xuqi.serving.process import serve  # noqa: PLC0415 - help needs nothing of it

    ctx.exit(serve(desk.house, rooms))
