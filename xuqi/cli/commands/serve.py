"""`xuqi serve`: everything in one process, or some of its components."""

from __future__ import annotations

import click

from xuqi.cli.context import CliContext, cli
from xuqi.serving.components import COMPONENTS, selected_components

_HELP = f"""執行全部服務，直到 SIGTERM；以 --only 只執行其中幾個元件。

Run everything until SIGTERM; with --only some components of it. On PostgreSQL each can be a
process of its own, and there can be several of each; on SQLite one process serves a home.

\b
元件 / components:
  {", ".join(COMPONENTS[:6])},
  {", ".join(COMPONENTS[6:])}
"""


def _components(_ctx: click.Context, _param: click.Parameter, text: str | None) -> frozenset[str]:
    if text is None:
        return frozenset(COMPONENTS)
    try:
        return selected_components(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command("serve", help=_HELP)
@click.option(
    "--only",
    "--rooms",
    "components",
    metavar="COMPONENT,...",
    callback=_components,
    help="只執行這些元件，以逗號分隔；預設全部 / only these components; all of them if not given",
)
@click.option(
    "--supervised",
    is_flag=True,
    help="在監督程序之下執行，中斷時立即重新開始 / by a worker that is started again when it dies",
)
@cli
@click.pass_context
def command(
    ctx: click.Context, context: CliContext, *, components: frozenset[str], supervised: bool
) -> None:
    if supervised:
        from xuqi.serving import supervisor  # noqa: PLC0415 - help needs nothing of it

        supervisor.preload(context.settings, components)
        supervisor.supervise()
    from xuqi.serving.process import serve  # noqa: PLC0415 - help needs nothing of it

    ctx.exit(serve(context.app, components))
