"""`xuqi db`: the database's tables."""

from __future__ import annotations

import click

from xuqi.desk import Desk, desk


@click.group("db", help="資料庫結構。\n\nThe database's tables.")
def command() -> None:
    pass


@command.command(
    help="升級到這個版本的結構；重複執行無妨。\n\nBring the tables up to this version."
)
@desk
def upgrade(desk: Desk) -> None:
    desk.store  # noqa: B018 - opening it is what brings it up to date
    desk.say("資料庫已是最新結構", "the database is up to date")
