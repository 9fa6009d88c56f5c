"""`xuqi console`: serves the back office's pages."""

from __future__ import annotations

import signal
import threading
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from xuqi.cli.context import CliContext, cli

if TYPE_CHECKING:
    from collections.abc import Mapping

    from renewal.db.unit_of_work import UnitOfWork
    from renewal.store.reports import ConsumerStatus


@click.command("console", help="後台網頁（預設只在本機）。\n\nServe the console's pages.")
@click.option("--host", default="127.0.0.1", show_default=True, help="位址 / the address")
@click.option("--port", default=8482, show_default=True, type=click.IntRange(0, 65_535))
@click.option("--name", "names", multiple=True, help="對外名稱 / a name that it is reached by")
@click.option(
    "--https", is_flag=True, help="前面的代理伺服器以 TLS 服務 / a proxy before it speaks TLS"
)
@cli
def command(cli: CliContext, host: str, port: int, names: tuple[str, ...], *, https: bool) -> None:
    from back_office.console.app import MAX_UPLOAD, console_app  # noqa: PLC0415 - help needs none
    from web.guard import LOOPBACK  # noqa: PLC0415 - as above
    from xuqi.bank_log_in import staff_log_in  # noqa: PLC0415 - as above
    from xuqi.reconcile import comparisons  # noqa: PLC0415 - as above
    from xuqi.serving import http  # noqa: PLC0415 - as above

    branches = [name.strip() for name in cli.settings.branches.split(",") if name.strip()]
    pages = console_app(
        cli.store,
        cli.policies,
        branches=branches,
        hosts={*LOOPBACK, *names},
        renderer=cli.renderer,
        https=https,
        limits=cli.bank.approval_limits(),
        bank_log_in=staff_log_in(cli.settings, cli.store.clock, cli.environment),
        comparisons=comparisons(lambda: cli.app),
        consumers=lambda look: _standing(cli, look),
    )
    served = http.mounted(http.Mount(path="", app=pages, body_bytes=MAX_UPLOAD))
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    limits = http.Limits(proxies=cli.settings.proxy_addresses)
    with http.listening(served, host, port, limits=limits) as bound:
        address = f"http://{host}:{bound}/"
        cli.say(f"後台：{address}（Ctrl-C 結束）", f"console: {address} (Ctrl-C ends it)")
        stop.wait()


def _standing(cli: CliContext, look: UnitOfWork) -> Mapping[str, ConsumerStatus]:
    """How each consumer stands; on Kafka as the broker says, and nothing while it is silent."""
    from consumers.registry import consumer_types, standing  # noqa: PLC0415 - help needs none
    from renewal.eventlog.port import LogUnavailableError  # noqa: PLC0415 - as above
    from xuqi.event_log import open_backlog  # noqa: PLC0415 - as above
    from xuqi.reachable import KNOCK  # noqa: PLC0415 - as above

    try:
        backlog = open_backlog(cli.settings, patience=timedelta(seconds=KNOCK))
        if backlog is None:
            return standing(look)
        with closing(backlog):
            return standing(look, backlog.of({it.group: it.topics for it in consumer_types()}))
    except LogUnavailableError:
        return {}
