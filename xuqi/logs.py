"""Opens the log that the settings name: embedded, or Kafka with the relay that feeds it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from producers.relay import GROUP, Relay
from renewal.eventlog.embedded import EmbeddedLog
from xuqi.settings import SettingsError, other_secret

if TYPE_CHECKING:
    from renewal.eventlog.kafka import Connection, KafkaLog, Topics
    from renewal.eventlog.port import EventLog
    from renewal.store.engine import Store
    from xuqi.settings import Settings

#: kafka-python's settings that pass through from the URL; the password comes as a secret.
PASSES = frozenset(
    {
        "security_protocol", "ssl_cafile", "ssl_certfile", "ssl_keyfile", "ssl_crlfile",
        "sasl_mechanism", "sasl_plain_username",
    }
)  # fmt: skip


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
        return KafkaLog(connection(settings), member=settings.member or None)
    raise SettingsError(
        f"XUQI_LOG_URL: {settings.log_url!r} is neither embedded: nor kafka://<host>:<port>,..."
    )


def open_relay(store: Store, log: EventLog) -> Relay | None:
    """
    The relay, if the log is fed by one.
    """
    publish = getattr(log, "publish", None)
    if publish is None:
        return None
    kafka: KafkaLog = log  # type: ignore[assignment]  # the only log that publishes
    return Relay(store, kafka, store.claim(GROUP))


def connection(settings: Settings) -> Connection:
    from renewal.eventlog.kafka import Connection  # noqa: PLC0415 - an extra of the big setting

    url = urlsplit(settings.log_url)
    security: dict[str, object] = {}
    for name, value in parse_qsl(url.query):
        if name not in PASSES:
            raise SettingsError(f"XUQI_LOG_URL: {name} is none of {', '.join(sorted(PASSES))}")
        security[name] = value
    if "sasl_mechanism" in security:
        security["sasl_plain_password"] = other_secret(settings, "kafka")
    servers = tuple(filter(None, url.netloc.split(",")))
    if not servers:
        raise SettingsError("XUQI_LOG_URL: kafka:// names no broker: kafka://<host>:<port>,...")
    return Connection(servers=servers, security=security)


def topics(settings: Settings) -> Topics:
    """
    Raises:
        SettingsError: the log has no topics of its own.
    """
    if not is_kafka(settings):
        raise SettingsError("only a log on Kafka has topics: set XUQI_LOG_URL=kafka://...")
    from renewal.eventlog.kafka import Topics  # noqa: PLC0415 - an extra of the big setting

    return Topics(connection(settings), replication=settings.replication)
