"""`xuqi config`: the settings, without their secrets."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from xuqi.cli.context import CliContext, as_json, cli
from xuqi.cli.i18n import table

if TYPE_CHECKING:
    from xuqi.settings import Settings

#: Secrets that somebody else gives us, beside our own.
GIVEN = {"twilio": "sms_url", "smtp": "mail_url", "bounces": "bounces_url"}
NONE_OF_OTHERS = ("local", "maildir", "")
#: Where a URL may hold a password; a database's may hold any sign but an "@". A host with its port
#: before a query with an address in it is none.
_URL = re.compile(r"[a-z0-9+.-]+:(//|$)")
_BEFORE_HOST = re.compile(r"(?<=://)([^:/@?]*):(?![0-9]+[?])[^@]*@")
_IN_QUERY = re.compile(r"(?i)([?&][^=&]*(?:password|secret|token)=)[^&]*")


@click.group("config", help="設定。\n\nThe settings.")
def command() -> None:
    pass


@command.command(
    help="顯示設定與機密的來源，不顯示機密本身。\n\nShow the settings and where secrets come from."
)
@as_json
@cli
def show(context: CliContext, *, as_json: bool) -> None:
    settings = context.settings
    values = {
        f"XUQI_{field.name.upper()}": _shown(field.name, getattr(settings, field.name))
        for field in fields(settings)
    }
    secrets = _secrets(context, settings)
    shown = {
        "settings": values,
        "store": _without_password(settings.store),
        "public": settings.public,
        "secrets": secrets,
    }
    head = context.lang.pick("設定 值", "setting value").split()
    heads = context.lang.pick("機密 來源", "secret from").split()
    lines = table(head, list(values.items()))
    lines += ["", *table(heads, list(secrets.items()))]
    context.print_result(shown, lines, as_json=as_json)


def _shown(name: str, value: object) -> str:
    """
    What should be a URL and is none may be a password in the wrong place.
    """
    text = "" if value is None else str(value)
    if name.endswith("_url") and text and not _URL.match(text):
        return "***"
    return _without_password(text)


def _without_password(text: str) -> str:
    """
    The same text: a URL that cannot be parsed is shown, too, and is no place for a password either.
    """
    return _IN_QUERY.sub(r"\1***", _BEFORE_HOST.sub(r"\1:***@", text))


def _secrets(context: CliContext, settings: Settings) -> dict[str, Any]:
    from renewal.keys import KEY_NAMES  # noqa: PLC0415 - help needs none
    from xuqi.settings import SECRET_PREFIX  # noqa: PLC0415

    folder = settings.secrets_folder
    names = list(KEY_NAMES)
    # A carrier's or a server's secret is told of only where there is such a carrier.
    names += [
        name
        for name, url in GIVEN.items()
        if getattr(settings, url).partition(":")[0] not in NONE_OF_OTHERS
    ]
    found = {}
    for name in names:
        variable, path = f"{SECRET_PREFIX}{name.upper()}", folder / f"{name}.key"
        if context.environment.get(variable):
            found[name] = variable
        elif path.exists():
            found[name] = str(path)
        else:
            found[name] = context.lang.pick("尚無", "none yet")
    return found


@command.command(
    help="檢查所有設定、規則檔、本行資料、資料庫、Kafka 與電信業者，不啟動、不寫入。\n\n"
    "Check every setting, policy, file and outside system, without starting anything."
)
@click.option(
    "--connect",
    is_flag=True,
    help="也連線到業者與郵件伺服器，不送任何訊息"
    " / ask carriers and mail servers, too; nothing is sent",
)
@as_json
@cli
def check(context: CliContext, *, connect: bool, as_json: bool) -> None:
    from xuqi.config_check import check_config  # noqa: PLC0415 - help needs none

    found = list(check_config(context.settings, context.environment, connect=connect))
    for one in found:
        language = context.lang.value
        reason, remedy = one.reason(language), one.remedy(language)
        shown = {"setting": one.setting, "code": one.code, "reason": reason, "remedy": remedy}
        line = context.lang.pick("：", ": ").join(filter(None, (one.setting, reason, remedy)))
        context.print_result(shown, [line], as_json=as_json)
    if found:
        context.refuse(f"有 {len(found)} 項要改", f"{len(found)} to mend")
    context.say("設定沒有問題", "nothing to mend")
