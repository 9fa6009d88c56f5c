"""Opens the event log that the settings name: embedded, or Kafka with its relay."""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from producers.relay import CODES, OTHERS, Relay
from renewal.eventlog.embedded import EmbeddedLog
from renewal.eventlog.port import LogUnavailableError
from schema.reasons import SettingReason
from schema.topics import declared
from xuqi.settings import SettingsError, other_secret

if TYPE_CHECKING:
    from collections.abc import Sequence

    from renewal.db.engine import Store
    from renewal.eventlog.kafka import Backlog, Connection, KafkaLog, Topics
    from renewal.eventlog.port import EventLog
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
    raise SettingsError("XUQI_LOG_URL", SettingReason.NO_LOG)


def _member(settings: Settings) -> str | None:
    """
    Raises:
        SettingsError: Kafka would not take the name.
    """
    name = settings.known_as
    if not _NAME.fullmatch(name):
        raise SettingsError("XUQI_MEMBER", SettingReason.PART_NO_NAME.why(part=name))
    return name or None


def open_backlog(
    settings: Settings, *, patience: timedelta = timedelta(seconds=10)
) -> Backlog | None:
    """
    Kafka's own account of what its consumers have not dealt with; the embedded log is counted.
    """
    if not is_kafka(settings):
        return None
    from renewal.eventlog.kafka import Backlog  # noqa: PLC0415 - an extra of the big setting

    return Backlog(connection(settings), patience=patience)


def open_relays(settings: Settings, store: Store, log: EventLog) -> Sequence[Relay]:
    """The relays, one for each lane, if the log is fed by them."""
    if not is_kafka(settings):
        return ()
    kafka: KafkaLog = log  # type: ignore[assignment]  # as open_log has opened it
    names = [one.name for one in declared_topics(settings)]
    return [
        Relay(store, kafka.outlet(), store.advisory_lock(lane), names, lane=lane)
        for lane in (CODES, OTHERS)
    ]


def connection(settings: Settings) -> Connection:
    """
    Raises:
        SettingsError: the URL names no broker, or something that cannot be used.
    """
    from renewal.eventlog.kafka import Connection  # noqa: PLC0415 - an extra of the big setting

    address, _, query = settings.log_url.partition("://")[2].partition("?")
    # Not urlsplit: Python 3.11.2 takes a list with an IPv6 address in it for a broken URL.
    servers = tuple(filter(None, address.partition("/")[0].split(",")))
    for server in servers:
        if not _SERVER.fullmatch(server):
            raise SettingsError("XUQI_LOG_URL", SettingReason.NO_SERVER)
    if not servers:
        raise SettingsError("XUQI_LOG_URL", SettingReason.NO_BROKER)
    options = dict(parse_qsl(query, keep_blank_values=True))
    prefix = options.pop(PREFIX, "")
    if not _NAME.fullmatch(prefix):
        raise SettingsError("XUQI_LOG_URL", SettingReason.PART_NO_NAME.why(part=PREFIX))
    return Connection(servers=servers, security=_security(settings, options), prefix=prefix)


def _security(settings: Settings, options: dict[str, str]) -> dict[str, str]:
    for name, value in options.items():
        if name not in PASSES:
            known = ", ".join(sorted({*PASSES, PREFIX}))
            why = SettingReason.PART_UNKNOWN.why(part=name, known=known)
            raise SettingsError("XUQI_LOG_URL", why)
        if name.startswith("ssl_") and not Path(value).is_file():
            raise SettingsError("XUQI_LOG_URL", SettingReason.PART_NO_FILE.why(part=name))
    _one_of(options, "security_protocol", PROTOCOLS)
    _one_of(options, "sasl_mechanism", MECHANISMS)
    sasl = options.get("security_protocol", "").startswith("SASL_")
    if sasl != ("sasl_mechanism" in options) or sasl != ("sasl_plain_username" in options):
        raise SettingsError("XUQI_LOG_URL", SettingReason.SASL)
    secret = {"sasl_plain_password": other_secret(settings, "kafka")} if sasl else {}
    return {**options, **secret}


def _one_of(options: dict[str, str], name: str, values: frozenset[str]) -> None:
    if name in options and options[name] not in values:
        known = ", ".join(sorted(values))
        why = SettingReason.PART_UNKNOWN.why(part=name, known=known)
        raise SettingsError("XUQI_LOG_URL", why)


def declared_topics(settings: Settings) -> Sequence[Declared]:
    return declared(settings.branch_names)


def check_log(settings: Settings) -> None:
    """
    Raises:
        SettingsError: it is no log of ours, or its client is missing.
        TopicsError: the broker's topics are not as they are declared.
        LogUnavailableError: it does not answer.
    """
    if is_kafka(settings):
        topics(settings).check(declared_topics(settings))


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
        raise SettingsError("XUQI_LOG_URL", SettingReason.KAFKA_ONLY)


def topics(settings: Settings) -> Topics:
    """
    Raises:
        SettingsError: the log has no topics of its own.
    """
    must_be_kafka(settings)
    from renewal.eventlog.kafka import Topics  # noqa: PLC0415 - an extra of the big setting

    return Topics(connection(settings), replication=settings.replication)
