"""The settings: none needed, all read once, an unknown one stops the process."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, fields
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import sqlalchemy as sa

from renewal.errors import XuqiError
from renewal.keys import Keys
from renewal.secret import Secret, secret_from_file, secret_made_once
from renewal.store.synchronous import Synchronous

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "XUQI_"
SECRET_PREFIX = "XUQI_SECRET_"  # noqa: S105 - the name of a setting
#: The least and the most that a number may be.
RANGES = {"port": (0, 65_535), "metrics_port": (0, 65_535), "replication": (1, 32_767)}
ANY_NUMBER = (1, 1_000)
#: Bytes of a secret at least: 128 bits. An HMAC key of less than 112 protects nothing any more
#: (NIST SP 800-131A, 10).
SHORTEST = 16
#: Of the one by which tokens know their station: a key of AES (FIPS 197), or of triple DES.
OF_A_TOKEN = (16, 24, 32)
BACKENDS = frozenset({"sqlite", "postgresql"})


class SettingsError(XuqiError):
    """
    A setting cannot be used; the text names it and says why.
    """


@dataclass(frozen=True, kw_only=True)
class Settings:
    """
    Each is the environment variable of its name, in capitals after ``XUQI_``.
    """

    home: Path = Path("var")  #: everything that is kept lies under it
    store_url: str = ""  #: default: sqlite:///<home>/store.db; or postgresql+psycopg://...
    log_url: str = "embedded:"  #: on the store's own tables; or kafka://<host>:<port>,...
    sms_url: str = "local:"  #: or twilio://<account>@<codes service>/<reminders service>?base=...
    mail_url: str = "local:"  #: or smtp://<user>@<host>:<port>?from=<address>&tls=verify
    ca_url: str = "embedded:"
    bank_url: str = "embedded:"
    policies: Path | None = None  #: a folder of product policies; default: the three samples
    #: a folder of secret files, all of them there; default: <home>/secrets, made at the first start
    secrets: Path | None = None
    branch: str = "001"  #: of this station
    branches: str = "001,002"  #: of the whole bank: each has a topic of its own on Kafka
    replication: int = 1  #: of the topics on Kafka
    #: this process's name among the consumers on Kafka, kept over a restart; %h: the machine's
    member: str = ""
    host: str = "127.0.0.1"
    port: int = 8480  #: CRL, OCSP and status callbacks
    public_url: str = ""  #: how the world reaches that port; default: http://<host>:<port>
    metrics_port: int = 0  #: /metrics, /livez and /readyz of each process; 0: none
    synchronous: Synchronous = Synchronous.FULL  #: of SQLite; the demo needs no more than NORMAL
    workers: int = 8  #: calls to the outside at once, for each consumer

    @property
    def store(self) -> str:
        return self.store_url or f"sqlite:///{self.home / 'store.db'}"

    @property
    def public(self) -> str:
        return self.public_url or f"http://{self.host}:{self.port}"

    @property
    def known_as(self) -> str:
        return self.member.replace("%h", socket.gethostname())


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """
    Raises:
        SettingsError: an unknown name, or a value that cannot be used.
    """
    known = {field.name: field for field in fields(Settings)}
    values: dict[str, object] = {}
    for name, value in environment.items():
        if not name.startswith(PREFIX) or name.startswith(SECRET_PREFIX):
            continue
        field = known.get(name.removeprefix(PREFIX).lower())
        if field is None:
            near = ", ".join(sorted(PREFIX + other.upper() for other in known))
            raise SettingsError(f"{name} is no setting of Xuqi; there are: {near}")
        values[field.name] = _value(name, str(field.type), value)
    return Settings(**values)  # type: ignore[arg-type]


def _value(name: str, kind: str, text: str) -> object:
    if kind.startswith("Path"):
        return Path(text)
    if kind == "Synchronous":
        if text not in set(Synchronous):
            raise SettingsError(f"{name} must be one of {', '.join(Synchronous)}")
        return Synchronous(text)
    if kind == "int":
        return _number(name, text)
    if name.endswith("_URL"):
        _check_url(name, text)
    return text


def _number(name: str, text: str) -> int:
    least, most = RANGES.get(name.removeprefix(PREFIX).lower(), ANY_NUMBER)
    if not (text.isascii() and text.isdecimal() and least <= int(text) <= most):
        raise SettingsError(f"{name} must be a whole number from {least} to {most}")
    return int(text)


def _check_url(name: str, text: str) -> None:
    """
    Without a word of what the URL says: it may hold a password.
    """
    if name == "XUQI_STORE_URL":
        if text and not _is_database(text):
            like = "postgresql+psycopg://<user>@<host>/<name>"
            raise SettingsError(f"{name} is no URL of a database: {like}")
        return
    try:
        url = urlsplit(text)
        if name != "XUQI_LOG_URL":  # that one names several, each with its port
            url.port  # noqa: B018 - looked at when it is asked for
    except ValueError:
        raise SettingsError(f"{name} is no URL") from None


def _is_database(url: str) -> bool:
    try:
        return sa.create_engine(url).url.get_backend_name() in BACKENDS
    except (ValueError, ImportError, sa.exc.ArgumentError):  # the last: no URL, or no such kind
        return False


def read_keys(settings: Settings, environment: Mapping[str, str] = os.environ) -> Keys:
    """
    Read each secret from the environment or its file. In the house's own folder a file is made at
    the first start; in a folder that was named it is there, or that is the wrong folder.

    Raises:
        SettingsError: a secret is missing, cannot be read or made, is no key, or is that of
            another purpose, too.
    """
    folder = settings.secrets or settings.home / "secrets"
    found = {}
    for field in fields(Keys):
        variable = SECRET_PREFIX + field.name.upper()
        given = environment.get(variable)
        path = folder / f"{field.name}.key"
        length = 12 if field.name == "tokens" else 32  # 24 hex digits: an AES-192 key
        try:
            found[field.name] = (
                Secret(given.encode())
                if given
                else secret_from_file(path)
                if settings.secrets
                else secret_made_once(path, length=length)
            )
        except XuqiError as error:
            raise SettingsError(f"XUQI_SECRETS: {error}") from error
        except OSError as error:
            raise SettingsError(f"{path} cannot be made: {error.strerror}") from error
        why = _no_key(field.name, len(found[field.name].value))
        if why:
            raise SettingsError(f"{variable if given else path} {why}")
    for one, other in combinations(found, 2):
        if found[one] == found[other]:
            raise SettingsError(f"XUQI_SECRETS: {one} and {other} are the same; each has its own")
    return Keys(**found)


def _no_key(name: str, length: int) -> str | None:
    """
    Why a secret of so many bytes is none for its purpose.
    """
    if name == "tokens" and length not in OF_A_TOKEN:
        return f"has {length} bytes: a token's management key has 16, 24 or 32"
    return f"has {length} bytes: at least {SHORTEST} are a key" if length < SHORTEST else None


def other_secret(settings: Settings, name: str, environment: Mapping[str, str] = os.environ) -> str:
    """
    A secret that somebody else has given us: a carrier's token, a server's password.

    Raises:
        SettingsError: it is neither in the environment nor in a file that can be read.
    """
    given = environment.get(SECRET_PREFIX + name.upper())
    if given:
        return given
    path = (settings.secrets or settings.home / "secrets") / f"{name}.key"
    if not path.exists():
        raise SettingsError(
            f"{SECRET_PREFIX}{name.upper()} is not set, and there is no file {path}"
        )
    try:
        found = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the secret file {path} cannot be read") from error
    if not found:
        raise SettingsError(f"the secret file {path} is empty")
    return found
