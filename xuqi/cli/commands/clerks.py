"""`xuqi clerk`: who may work at this station's screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from xuqi.cli.context import CliContext, as_json, cli

if TYPE_CHECKING:
    from token_station.screen.clerks import Clerks


@click.group(
    "clerk",
    help="作業站的經辦與主管。\n\nClerks and supervisors of this computer's token station.",
)
def command() -> None:
    pass


@command.command(help="新增，或更換密碼。\n\nAdd one, or give a new password.")
@click.argument("name")
@click.option("--shown", default="", help="顯示的姓名 / the name that the screen shows")
@click.option(
    "--role",
    type=click.Choice(["clerk", "supervisor"]),
    default="clerk",
    show_default=True,
    help="經辦或主管（核准解鎖）/ a supervisor approves an unblocking",
)
@click.option(
    "--own-token",
    "own_tokens",
    multiple=True,
    help="本人的載具序號，不能由本人辦理 / this person's own token, which others work on",
)
@cli
def add(context: CliContext, name: str, shown: str, role: str, own_tokens: tuple[str, ...]) -> None:
    from token_station.screen.clerks import Role  # noqa: PLC0415 - help needs none

    password = context.ask_hidden("密碼（10 個字以上）", "password (10 characters or more)")
    if context.ask_hidden("再一次", "once more") != password:
        context.refuse("兩次不同：沒有變動", "the two differ: nothing was changed")
    clerk = _clerks(context).add(
        name, password, shown=shown, role=Role(role), own_tokens=own_tokens
    )
    context.say(
        f"已新增 {clerk.name}（{clerk.role.value}）", f"added {clerk.name} ({clerk.role.value})"
    )


@command.command("list", help="這台作業站的人。\n\nThe people of this station.")
@as_json
@cli
def list_(context: CliContext, *, as_json: bool) -> None:
    rows = [
        {"name": one.name, "shown": one.shown, "role": one.role.value}
        for one in _clerks(context).all()
    ]
    context.print_table(
        (("代號", "姓名", "角色"), ("name", "shown", "role")),
        rows,
        as_json=as_json,
        cells=lambda row: (row["name"], row["shown"], row["role"]),
    )


@command.command(help="移除。\n\nRemove one.")
@click.argument("name")
@cli
def remove(context: CliContext, name: str) -> None:
    if not _clerks(context).remove(name):
        context.refuse(f"沒有 {name}", f"there is no {name}")
    context.say(f"已移除 {name}", f"removed {name}")


def _clerks(context: CliContext) -> Clerks:
    from renewal.clock import SystemClock  # noqa: PLC0415 - help needs none
    from xuqi.screen import clerks_of  # noqa: PLC0415

    return clerks_of(context.settings, context.clock or SystemClock())
