"""The log's URL: what passes through to Kafka's client, and what is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer

from renewal.eventlog.embedded import EmbeddedLog
from renewal.eventlog.kafka import CONSUMER, PRODUCER, KafkaLog
from tests.scenario.stores import opened, sqlite_url
from xuqi.event_log import PASSES, connection, declared_topics, open_log, open_relays, topics
from xuqi.settings import Settings, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from renewal.db.engine import Store

SASL = "security_protocol=SASL_SSL&sasl_mechanism=SCRAM-SHA-512&sasl_plain_username=xuqi"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with opened(sqlite_url(tmp_path), make=True) as store:
        yield store


def settings(url: str, home: Path | None = None) -> Settings:
    return Settings(log_url=url, home=home or Path("var"))


def test_the_embedded_log_is_the_default(store: Store) -> None:
    assert isinstance(open_log(Settings(), store), EmbeddedLog)
    assert list(open_relays(Settings(), store, EmbeddedLog(store))) == []


def test_each_broker_is_named() -> None:
    found = connection(settings("kafka://a.example:9092,10.0.0.2:9093,[::1]:9094"))

    assert found.servers == ("a.example:9092", "10.0.0.2:9093", "[::1]:9094")
    assert found.settings == {"bootstrap_servers": list(found.servers)}


def test_tls_settings_pass_through(tmp_path: Path) -> None:
    files = {name: str(tmp_path / name) for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile")}
    for path in files.values():
        Path(path).touch()
    named = "&".join(f"{name}={path}" for name, path in files.items())

    found = connection(settings(f"kafka://a:9093?security_protocol=SSL&{named}")).settings

    assert {name: found[name] for name in files} == files
    assert found["security_protocol"] == "SSL"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    url = f"kafka://a:9093?security_protocol=SSL&ssl_cafile={tmp_path}/ca.pem"

    with pytest.raises(SettingsError, match="no such file as its ssl_cafile"):
        connection(settings(url))


def test_all_that_passes_through_is_known_to_each_client() -> None:
    for client in (KafkaProducer, KafkaConsumer, KafkaAdminClient):
        assert set(client.DEFAULT_CONFIG) >= PASSES


def test_the_password_comes_as_a_secret_and_does_not_show_itself(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "kafka.key").write_text("hush-hush\n")

    found = connection(settings(f"kafka://a:9093?{SASL}", tmp_path))

    assert found.settings["sasl_plain_password"] == "hush-hush"  # noqa: S105 - of this test
    assert found.settings["sasl_mechanism"] == "SCRAM-SHA-512"
    assert found.settings["sasl_plain_username"] == "xuqi"
    assert "hush-hush" not in repr(found)


def test_a_prefix_stands_before_every_topic() -> None:
    assert connection(settings("kafka://a:9092?prefix=bank1.")).prefix == "bank1."


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("kafka://", "names no broker"),
        ("kafka://a", "is not <host>:<port>"),
        ("kafka://a:9092,b", "is not <host>:<port>"),
        ("kafka://user:word@a:9092", "is not <host>:<port>"),
        ("kafka://a:9092?acks=0", "acks is none of prefix, sasl_mechanism"),
        ("kafka://a:9092?sasl_plain_password=x", "sasl_plain_password is none of"),
        ("kafka://a:9092?security_protocol=TLS", "security_protocol is none of PLAINTEXT"),
        ("kafka://a:9092?sasl_mechanism=GSSAPI", "sasl_mechanism is none of PLAIN"),
        ("kafka://a:9092?sasl_mechanism=PLAIN", "go together"),
        ("kafka://a:9092?security_protocol=SASL_SSL", "go together"),
        ("kafka://a:9092?prefix=a/b", "prefix is no name"),
        (f"kafka://a:9092?{SASL}", "XUQI_SECRET_KAFKA: is not set"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(url: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as error:
        connection(settings(url, tmp_path))

    assert why in str(error.value)


def test_another_log_is_refused(store: Store) -> None:
    with pytest.raises(SettingsError, match="neither embedded: nor kafka://"):
        open_log(settings("redis://a"), store)


def test_only_kafka_has_topics() -> None:
    with pytest.raises(SettingsError, match="XUQI_LOG_URL=kafka://"):
        topics(Settings())


def test_each_branch_has_a_topic() -> None:
    names = [one.name for one in declared_topics(Settings(branches="001, 007,"))]

    assert [name for name in names if name.startswith("stations.")] == [
        "stations.001",
        "stations.007",
    ]


def test_a_log_on_kafka_opens_without_its_broker_and_has_a_lane_for_codes(store: Store) -> None:
    here = settings("kafka://127.0.0.1:1")

    log = open_log(here, store)

    assert isinstance(log, KafkaLog)
    assert [relay.lane for relay in open_relays(here, store, log)] == ["relay.codes", "relay"]


def test_the_client_is_set_so_that_nothing_is_lost_without_notice() -> None:
    assert PRODUCER["acks"] == "all"
    assert PRODUCER["enable_idempotence"] is False
    assert PRODUCER["max_in_flight_requests_per_connection"] == 1
    assert PRODUCER["allow_auto_create_topics"] is False
    assert CONSUMER["enable_auto_commit"] is False
    assert CONSUMER["auto_offset_reset"] == "earliest"
    assert "value_deserializer" not in CONSUMER


@pytest.mark.parametrize(
    ("said", "name"),
    [("", None), ("otp-1", "otp-1"), ("%h", "node7"), ("%h.otp", "node7.otp")],
)
def test_a_process_has_the_name_that_it_is_given_among_the_consumers(
    store: Store, monkeypatch: pytest.MonkeyPatch, said: str, name: str | None
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "node7")

    log = open_log(Settings(log_url="kafka://a:9092", member=said), store)

    assert isinstance(log, KafkaLog)
    assert log._member == name


@pytest.mark.parametrize("name", ["otp/1", "驗證碼", "x" * 65])
def test_a_name_that_kafka_would_not_take_is_refused(store: Store, name: str) -> None:
    with pytest.raises(SettingsError, match="XUQI_MEMBER"):
        open_log(Settings(log_url="kafka://a:9092", member=name), store)
