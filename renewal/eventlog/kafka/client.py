"""Connects to the brokers and reports why they cannot be reached."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from renewal.eventlog.port import LogUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, kw_only=True)
class Connection:
    """
    How the brokers are reached; ``security`` has kafka-python's own TLS and SASL settings.

    ``prefix`` stands before every topic and group, where several installations share a cluster.
    """

    servers: tuple[str, ...]
    security: Mapping[str, Any] = field(default_factory=dict, repr=False)
    prefix: str = ""

    @property
    def settings(self) -> dict[str, Any]:
        return {"bootstrap_servers": list(self.servers), **self.security}


#: What is said against us while we knock, and which setting of the log's URL to look at; what
#: tells most comes first.
BLAMES = (
    ("SaslAuthenticationFailed", "sasl_plain_username and the secret kafka are not the broker's"),
    ("CERTIFICATE_VERIFY_FAILED", "ssl_cafile has not signed this broker's certificate"),
    ("BAD_CERTIFICATE", "ssl_certfile is no certificate that the broker takes"),
    ("ALERT_CERTIFICATE", "ssl_certfile is no certificate that the broker takes"),
    ("ALERT_UNKNOWN_CA", "ssl_certfile is no certificate that the broker takes"),
    ("WRONG_VERSION_NUMBER", "security_protocol says TLS, and the broker speaks none there"),
    ("InvalidReceiveError", "security_protocol says no TLS, and the broker wants it there"),
    # A client that is slow to read sees no more of a refusal.
    (
        "socket disconnected",
        "the broker hangs up: look at security_protocol, sasl_plain_username and the secret kafka",
    ),
)


class _RefusedError(KafkaError):  # type: ignore[misc]  # the client has no types
    """A broker answers and does not accept us; the text names the setting."""


def unavailable(error: KafkaError) -> LogUnavailableError:
    """Our error; of a foreign one the type alone, because its text might contain anything."""
    why = error.args[0] if isinstance(error, _RefusedError) else type(error).__name__
    return LogUnavailableError(f"Kafka: {why}")


class Client:
    """
    A kafka-python client that leaves no thread behind: one that cannot reach its broker, or cannot
    be closed in time, would try for ever, with one more thread at each attempt.
    """

    def __init__(self, kind: Any, *topics: str, **settings: Any) -> None:  # noqa: ANN401 - untyped
        self._network: list[Any] = []
        self._blamed = len(BLAMES)  #: the best reason heard, by its place

        def network(**own: Any) -> Any:  # noqa: ANN401 - as above
            self._network.append(kind.DEFAULT_CONFIG["kafka_client"](**own))
            self._overhear(self._network[-1])
            return self._network[-1]

        try:
            self.does = kind(*topics, **settings, kafka_client=network)
        except KafkaError as error:
            self._cut()
            if self._blamed < len(BLAMES):
                raise _RefusedError(f"XUQI_LOG_URL: {BLAMES[self._blamed][1]}") from error
            raise

    def _overhear(self, network: Any) -> None:  # noqa: ANN401 - as above
        """
        Overhear the client's log: it reports every failure as a timeout, and only its log line has
        the reason.
        """
        lines = network._manager  # noqa: SLF001 - nothing public knows the reason
        connect = lines.get_connection

        def connecting(*which: Any, **how: Any) -> Any:  # noqa: ANN401 - as above
            line = connect(*which, **how)
            line.init_future.add_errback(self._blame)
            return line

        lines.get_connection = connecting

    def _blame(self, reason: BaseException) -> None:
        text = f"{type(reason).__name__}: {reason}"
        heard = (number for number, (sign, _) in enumerate(BLAMES) if sign in text)
        self._blamed = min(self._blamed, next(heard, self._blamed))

    def topic_id(self, topic: str) -> object:
        """The broker's own id of a topic, if it is known by now."""
        return self._network[-1].cluster.topic_id(topic)

    def close(self, **how: Any) -> None:  # noqa: ANN401 - as above
        try:
            self.does.close(**how)
        except KafkaError:
            self._cut()  # what is stuck in it, nobody waits for any more

    def _cut(self) -> None:
        for one in self._network:
            one.close()


def collect() -> None:
    """
    Collect garbage: an unreachable client leaves sockets that nobody closes, and in an outage of
    hours they would be too many.
    """
    gc.collect()


@contextmanager
def admin_of(connection: Connection) -> Iterator[KafkaAdminClient]:
    """
    Whom to ask about topics and groups, for as long as the block lasts.

    Raises:
        LogUnavailableError
    """
    try:
        admin = Client(KafkaAdminClient, **connection.settings, bootstrap_timeout_ms=10_000)
        try:
            yield admin.does
        finally:
            admin.close()
    except KafkaError as error:
        raise unavailable(error) from error
