"""`xuqi try`: opens the sample bank for a person, on this computer alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from xuqi.cli.context import CliContext, cli

if TYPE_CHECKING:
    from pathlib import Path


@click.command(
    "try",
    help="打開範例銀行讓人試用：憑證中心、後台、分行作業站、手機與信箱、可以撥快的時鐘。\n\n"
    "Open the sample bank for a person: centre, console, station, mailbox, and a"
    " clock to move.",
)
@click.option(
    "--port",
    default=8480,
    show_default=True,
    type=click.IntRange(1, 65_500),
    help="這個埠與後面三個 / this port and the three after it",
)
@cli
@click.pass_context
def command(ctx: click.Context, context: CliContext, *, port: int) -> None:
    ctx.exit(serve_trial(context.settings.home / "try", port=port))


def serve_trial(home: Path, *, port: int) -> int:
    """Serve the sample bank until it is interrupted. Loopback alone: its passwords are known."""
    from back_office.console.app import MAX_UPLOAD, console_app  # noqa: PLC0415
    from consumers.registry import standing  # noqa: PLC0415
    from simulation.trial import HOST, lines, open_trial  # noqa: PLC0415
    from simulation.trial_pages import trial_app  # noqa: PLC0415
    from simulation.trial_station import trial_station  # noqa: PLC0415
    from xuqi.reconcile import comparisons  # noqa: PLC0415
    from xuqi.serving import http  # noqa: PLC0415
    from xuqi.serving.process import serve  # noqa: PLC0415

    trial = open_trial(home, port=port)
    app = trial.app
    addresses = {
        "試用／trial": f"http://{HOST}:{port + 1}",
        "憑證中心／centre": f"http://{HOST}:{port}",
        "後台／console": f"http://{HOST}:{port + 2}",
        "分行作業站／station": f"http://{HOST}:{port + 3}",
    }
    console = console_app(
        app.store,
        app.policies,
        renderer=app.renderer,
        branches=("001", "002"),
        comparisons=comparisons(lambda: app),
        consumers=standing,
    )
    served = http.mounted(http.Mount(path="", app=console, body_bytes=MAX_UPLOAD))
    with (
        http.listening(trial_app(trial, addresses), HOST, port + 1, setting="--port"),
        http.listening(served, HOST, port + 2, setting="--port"),
        trial_station(trial, port=port + 3),
    ):
        for line in lines(trial, addresses):
            print(line, flush=True)
        return serve(app)
