"""`xuqi demo`: the main job on a sample bank."""

from __future__ import annotations

import click

from xuqi.cli.context import CliContext, cli


@click.command("demo", help="用範例銀行跑完整個流程。\n\nRun the main job on a sample bank.")
@click.option(
    "--seed", default=1, show_default=True, help="同一個數字，同一個故事 / one seed, one story"
)
@click.option("--customers", default=2_000, show_default=True, type=click.IntRange(min=1))
@click.option("--days", default=75, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--kafka",
    is_flag=True,
    help="在 Kafka 與 PostgreSQL 上，各元件自成行程並隨機終止"
    " / on Kafka and PostgreSQL, each component in processes of its own that are killed at random",
)
@cli
@click.pass_context
def command(
    ctx: click.Context, context: CliContext, *, seed: int, customers: int, days: int, kafka: bool
) -> None:
    from simulation.run import main, main_on_kafka  # noqa: PLC0415 - help needs nothing of it

    tell, name = (main_on_kafka, "demo-kafka") if kafka else (main, "demo")
    ctx.exit(tell(seed, customers, days, context.settings.home / name))
