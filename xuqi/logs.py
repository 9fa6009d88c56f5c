"""Opens the log that the settings name: embedded, or Kafka with the relay that feeds it."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from producers.relay import CODES, OTHERS, Relay
from renewal.eventlog.embedded import EmbeddedLog
from renewal.eventlog.port import LogUnavailableError
from schema.topics import declared
from xuqi.settings import SettingsError, other_secret

if TYPE_CHECKING:
    from collections.abc import Sequence

    from renewal.eventlog.kafka import Backlog, Connection, KafkaLog, Topics
    from renewal.eventlog.port import EventLog
    from renewal.store.engine import Store
    from schema.topics import Declared
    from xuqi.settings import Settings

log = logging.getLogger(__name__)

#: kafka-python's settings that pass through from the URL; passwords come as secrets.
PASSES = frozenset(
    {
        "security_protocol", "ssl_cafile", "ssl_certfile", "ssl_keyfile", "ssl_crlfile",
        "sasl_mechanism", "sasl_plain_username",
    }
)  # fmt: skip
#: Ours: stands before every topic and group.
PREFIX = "prefix"
PROTOCOLS = frozenset({"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"})
_SERVER = re.compile(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}")
_NAME = re.compile(r"[A-Za-z0-9._-]{0,64}")
MECHANISMS = frozenset({"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"})


def is_kafka(settings: Settings) -> bool:
    return settings.log_url.startswith("kafka://")


def open_log(settings: Settings, store: Store) -> EventLog:
    """
    Raises:
        SettingsError: no log of ours, or a setting that Kafka's client does not take.
    """
    if settings.log_url == "embedded:":
        return EmbeddedLog(store)
    if is_kafka(settings):
        from renewal.eventlog.kafka import KafkaLog  # noqa: PLC0415 - an extra of the big setting

        logging.getLogger("kafka").setLevel(logging.WARNING)  # it tells of each connection at INFO
        return KafkaLog(connection(settings), clock=store.clock, member=_member(settings))
    raise SettingsError(
        f"XUQI_LOG_URL: {settings.log_url!r} is neither embedded: nor kafka://<host>:<port>,..."
    )


def _member(settings: Settings) -> str | None:
    """
    Raises:
        SettingsError: Kafka would not take the name.
    """
    name = settings.known_as
    if not _NAME.fullmatch(name):
        raise SettingsError(f"XUQI_MEMBER: {name!r} is not of a-z A-Z 0-9 . _ -, or too long")
    return name or None


def open_backlog(settings: Settings) -> Backlog | None:
    """
    Kafka's own account of what its consumers have not dealt with; the embedded log is counted.
    """
    if not is_kafka(settings):
        return None
    from renewal.eventlog.kafka import Backlog  # noqa: PLC0415 - an extra of the big setting

    return Backlog(connection(settings))


def open_relays(settings: Settings, store: Store, log: EventLog) -> Sequence[Relay]:
    """
    The relays, one for each lane, if the log is fed by them.
    """
    if not is_kafka(settings):
        return ()
    kafka: KafkaLog = log  # type: ignore[assignment]  # as open_log has opened it
    names = [one.name for one in declared_topics(settings)]
    return [
        Relay(store, kafka.outlet(), store.claim(lane), names, lane=lane)
        for lane in (CODES, OTHERS)
    ]


def connection(settings: Settings) -> Connection:
    """
    Raises:
        SettingsError: the URL names no broker, or something that cannot be used.
    """
    from renewal.eventlog.kafka import Connection  # noqa: PLC0415 - an extra of the big setting

    url = urlsplit(settings.log_url)
    servers = tuple(filter(None, url.netloc.split(",")))
    for server in servers:
        if not _SERVER.fullmatch(server):
            raise SettingsError(f"XUQI_LOG_URL: {server!r} is not <host>:<port>")
    if not servers:
        raise SettingsError("XUQI_LOG_URL: kafka:// names no broker: kafka://<host>:<port>,...")
    told = dict(parse_qsl(url.query, keep_blank_values=True))
    prefix = told.pop(PREFIX, "")
    if not _NAME.fullmatch(prefix):
        raise SettingsError(f"XUQI_LOG_URL: {PREFIX} {prefix!r} is not of a-z A-Z 0-9 . _ -")
    return Connection(servers=servers, security=_security(settings, told), prefix=prefix)


def _security(settings: Settings, told: dict[str, str]) -> dict[str, str]:
    for name, value in told.items():
        if name not in PASSES:
            known = ", ".join(sorted({*PASSES, PREFIX}))
            raise SettingsError(f"XUQI_LOG_URL: {name} is none of {known}")
        if name.startswith("ssl_") and not Path(value).is_file():
            raise SettingsError(f"XUQI_LOG_URL: {name}: there is no file {value!r}")
    _one_of(told, "security_protocol", PROTOCOLS)
    _one_of(told, "sasl_mechanism", MECHANISMS)
    sasl = told.get("security_protocol", "").startswith("SASL_")
    if sasl != ("sasl_mechanism" in told) or sasl != ("sasl_plain_username" in told):
        raise SettingsError(
            "XUQI_LOG_URL: security_protocol=SASL_..., sasl_mechanism and sasl_plain_username "
            "go together"
        )
    secret = {"sasl_plain_password": other_secret(settings, "kafka")} if sasl else {}
    return {**told, **secret}


def _one_of(told: dict[str, str], name: str, values: frozenset[str]) -> None:
    if name in told and told[name] not in values:
        known = ", ".join(sorted(values))
        raise SettingsError(f"XUQI_LOG_URL: {name} {told[name]!r} is none of {known}")


def declared_topics(settings: Settings) -> Sequence[Declared]:
    return declared([name.strip() for name in settings.branches.split(",") if name.strip()])


def check_topics(settings: Settings) -> None:
    """
    Raises:
        TopicsError: the broker's topics are not as they are declared. A broker that does not
            answer is waited for by those who need it.
    """
    if not is_kafka(settings):
        return
    try:
        topics(settings).check(declared_topics(settings))
    except LogUnavailableError as error:
        log.warning("the topics could not be looked at: %s", error)


def must_be_kafka(settings: Settings) -> None:
    """
    Raises:
        SettingsError: the log is embedded: it has neither topics of its own nor a relay.
    """
    if not is_kafka(settings):
        raise SettingsError("only a log on Kafka has this: set XUQI_LOG_URL=kafka://...")


def topics(settings: Settings) -> Topics:
    """
    Raises:
        SettingsError: the log has no topics of its own.
    """
    must_be_kafka(settings)
    from renewal.eventlog.kafka import Topics  # noqa: PLC0415 - an extra of the big setting

    return Topics(connection(settings), replication=settings.replication)
