"""Delivery in an installation with years of events, compared with a new one."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import sqlalchemy as sa

from bench import plumbing, servers
from bench.figures import at_least, median, ratio, rounded
from bench.pipeline import BODY, STEPS
from renewal.eventlog.queries import advance
from schema.codec import kind_name
from schema.tables.log import events

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.figures import Figure
    from renewal.db.engine import Store

GOAL = 90  #: per cent of the new installation's rate
#: Short turns, and many: what else the machine does hits both sides of most of them alike.
PARTS = 5
PIECE = 500_000  #: rows of one transaction while the past is laid
METHOD = (
    "After {events:,} events: so many rows in the log, and as many in the inbox, settled by the "
    "four consumers, laid by the database itself; then {items:,} new items through our plumbing "
    "there and in an empty installation on the same server, {rounds} times in turn, the median of "
    "the rounds' ratios."
)
_SERIES = {
    "sqlite": "(WITH RECURSIVE n (i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n "
    "WHERE i < :last) SELECT i FROM n)",
    "postgresql": "(SELECT generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS i)",
}
_AT = "'2025-01-01 00:00:00.000000'"


def _of_step(names: Sequence[str]) -> str:
    cases = " ".join(f"WHEN {number} THEN '{name}'" for number, name in enumerate(names))
    return f"CASE i % {len(names)} {cases} END"


_TOPIC = _of_step([kind.topic.value for kind in plumbing.KINDS])
_KIND = _of_step([kind_name(kind) for kind in plumbing.KINDS])
_KEY = f"'R' || (100000000 + i / {len(STEPS)})"
_TELL = f"""INSERT INTO events (topic, key, kind, identity, at, body)
  SELECT {_TOPIC}, {_KEY}, {_KIND}, {_KIND} || ':' || {_KEY}, {_AT}, :body FROM """  # noqa: S608 - our own words
_SETTLE = f"""INSERT INTO inbox (consumer, identity, state, at)
  SELECT {_of_step(STEPS)}, {_KIND} || ':' || {_KEY}, 'settled', {_AT} FROM """  # noqa: S608 - our own words


def figures(*, past: int, items: int, rounds: int = 3) -> list[Figure]:
    with servers.postgresql() as server:
        found = [
            _on(name, where, past=past, items=items, rounds=rounds)
            for name, where in (("SQLite", None), ("PostgreSQL", server))
        ]
    return [figure for told in found for figure in told]


def _on(name: str, server: str | None, *, past: int, items: int, rounds: int) -> list[Figure]:
    with (
        servers.emptied(server) as new_url,
        servers.emptied(server) as old_url,
        closing(plumbing.opened(new_url)) as new,
        closing(plumbing.opened(old_url)) as old,
    ):
        age(old, past)
        new_rates: list[float] = []
        old_rates: list[float] = []
        for number in range(rounds):
            numbers = range(number * items, (number + 1) * items)
            sides = [(new, new_rates), (old, old_rates)]
            for store, rates in sides if number % 2 else sides[::-1]:
                plumbing.lay(store, numbers)
                rates.append(items * len(STEPS) / plumbing.run(store, items))
        plumbing.all_went_through(new, rounds * items)
        plumbing.all_went_through(old, rounds * items, before=past)
    share = 100 * ratio(old_rates, new_rates)
    return [
        at_least(
            f"our plumbing with {past:,} events behind it, {name}; of an empty installation's rate",
            share,
            "%",
            GOAL,
            shown=f"{rounded(median(old_rates), 'steps/s')}; {rounded(share, '%')}",
            method=METHOD.format(events=past, items=items, rounds=rounds),
        )
    ]


def age(store: Store, past: int) -> None:
    """So many events, each settled long ago."""
    dialect = store.engine.dialect.name
    tell, settle = (sa.text(text + _SERIES[dialect] + " AS past") for text in (_TELL, _SETTLE))
    for first in range(0, past, PIECE):
        piece = {"first": first, "last": min(first + PIECE, past) - 1}
        with store.engine.begin() as connection:
            connection.execute(tell, {**piece, "body": BODY})
            connection.execute(settle, piece)
    with store.transaction() as work:
        last = work.connection.scalar(sa.select(sa.func.max(events.c.seq))) or 0
        for step in STEPS:
            advance(work, step, last)
    _tidy(store)


def _tidy(store: Store) -> None:
    """What the database would have done long ago."""
    with store.engine.connect() as connection:
        if store.engine.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        else:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.exec_driver_sql("VACUUM (ANALYZE)")
            connection.exec_driver_sql("CHECKPOINT")
