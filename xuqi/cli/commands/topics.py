"""`xuqi topics`: the topics of the log on Kafka, as they are declared."""

from __future__ import annotations

import click

from xuqi.cli.context import CliContext, cli
from xuqi.terminal import safe

_HELP = """Kafka 主題：依宣告建立。

The topics on Kafka, made as they are declared.
"""
_APPLY = """建立缺少的主題；已存在的不變更。

Make the topics that are missing; what is there is never changed.
"""
_ACL = """印出各元件在 Kafka 上的權限（kafka-acls.sh 的指令），或直接授予。

Print what each component's user may do on Kafka, as a script of kafka-acls.sh; or grant it.
"""


@click.group("topics", help=_HELP)
def command() -> None:
    pass


@command.command("apply", help=_APPLY)
@click.option("--dry-run", is_flag=True, help="只列出要做什麼 / only say what would be done")
@cli
def apply(context: CliContext, *, dry_run: bool) -> None:
    from xuqi.event_log import declared_topics, topics  # noqa: PLC0415 - help needs none

    wanted = declared_topics(context.settings)
    kafka = topics(context.settings)
    if dry_run:
        for line in kafka.missing(wanted):
            click.echo(safe(line))
        return
    for name in kafka.apply(wanted):
        click.echo(f"{name}: made")
    kafka.check(wanted)


@command.command("acl", help=_ACL)
@click.option(
    "--grant", "granting", is_flag=True, help="以現在的帳號授予 / grant them, as this user"
)
@cli
def acl(context: CliContext, *, granting: bool) -> None:
    from xuqi.event_log import connection, must_be_kafka  # noqa: PLC0415 - as above
    from xuqi.log_rights import log_rights, script  # noqa: PLC0415

    must_be_kafka(context.settings)
    kafka = connection(context.settings)
    rights = log_rights(context.settings.branch_names, kafka.prefix)
    if not granting:
        click.echo(script(rights), nl=False)
        return
    from renewal.eventlog.kafka import grant  # noqa: PLC0415 - an extra of the big setting

    grant(kafka, rights)
    click.echo(context.lang.pick(f"已授予 {len(rights)} 項權限", f"{len(rights)} rights granted"))
