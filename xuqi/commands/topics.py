"""`xuqi topics`: the topics of the log on Kafka, as they are declared."""

from __future__ import annotations

import click

from xuqi.desk import Desk, desk

_HELP = """Kafka 主題：依宣告建立。

The topics on Kafka, made as they are declared.
"""
_APPLY = """建立缺少的主題；已存在的不變更。

Make the topics that are missing; what is there is never changed.
"""


@click.group("topics", help=_HELP)
def command() -> None:
    pass


@command.command("apply", help=_APPLY)
@click.option("--dry-run", is_flag=True, help="只列出要做什麼 / only say what would be done")
@desk
def apply(desk: Desk, *, dry_run: bool) -> None:
    from xuqi.logs import declared_topics, topics  # noqa: PLC0415 - help needs none

    wanted = declared_topics(desk.settings)
    kafka = topics(desk.settings)
    if dry_run:
        for line in kafka.missing(wanted):
            click.echo(line)
        return
    for name in kafka.apply(wanted):
        click.echo(f"{name}: made")
    kafka.check(wanted)
