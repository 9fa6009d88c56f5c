"""Shows that `xuqi status` waits for nobody who is away, and says who is."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from renewal.eventlog.kafka.backlog import Backlog
from renewal.eventlog.kafka.client import Connection
from xuqi.reachable import ANSWER, KNOCK, ServerAddress, closed, in_a_hurry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.xuqi.sample import Bank


@contextmanager
def blackhole() -> Iterator[int]:
    """A port that takes calls and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield silent.getsockname()[1]


def test_a_database_that_is_away_is_named_at_once(bank: Bank) -> None:
    bank.environment["XUQI_STORE_URL"] = "postgresql+psycopg://xuqi@127.0.0.1:1/xuqi"

    result = bank.run("status")

    assert result.exit_code == 3
    assert "no answer: 127.0.0.1:1 (XUQI_STORE_URL)" in result.stderr


def test_a_broker_that_is_away_is_named_and_the_rest_is_told(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank.environment["XUQI_LOG_URL"] = "kafka://127.0.0.1:1"
    monkeypatch.setattr("xuqi.event_log.open_backlog", lambda *_, **__: pytest.fail("asked"))

    result = bank.run("status")

    assert result.exit_code == 0, result.output
    assert "no answer: 127.0.0.1:1 (XUQI_LOG_URL)" in result.stderr
    assert "certificates: " in result.stdout
    zh = bank.run("status", lang="zh-TW")
    assert "沒有回應：127.0.0.1:1 (XUQI_LOG_URL)" in zh.stderr


def test_a_broker_that_takes_the_call_and_is_silent_is_not_waited_for(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[timedelta] = []

    def opened(_: object, *, patience: timedelta) -> None:
        given.append(patience)

    monkeypatch.setattr("xuqi.event_log.open_backlog", opened)
    with blackhole() as port:
        bank.environment["XUQI_LOG_URL"] = f"kafka://127.0.0.1:{port}"
        bank.run("status")

    assert given == [timedelta(seconds=KNOCK)]
    backlog: Any = Backlog(Connection(servers=("a:1",)), patience=given[0])
    assert backlog._settings["bootstrap_timeout_ms"] == KNOCK * 1000


def test_a_silent_database_is_given_two_seconds() -> None:
    url = "postgresql+psycopg://xuqi:p%40w@db/xuqi"

    assert in_a_hurry(url) == f"{url}?connect_timeout={ANSWER}"
    assert in_a_hurry(f"{url}?connect_timeout=9") == f"{url}?connect_timeout=9"
    assert in_a_hurry("sqlite:///a.db") == "sqlite:///a.db"


def test_every_door_is_knocked_at_with_the_same_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    def knocked(_: object, *, timeout: float) -> None:
        given.append(timeout)
        raise TimeoutError

    monkeypatch.setattr("socket.create_connection", knocked)
    asked = [ServerAddress(setting="XUQI_LOG_URL", host=host, port=1) for host in "abc"]

    assert closed(asked) == asked
    assert given == [KNOCK] * 3
    assert KNOCK < 2
