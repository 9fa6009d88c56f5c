"""TLS and SASL as XUQI_LOG_URL says it: who may, reads and writes; who may not is told why."""

from __future__ import annotations

import ipaddress
import traceback
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from renewal.eventlog.kafka import Topics, grant
from renewal.eventlog.port import LogUnavailableError
from schema.events import (
    Change,
    ChangeRequested,
    CodeRequested,
    CustomerInvited,
    FeePaid,
    RenewalConfirmed,
    TokenDeclined,
    TokenJobEnded,
)
from simulation.servers.kafka import Listener, cluster
from tests.flows.kafka.rig import ON_KAFKA, took, until
from tests.renewal.delivery.scripted import asked
from tests.scenario.stores import opened, sqlite_url
from xuqi.event_log import check_log, connection, declared_topics, open_backlog, open_log
from xuqi.log_rights import OPERATOR, log_rights
from xuqi.serving.components import RELAY, SCHEDULER, WEB
from xuqi.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from renewal.eventlog.kafka import KafkaLog
    from schema.events import Event

pytestmark = ON_KAFKA

PASSWORD = "a-password-that-is-nowhere-else"  # noqa: S105 - of this test
NOW = datetime.now(UTC)


class Authority:
    """A CA of this test, and what it has signed: files in its folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(folder.name)
        self.file = folder / "ca.pem"
        made = self._signed(self._name, self._key.public_key(), ca=True)
        self.file.write_bytes(made.public_bytes(Encoding.PEM))

    def issue(self, who: str) -> Path:
        """A file with the key, its certificate and no password, as a broker wants it."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._signed(_named(who), key.public_key(), ca=False)
        form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path = self.folder / f"{who}.pem"
        path.write_bytes(key.private_bytes(*form) + made.public_bytes(Encoding.PEM))
        return path

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *, ca: bool
    ) -> x509.Certificate:
        host = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - timedelta(days=1))
            .not_valid_after(NOW + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([host]), critical=False)
        )
        return builder.sign(self._key, SHA256())


def _named(who: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, who)])


BRANCH = "001"  #: as the settings have it without being told
RIGHTS = log_rights([BRANCH])
USERS = sorted({one.user for one in RIGHTS})
#: Who is no component may do everything here; for these there is no ACL to be asked.
AUTHORIZER = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "false",
    "super.users": "User:ANONYMOUS;User:xuqi;User:CN=xuqi",
}
MODULES = "org.apache.kafka.common.security"


@dataclass(frozen=True)
class Guarded:
    """A broker with TLS, with TLS of both sides, and with SASL over TLS."""

    ours: Authority
    foreign: Authority
    tls: Listener
    mutual: Listener
    sasl: Listener

    def url(self, to: Listener, *, ca: Authority | None = None, **more: str) -> str:
        told = {"security_protocol": to.protocol, "ssl_cafile": str((ca or self.ours).file), **more}
        return f"kafka://{to.server}?" + "&".join(f"{name}={it}" for name, it in told.items())

    def with_certificate(self, whose: Authority) -> str:
        mine = str(whose.issue("xuqi"))
        return self.url(self.mutual, ssl_certfile=mine, ssl_keyfile=mine)

    def with_password(self, mechanism: str, user: str = "xuqi") -> str:
        return self.url(self.sasl, sasl_mechanism=mechanism, sasl_plain_username=user)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    ours, foreign = Authority(folder / "ours"), Authority(folder / "foreign")
    tls = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": ours.issue("broker"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": ours.file,
    }
    plain = f'{MODULES}.plain.PlainLoginModule required user_xuqi="{PASSWORD}";'
    sasl = {
        "sasl.enabled.mechanisms": "SCRAM-SHA-256,SCRAM-SHA-512,PLAIN",
        "scram-sha-256.sasl.jaas.config": f"{MODULES}.scram.ScramLoginModule required;",
        "scram-sha-512.sasl.jaas.config": f"{MODULES}.scram.ScramLoginModule required;",
        "plain.sasl.jaas.config": plain,
    }
    listeners = (
        Listener(name="TLS", protocol="SSL", settings=tls),
        Listener(name="MUTUAL", protocol="SSL", settings={**tls, "ssl.client.auth": "required"}),
        Listener(name="SASL", protocol="SASL_SSL", settings={**tls, **sasl}),
    )
    scram = [
        f"SCRAM-SHA-256=[name=xuqi,password={PASSWORD}]",
        *(f"SCRAM-SHA-512=[name={user},password={PASSWORD}]" for user in USERS),
    ]
    nodes = cluster(folder / "broker", listeners=listeners, scram=scram, settings=AUTHORIZER)
    try:
        nodes.start()
        settings = Settings(log_url=f"kafka://{nodes.servers[0]}")
        Topics(connection(settings)).apply(declared_topics(settings))
        grant(connection(settings), RIGHTS)
        yield Guarded(ours, foreign, *listeners)
    finally:
        nodes.stop()


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A home whose secret for Kafka is the right one."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "kafka.key").write_text(f"{PASSWORD}\n")
    return tmp_path


URLS: dict[str, Callable[[Guarded], str]] = {
    "TLS": lambda it: it.url(it.tls),
    "TLS of both sides": lambda it: it.with_certificate(it.ours),
    "SCRAM-SHA-256": lambda it: it.with_password("SCRAM-SHA-256"),
    "PLAIN": lambda it: it.with_password("PLAIN"),
}


@pytest.mark.parametrize("how", URLS)
def test_who_has_the_right_papers_writes_and_reads(guarded: Guarded, app: Path, how: str) -> None:
    settings = Settings(home=app, log_url=URLS[how](guarded))
    event, group = asked(1), f"reader of {how}".replace(" ", "-")
    found: list[str] = []

    with opened(sqlite_url(app), make=True) as store:
        log: KafkaLog = open_log(settings, store)  # type: ignore[assignment]  # as it is on Kafka
        log.append([event])
        reader = log.reader(group, [event.topic_name])
        until(lambda: bool(found), lambda: found.extend(one.identity for one in took(reader)))
        reader.close()
        log.close()

    assert set(found) == {event.identity}
    assert Topics(connection(settings)).missing(declared_topics(settings)) == []


REFUSED: dict[str, tuple[Callable[[Guarded], str], str]] = {
    "a foreign CA": (lambda it: it.url(it.tls, ca=it.foreign), "ssl_cafile has not signed"),
    "no certificate": (lambda it: it.url(it.mutual), "ssl_certfile is"),
    "a foreign certificate": (lambda it: it.with_certificate(it.foreign), "ssl_certfile is"),
    "no TLS": (lambda it: f"kafka://{it.tls.server}", ".*security_protocol"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_who_has_not_is_told_which_setting_to_look_at(guarded: Guarded, what: str) -> None:
    url, why = REFUSED[what]

    refused(Settings(log_url=url(guarded)), f"Kafka: XUQI_LOG_URL: {why}")


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "PLAIN"])
def test_a_wrong_password_is_told_and_stands_nowhere(
    guarded: Guarded, app: Path, mechanism: str, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = "another-password-that-is-nowhere-else"
    (app / "secrets" / "kafka.key").write_text(wrong)
    settings = Settings(home=app, log_url=guarded.with_password(mechanism))
    caplog.set_level("DEBUG")

    told = refused(settings, "XUQI_LOG_URL: .*sasl_plain_username and the secret kafka")

    assert "Bootstrap failed" in caplog.text
    assert wrong not in caplog.text
    assert wrong not in told + repr(connection(settings))


def refused(settings: Settings, why: str) -> str:
    """Every way in says the same; give all that was said, down to the cause."""
    with pytest.raises(LogUnavailableError, match=why) as caught:
        Topics(connection(settings)).missing(declared_topics(settings))
    return "".join(traceback.format_exception(caught.value))


# --- rights: each component's user does its own work and no other ---------------------------------


@contextmanager
def log_of(guarded: Guarded, app: Path, user: str) -> Iterator[KafkaLog]:
    settings = Settings(home=app, log_url=guarded.with_password("SCRAM-SHA-512", user))
    check_log(settings)  # each asks for this at its start
    with opened(sqlite_url(app), make=True) as store:
        log: KafkaLog = open_log(settings, store)  # type: ignore[assignment]  # as it is on Kafka
        yield log
        log.close()


@pytest.fixture
def on_the_log(guarded: Guarded, app: Path) -> Mapping[str, Event]:
    """One event on each topic, as the relay has carried it there."""
    told: list[Event] = [
        CustomerInvited(renewal="R1", customer=1),
        CodeRequested(challenge="K1", send_number=1),
        RenewalConfirmed(renewal="R1"),
        FeePaid(payment="P1"),
        ChangeRequested(certificate=1, change=Change.SUSPEND, number=1),
        TokenDeclined(renewal="R1", why="no time"),
        TokenJobEnded(branch=BRANCH, renewal="R1", why="done"),
    ]
    with log_of(guarded, app, RELAY) as log:
        log.append(told)
    return {event.topic_name: event for event in told}


READERS = {
    user: sorted({one.name for one in RIGHTS if one.user == user and one.kind == "topic"
                  and one.operation == "read"})
    for user in USERS if user not in {RELAY, SCHEDULER, OPERATOR}
}  # fmt: skip


def group_of(user: str) -> str:
    return {WEB: f"station.{BRANCH}.1", f"station-{BRANCH}": f"station.{BRANCH}"}.get(user, user)


@pytest.mark.parametrize("user", READERS)
def test_a_component_reads_its_own_topics_and_no_other(
    guarded: Guarded, app: Path, on_the_log: Mapping[str, Event], user: str
) -> None:
    found: set[str] = set()
    foreign = next(topic for topic in on_the_log if topic not in READERS[user])

    with log_of(guarded, app, user) as log:
        reader = log.reader(group_of(user), READERS[user])
        wanted = {on_the_log[topic].identity for topic in READERS[user]}
        until(lambda: found >= wanted, lambda: found.update(one.identity for one in took(reader)))
        reader.close()
        stranger = log.reader(group_of(user), [foreign])
        with pytest.raises(LogUnavailableError, match="TopicAuthorizationFailed"):
            until(lambda: False, lambda: took(stranger), seconds=20)
        stranger.close()


@pytest.mark.parametrize("user", [*READERS, SCHEDULER, OPERATOR])
def test_what_a_component_does_not_say_it_cannot_write(
    guarded: Guarded, app: Path, user: str
) -> None:
    forged = RenewalConfirmed(renewal="R2")

    with (
        log_of(guarded, app, user) as log,
        pytest.raises(LogUnavailableError, match="TopicAuthorizationFailed"),
    ):
        log.append([forged])


@pytest.mark.parametrize("user", [WEB, f"station-{BRANCH}"])
def test_a_station_speaks_on_its_topic(guarded: Guarded, app: Path, user: str) -> None:
    with log_of(guarded, app, user) as log:
        log.append([TokenDeclined(renewal="R3", why="no time")])


def test_who_may_not_alter_the_cluster_grants_nothing(guarded: Guarded, app: Path) -> None:
    settings = Settings(home=app, log_url=guarded.with_password("SCRAM-SHA-512", "billing"))

    with pytest.raises(LogUnavailableError, match="ClusterAuthorizationFailed"):
        grant(connection(settings), RIGHTS)


def test_nobody_joins_the_group_of_another(guarded: Guarded, app: Path) -> None:
    with log_of(guarded, app, "billing") as log:
        thief = log.reader("issuance", ["renewals"])
        with pytest.raises(LogUnavailableError, match="GroupAuthorizationFailed"):
            until(lambda: False, lambda: took(thief), seconds=20)
        thief.close()


def test_an_operator_counts_what_every_consumer_is_behind(guarded: Guarded, app: Path) -> None:
    settings = Settings(home=app, log_url=guarded.with_password("SCRAM-SHA-512", OPERATOR))
    backlog = open_backlog(settings)
    assert backlog is not None

    behind: dict[str, int] = {}

    def has_answered() -> bool:
        # The first question of all lets a new cluster make the topic of its consumers' offsets.
        with suppress(LogUnavailableError):
            behind.update(backlog.of({"otp": ["codes"]}))
        return bool(behind)

    until(has_answered)
    backlog.close()

    assert behind["otp"] >= 0
