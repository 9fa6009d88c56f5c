"""A pooler that keeps no sessions is refused before anything is served (PgBouncer)."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from renewal.db import sessions
from schema.migrate import upgrade
from simulation.servers.postgresql import database
from tests.servers.pgbouncer import pooled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.xuqi.sample import Bank

pytestmark = pytest.mark.postgresql
#: Two connections are dealt out in turn.
IN_TURN = {"server_round_robin": 1, "min_pool_size": 2}


@pytest.fixture(scope="module")
def installed(postgresql: str) -> Iterator[str]:
    """A database that the program has made."""
    with database(postgresql, "pooled") as made:
        upgrade(made)
        yield made


@pytest.fixture
def hold() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize(
    ("mode", "settings", "kept"),
    [
        ("session", {}, True),
        ("transaction", {}, False),
        ("transaction", IN_TURN, False),
        ("transaction", {"default_pool_size": 1}, False),
        ("statement", {}, False),
    ],
)
def test_a_pooler_is_judged_by_what_it_does_with_sessions(
    postgresql: str,
    hold: ExitStack,
    mode: str,
    settings: dict[str, int],
    kept: bool,  # noqa: FBT001 - the right answer
) -> None:
    url = hold.enter_context(pooled(postgresql, mode, **settings))

    assert [sessions.are_kept(url) for _ in range(3)] == [kept] * 3


def test_without_a_pooler_sessions_are_kept(postgresql: str) -> None:
    assert sessions.are_kept(postgresql)


@pytest.mark.parametrize("command", [("serve",), ("config", "check")])
def test_through_a_pooler_in_transaction_mode_nothing_starts(
    bank: Bank, installed: str, hold: ExitStack, command: tuple[str, ...]
) -> None:
    bank.environment["XUQI_STORE_URL"] = hold.enter_context(pooled(installed, "transaction"))
    bank.environment["XUQI_SECRETS"] = str(bank.home / "secrets")

    result = bank.run(*command)

    assert result.exit_code != 0
    assert "XUQI_STORE_URL: a pooler in between does not keep sessions" in result.output
    assert "set the pooler to session mode" in result.output


def test_through_a_pooler_in_session_mode_nothing_is_to_mend(
    bank: Bank, installed: str, hold: ExitStack
) -> None:
    bank.environment["XUQI_STORE_URL"] = hold.enter_context(pooled(installed, "session"))
    bank.environment["XUQI_SECRETS"] = str(bank.home / "secrets")

    result = bank.run("config", "check")

    assert (result.exit_code, result.stdout) == (0, "nothing to mend\n")
