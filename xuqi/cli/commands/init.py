"""`xuqi init`: makes a home on purpose."""

from __future__ import annotations

import click

from xuqi.cli.context import CliContext, cli


@click.command(
    "init",
    help="在空的資料夾建立新的安裝：機密、資料庫、憑證機構。\n\n"
    "Make a new home in an empty folder: its secrets, its database and its CA.",
)
@click.option(
    "--trial",
    is_flag=True,
    help="試用：憑證裡的網址只有這台電腦看得到 / for a trial: certificates name this machine alone",
)
@cli
def command(context: CliContext, *, trial: bool) -> None:
    from xuqi.bank import write_sample  # noqa: PLC0415 - help needs none

    settings = context.settings
    if settings.is_used:
        context.refuse(
            f"{settings.home} 已有安裝：不會覆蓋",
            f"{settings.home} is in use already: nothing is made",
        )
    if not settings.public_url and not trial:
        raise click.UsageError(
            context.lang.pick(
                "請先設定 XUQI_PUBLIC_URL：憑證都會寫入這個網址，之後不能更改；試用可加 --trial",
                "set XUQI_PUBLIC_URL first: certificates name it for good; for a trial, --trial",
            )
        )
    context.app.gateways.ca  # noqa: B018 - opening it makes it
    if settings.bank_folder is None and not trial:
        written = write_sample(settings.home / "bank")
        context.say(
            f"請把本行資料寫進 {written}（docs/bank.md），再執行 `xuqi bank check`",
            f"put your bank's own data into {written} (docs/bank.md), then run `xuqi bank check`",
        )
    context.say(f"已建立 {settings.home}", f"{settings.home} is made")
