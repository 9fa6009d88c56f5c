"""`xuqi config`: the settings, without their secrets."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from xuqi.desk import Desk, as_json, desk
from xuqi.language import table

if TYPE_CHECKING:
    from xuqi.settings import Settings

#: Secrets that somebody else gives us, beside our own.
GIVEN = {"twilio": "sms_url", "smtp": "mail_url"}
#: Where a URL may hold a password; a database's may hold any sign but an "@". A host with its port
#: before a query with an address in it is none.
_BEFORE_HOST = re.compile(r"(?<=://)([^:/@?]*):(?![0-9]+[?])[^@]*@")
_IN_QUERY = re.compile(r"(?i)([?&][^=&]*(?:password|secret|token)=)[^&]*")


@click.group("config", help="設定。\n\nThe settings.")
def command() -> None:
    pass


@command.command(
    help="顯示設定與機密的來源，不顯示機密本身。\n\nShow the settings and where secrets come from."
)
@as_json
@desk
def show(desk: Desk, *, as_json: bool) -> None:
    settings = desk.settings
    values = {
        f"XUQI_{field.name.upper()}": _shown(getattr(settings, field.name))
        for field in fields(settings)
    }
    secrets = _secrets(desk, settings)
    told = {
        "settings": values,
        "store": _without_password(settings.store),
        "public": settings.public,
        "secrets": secrets,
    }
    head = desk.lang.pick("設定 值", "setting value").split()
    heads = desk.lang.pick("機密 來源", "secret from").split()
    lines = table(head, list(values.items()))
    lines += ["", *table(heads, list(secrets.items()))]
    desk.told(told, lines, as_json=as_json)


def _shown(value: object) -> str:
    return "" if value is None else _without_password(str(value))


def _without_password(text: str) -> str:
    """
    The same text: a URL that cannot be parsed is shown, too, and is no place for a password either.
    """
    return _IN_QUERY.sub(r"\1***", _BEFORE_HOST.sub(r"\1:***@", text))


def _secrets(desk: Desk, settings: Settings) -> dict[str, Any]:
    from renewal.keys import Keys  # noqa: PLC0415 - help needs none
    from xuqi.settings import SECRET_PREFIX  # noqa: PLC0415

    folder = settings.secrets or settings.home / "secrets"
    names = [field.name for field in fields(Keys)]
    # A carrier's or a server's secret is told of only where there is such a carrier.
    names += [name for name, url in GIVEN.items() if not getattr(settings, url).startswith("local")]
    found = {}
    for name in names:
        variable, path = f"{SECRET_PREFIX}{name.upper()}", folder / f"{name}.key"
        if desk.environment.get(variable):
            found[name] = variable
        elif path.exists():
            found[name] = str(path)
        else:
            found[name] = desk.lang.pick("尚無", "none yet")
    return found
