"""`xuqi staff`: accounts of the console: add, list, end."""

from __future__ import annotations

import click

from xuqi.cli.context import CliContext, as_json, cli
from xuqi.cli.i18n import moment
from xuqi.identity import operator


@click.group("staff", help="後台帳號：新增、清單、停用。\n\nAccounts of the console.")
def command() -> None:
    pass


ROLES = ("maker", "checker", "operator", "auditor", "administrator")


@command.command(help="新增帳號；第一組密碼只顯示一次。\n\nAdd an account.")
@click.argument("name")
@click.option(
    "--role",
    "roles",
    multiple=True,
    required=True,
    type=click.Choice(ROLES),
    help="職務，可多次 / a role, more than once",
)
@click.option("--why", required=True, help="原因，留存稽核紀錄 / the reason, for the trail")
@as_json
@cli
def add(cli: CliContext, name: str, roles: tuple[str, ...], why: str, *, as_json: bool) -> None:
    from back_office.staff import Staff, StaffRole  # noqa: PLC0415 - help needs none

    chosen = [StaffRole(role) for role in roles]
    password = Staff(cli.store).add(name, chosen, who=operator(), why=why)
    line = cli.lang.pick(
        f"{name}：第一組密碼 {password}（登入後必須更換）",
        f"{name}: first password {password}, to be changed at the log-in",
    )
    cli.print_result({"name": name, "password": password}, [line], as_json=as_json)


@command.command("list", help="列出帳號。\n\nList the accounts.")
@as_json
@cli
def list_(cli: CliContext, *, as_json: bool) -> None:
    from back_office.staff import Staff  # noqa: PLC0415 - help needs none

    rows = [
        {"name": one.name, "roles": one.roles, "made_at": one.made_at, "ended_at": one.ended_at}
        for one in Staff(cli.store).everybody()
    ]
    cli.print_table(
        (("帳號", "職務", "建立", "停用"), ("account", "roles", "made", "ended")),
        rows,
        as_json=as_json,
        cells=lambda row: (
            row["name"],
            row["roles"],
            moment(row["made_at"]),
            moment(row["ended_at"]) if row["ended_at"] else "-",
        ),
    )


@command.command(help="停用帳號。\n\nEnd an account.")
@click.argument("name")
@click.option("--why", required=True, help="原因，留存稽核紀錄 / the reason, for the trail")
@cli
def end(cli: CliContext, name: str, why: str) -> None:
    from back_office.staff import Staff  # noqa: PLC0415 - help needs none

    Staff(cli.store).end(name, who=operator(), why=why)
    cli.say(f"{name}：已停用", f"{name}: ended")


@command.group(
    help="緊急帳號：本行的登入無法使用時開後台，每次使用都會警示。\n\n"
    "The account that opens the console when the bank's log-in cannot; each use is an alarm."
)
def emergency() -> None:
    pass


@emergency.command(
    help="建立緊急帳號；密碼與驗證程式的金鑰只顯示一次，請封存。\n\n"
    "Make it; the password and the app's secret are shown once, for an envelope."
)
@click.argument("name")
@click.option(
    "--role",
    "roles",
    multiple=True,
    default=("administrator", "operator"),
    show_default=True,
    type=click.Choice(ROLES),
    help="職務，可多次 / a role, more than once",
)
@click.option("--why", required=True, help="原因，留存稽核紀錄 / the reason, for the trail")
@as_json
@cli
def make(cli: CliContext, name: str, roles: tuple[str, ...], why: str, *, as_json: bool) -> None:
    from back_office.emergency import EmergencyAccounts  # noqa: PLC0415 - help needs none
    from back_office.staff import StaffRole  # noqa: PLC0415 - as above

    bank = cli.renderer.bank.name_zh
    chosen = {StaffRole(role) for role in roles}
    kit = EmergencyAccounts(cli.store).make(name, chosen, bank=bank, who=operator(), why=why)
    values = {
        "name": name, "password": kit.password, "secret": kit.secret, "address": kit.address,
    }  # fmt: skip
    lines = [
        cli.lang.pick(f"帳號 {name}，密碼 {kit.password}", f"{name}, password {kit.password}"),
        cli.lang.pick(f"驗證程式金鑰 {kit.secret}", f"secret of the app {kit.secret}"),
        kit.address,
        cli.lang.pick(
            f"輸入驗證程式的 6 位數字後才能使用：xuqi staff emergency confirm {name} 數字",
            f"it opens once a code is confirmed: xuqi staff emergency confirm {name} CODE",
        ),
    ]
    cli.print_result(values, lines, as_json=as_json)


@emergency.command(help="以驗證程式的數字確認，帳號從此可用。\n\nConfirm it by a code of the app.")
@click.argument("name")
@click.argument("code")
@cli
def confirm(cli: CliContext, name: str, code: str) -> None:
    from back_office.emergency import EmergencyAccounts  # noqa: PLC0415 - help needs none

    EmergencyAccounts(cli.store).confirm(name, code, who=operator())
    cli.say(f"{name}：可以使用", f"{name}: may be used")
