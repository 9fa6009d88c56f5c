"""The settings: all optional, read once; an unknown name stops the process."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from dataclasses import dataclass, fields
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

import sqlalchemy as sa

from renewal.db.synchronous import Synchronous
from renewal.errors import ReasonedError
from renewal.keys import KEY_NAMES
from renewal.rules.first_days import FirstDays
from schema.reasons import SettingReason
from templates.codes import remedy, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schema.reasons import Reason

PREFIX = "XUQI_"
SECRET_PREFIX = "XUQI_SECRET_"  # noqa: S105 - the name of a setting
#: The least and the most that a number may be.
RANGES = {
    "port": (0, 65_535),
    "metrics_port": (0, 65_535),
    "replication": (1, 32_767),
    "shared_contacts": (1, 1_000_000),
    "http_connections": (8, 10_000),
    "http_rate": (1, 1_000_000),
    "first_days": (1, 90),
    "first_days_cap": (0, 10_000_000),
}
ANY_NUMBER = (1, 1_000)
#: Settings that become names of files, topics and groups.
NAMES = frozenset({"branch", "branches", "member"})
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,15}")
_MEMBER = re.compile(r"[0-9A-Za-z._%-]{0,64}")
#: Secrets that somebody else gives us, beside our own.
GIVEN_SECRETS = ("twilio", "smtp", "kafka", "bounces", "centre-oidc", "console-oidc")
LOG_INS = ("local", "bank", "both")
READERS = ("simulated", "pcsc")
BACKENDS = frozenset({"sqlite", "postgresql"})


class SettingsError(ReasonedError):
    """
    A setting, or what it points at, cannot be used. ``about`` is its name or the file's, and the
    text says it in English, with what to do, for logs and exceptions.
    """

    def __init__(self, about: str, reason: Reason | SettingReason) -> None:
        super().__init__(reason, about)

    def __str__(self) -> str:
        return f"{self.about}: {self.in_words('en')}"

    def in_words(self, language: str) -> str:
        """Why, and what to do."""
        sentences = (text(self.reason, language), remedy(self.reason, language))
        return ("：" if language == "zh-TW" else ": ").join(filter(None, sentences))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Each setting is the environment variable ``XUQI_`` plus its name in capitals."""

    home: Path = Path("var")  #: everything that is kept lies under it
    store_url: str = ""  #: default: sqlite:///<home>/store.db; or postgresql+psycopg://...
    log_url: str = "embedded:"  #: on the store's own tables; or kafka://<host>:<port>,...
    sms_url: str = "local:"  #: or twilio://<account>@<codes service>/<reminders service>?base=...
    mail_url: str = "local:"  #: or smtp://<user>@<host>:<port>?from=<address>&tls=verify
    #: where reports on mails arrive: maildir:/<folder>, or imaps://<user>@<host>/<folder>
    bounces_url: str = ""
    ca_url: str = "embedded:"
    bank_url: str = "embedded:"
    #: a folder of the bank's own data (docs/bank.md); default: <home>/bank, if it is there;
    #: "sample": the invented bank, for a trial
    bank: Path | None = None
    trust: Path | None = None  #: a file or folder of the CAs whose certificates are taken in
    #: a file that each new line of the audit trail is told to: best on another machine's disk
    audit_heads: Path | None = None
    #: customers to whom a file may give one number or address before it wants a yes
    shared_contacts: int = 20
    policies: Path | None = None  #: a folder of product policies; default: the three samples
    #: a folder of secret files, all of them there; default: <home>/secrets, made at the first start
    secrets: Path | None = None
    branch: str = "001"  #: of this station
    #: a card in each file of <home>/cards; or pcsc: what is attached; or pkcs11:<token model>
    readers: str = "simulated"
    branches: str = "001,002"  #: of the whole bank: each has a topic of its own on Kafka
    #: the first day on which customers are reminded, as 2026-12-07; none: from the first start on
    go_live: str = ""
    first_days: int = 7  #: on so many days from then on the cap counts
    first_days_cap: int = 0  #: customers reminded a day at most on those days; 0: any number
    replication: int = 1  #: of the topics on Kafka
    #: this process's name among the consumers on Kafka, kept over a restart; %h: the machine's
    member: str = ""
    host: str = "127.0.0.1"
    port: int = 8480  #: CRL, OCSP and status callbacks
    #: how customers log in: local (a password here), bank (OpenID Connect), or both
    centre_log_in: str = "local"
    centre_oidc_issuer: str = ""  #: the bank's issuer, exactly as it calls itself
    centre_oidc_client: str = ""  #: who we are to it; its secret: XUQI_SECRET_CENTRE_OIDC
    centre_oidc_scope: str = "openid"  #: what is asked for, with blanks between
    centre_oidc_customer: str = "customer_number"  #: the claim with the bank's customer number
    centre_oidc_user_code: str = ""  #: the claim with the user code; none: its first product's role
    console_log_in: str = "local"  #: how staff log in: local, bank, or both
    console_oidc_issuer: str = ""
    console_oidc_client: str = ""
    console_oidc_scope: str = "openid"
    #: the claim that names a member of staff for good: two persons are told apart by it
    console_oidc_name: str = "sub"
    console_oidc_groups: str = "groups"  #: the claim with the groups of the directory
    console_oidc_roles: str = ""  #: <group>=<role>;...: maker, checker, operator, auditor ...
    public_url: str = ""  #: how the world reaches that port; default: http://<host>:<port>
    metrics_host: str = "127.0.0.1"  #: where /metrics and /readyz are: never to the world
    metrics_port: int = 0  #: /metrics, /livez and /readyz of each process; 0: none
    http_connections: int = 200  #: of clients at once, for the public port
    http_rate: int = 5_000  #: requests in a second of one client's address
    #: whose X-Forwarded-For is believed: addresses or networks of the proxies before these ports
    proxies: str = "127.0.0.1,::1"
    synchronous: Synchronous = Synchronous.FULL  #: of SQLite; the demo needs no more than NORMAL
    workers: int = 8  #: calls to the outside at once, for each consumer

    SAMPLE: ClassVar[Path] = Path("sample")

    @property
    def store(self) -> str:
        return self.store_url or f"sqlite:///{self.home / 'store.db'}"

    @property
    def database_file(self) -> Path | None:
        """The file of an SQLite database; ``None``: it is a server's."""
        url = sa.make_url(self.store)
        sqlite = url.get_backend_name() == "sqlite" and url.database not in {None, ":memory:"}
        return Path(url.database or "") if sqlite else None

    @property
    def is_used(self) -> bool:
        """Whether something is kept here already: a missing secret is lost then, not to be made."""
        file = self.database_file
        if file is not None:
            return file.exists() and file.stat().st_size > 0
        folder = self.home / "secrets"
        return any((folder / f"{name}.key").exists() for name in KEY_NAMES)

    @property
    def secrets_folder(self) -> Path:
        return self.secrets or self.home / "secrets"

    @property
    def bank_folder(self) -> Path | None:
        """The bank's own data; ``None``: the invented bank."""
        if self.bank is not None:
            return None if self.bank == self.SAMPLE else self.bank
        folder = self.home / "bank"
        return folder if folder.is_dir() else None

    @property
    def audit_file(self) -> Path:
        return self.audit_heads or self.home / "audit-heads.jsonl"

    @property
    def public(self) -> str:
        return self.public_url or f"http://{self.host}:{self.port}"

    @property
    def proxy_addresses(self) -> tuple[str, ...]:
        return tuple(filter(None, (one.strip() for one in self.proxies.split(","))))

    @property
    def branch_names(self) -> frozenset[str]:
        return frozenset(name.strip() for name in self.branches.split(",") if name.strip())

    @property
    def begins(self) -> FirstDays:
        """What holds reminders on the first days."""
        day = date.fromisoformat(self.go_live) if self.go_live else None
        return FirstDays(begins=day, days=self.first_days, a_day=self.first_days_cap)

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
        if not name.startswith(PREFIX):
            continue
        if name.startswith(SECRET_PREFIX):
            _check_secret_name(name)
            continue
        field = known.get(name.removeprefix(PREFIX).lower())
        if field is None:
            near = ", ".join(sorted(PREFIX + other.upper() for other in known))
            raise SettingsError(name, SettingReason.UNKNOWN.why(known=near))
        values[field.name] = _value(name, str(field.type), value)
    if values.get("first_days_cap") and not values.get("go_live"):
        raise SettingsError(f"{PREFIX}FIRST_DAYS_CAP", SettingReason.NO_GO_LIVE)
    return Settings(**values)  # type: ignore[arg-type]


def _check_secret_name(name: str) -> None:
    known = sorted([*KEY_NAMES, *GIVEN_SECRETS])
    plain = re.sub(r"_[1-9][0-9]{0,2}$", "", name.removeprefix(SECRET_PREFIX))  # a key's number
    if plain.lower().replace("_", "-") not in known:
        there_are = ", ".join(SECRET_PREFIX + one.upper().replace("-", "_") for one in known)
        raise SettingsError(name, SettingReason.UNKNOWN_SECRET.why(known=there_are))


def _value(name: str, kind: str, text: str) -> object:
    if kind.startswith("Path"):
        return Path(text)
    if kind == "Synchronous":
        if text not in set(Synchronous):
            raise SettingsError(name, SettingReason.NO_CHOICE.why(known=", ".join(Synchronous)))
        return Synchronous(text)
    if kind == "int":
        return _number(name, text)
    if name == PREFIX + "READERS" and text not in READERS and not text.startswith("pkcs11:"):
        known = ", ".join((*READERS, "pkcs11:<token model>"))
        raise SettingsError(name, SettingReason.NO_CHOICE.why(known=known))
    if name.endswith("_LOG_IN") and text not in LOG_INS:
        raise SettingsError(name, SettingReason.NO_CHOICE.why(known=", ".join(LOG_INS)))
    if check := _CHECKS.get(name):
        check(name, text)
    if name.endswith("_URL"):
        _check_url(name, text)
    if name.removeprefix(PREFIX).lower() in NAMES:
        _check_name(name, text)
    return text


def _check_proxies(name: str, text: str) -> None:
    for one in filter(None, (part.strip() for part in text.split(","))):
        try:
            ipaddress.ip_network(one)
        except ValueError:
            raise SettingsError(name, SettingReason.NO_NETWORK) from None


def _check_date(name: str, text: str) -> None:
    try:
        date.fromisoformat(text or "2026-12-07")
    except ValueError:
        raise SettingsError(name, SettingReason.NO_DATE) from None


_CHECKS = {f"{PREFIX}PROXIES": _check_proxies, f"{PREFIX}GO_LIVE": _check_date}


def _check_name(name: str, text: str) -> None:
    """
    What becomes a part of a path is never a path.
    """
    if name == f"{PREFIX}MEMBER":
        if not _MEMBER.fullmatch(text):
            raise SettingsError(name, SettingReason.NO_NAME.why(limit=64))
        return
    parts = text.split(",") if name == f"{PREFIX}BRANCHES" else [text]
    if not all(_NAME.fullmatch(part) and ".." not in part for part in parts):
        raise SettingsError(name, SettingReason.NO_NAME.why(limit=16))


def _number(name: str, text: str) -> int:
    least, most = RANGES.get(name.removeprefix(PREFIX).lower(), ANY_NUMBER)
    if not (text.isascii() and text.isdecimal() and least <= int(text) <= most):
        why = SettingReason.NO_NUMBER.why(least=str(least), most=str(most))
        raise SettingsError(name, why)
    return int(text)


def _check_url(name: str, text: str) -> None:
    """Check the URL without quoting it, because it may contain a password."""
    if name == "XUQI_STORE_URL":
        if text:
            _check_database(text)
        return
    if name == "XUQI_LOG_URL" and text:
        _check_log(text)
    try:
        url = urlsplit(text)
        if name != "XUQI_LOG_URL":  # that one names several, each with its port
            url.port  # noqa: B018 - looked at when it is asked for
    except ValueError:
        raise SettingsError(name, SettingReason.NO_URL) from None


def _check_database(url: str) -> None:
    like = "postgresql+psycopg://<user>@<host>/<name>"
    try:
        if sa.create_engine(url).url.get_backend_name() in BACKENDS:
            return
    except ImportError as error:
        if url.startswith("postgresql+psycopg:"):
            raise SettingsError("XUQI_STORE_URL", _missing("psycopg")) from error
    except (ValueError, sa.exc.ArgumentError):  # the last: no URL, or no such kind
        pass
    raise SettingsError("XUQI_STORE_URL", SettingReason.NO_DATABASE.why(like=like))


def _check_log(url: str) -> None:
    if url != "embedded:" and not url.startswith("kafka://"):
        raise SettingsError("XUQI_LOG_URL", SettingReason.NO_LOG)
    if url.startswith("kafka://") and find_spec("kafka") is None:
        raise SettingsError("XUQI_LOG_URL", _missing("kafka-python"))


def _missing(module: str) -> Reason:
    return SettingReason.NO_DRIVER.why(module=module, target="production")


def other_secret(settings: Settings, name: str, environment: Mapping[str, str] = os.environ) -> str:
    """
    A secret issued by somebody else: a carrier's token, a server's password.

    Raises:
        SettingsError: it is neither in the environment nor in a readable file.
    """
    variable = SECRET_PREFIX + name.upper().replace("-", "_")
    given = environment.get(variable)
    if given:
        return given
    path = settings.secrets_folder / f"{name}.key"
    if not path.exists():
        why = SettingReason.NOT_SET.why(file=str(path))
        raise SettingsError(variable, why)
    try:
        found = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = SettingReason.FILE_UNREADABLE.why(file=str(path))
        raise SettingsError("XUQI_SECRETS", why) from error
    if not found:
        raise SettingsError("XUQI_SECRETS", SettingReason.FILE_EMPTY.why(file=str(path)))
    return found
