"""`xuqi db`: the database's tables."""

from __future__ import annotations

import click

from xuqi.cli.context import CliContext, cli


@click.group("db", help="資料庫結構。\n\nThe database's tables.")
def command() -> None:
    pass


@command.command(
    help="升級到這個版本的結構；重複執行無妨。\n\nBring the tables up to this version."
)
@cli
def upgrade(context: CliContext) -> None:
    context.store  # noqa: B018 - opening it is what brings it up to date
    context.say("資料庫已是最新結構", "the database is up to date")


@command.command(
    help="退回舊版程式認得的結構。\n\nTake the tables back to an older shape, for an older program."
)
@click.argument("revision")
@cli
def downgrade(context: CliContext, revision: str) -> None:
    from renewal.errors import XuqiError  # noqa: PLC0415 - help needs none
    from schema import migrate  # noqa: PLC0415
    from xuqi.bootstrap import migrating  # noqa: PLC0415

    with migrating():
        try:
            migrate.downgrade(context.settings.store, revision)
        except migrate.MigrationError as error:
            raise XuqiError(str(error)) from error
    context.say(f"資料庫已退回結構 {revision}", f"the database is back at {revision}")
