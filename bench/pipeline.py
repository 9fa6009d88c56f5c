"""The bare pipeline: what four durable steps cost with the driver itself, without any policy."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

import psycopg

from bench import servers

STEPS = ("requested", "approved", "issued", "notified")
ROWS_A_STEP = 3  #: one noted, one changed, one told
BATCH = 500
BODY = b"x" * 200

_TABLES = """
CREATE TABLE events (seq {sequence}, topic TEXT NOT NULL, item INTEGER NOT NULL,
  body {bytes} NOT NULL);
CREATE INDEX by_topic ON events (topic, seq);
CREATE TABLE inbox (consumer TEXT, event INTEGER, PRIMARY KEY (consumer, event)) {compact};
CREATE TABLE states (id INTEGER PRIMARY KEY, state TEXT NOT NULL, version INTEGER NOT NULL);
CREATE TABLE offsets (consumer TEXT PRIMARY KEY, position INTEGER NOT NULL);
"""
_SQLITE = {
    "sequence": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "bytes": "BLOB",
    "compact": "WITHOUT ROWID",
}
_POSTGRESQL = {
    "sequence": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    "bytes": "BYTEA",
    "compact": "",
}
_NEXT = "SELECT seq, item, body FROM events WHERE topic = ? AND seq > ? ORDER BY seq LIMIT ?"
_NOTE = "INSERT INTO inbox VALUES (?, ?)"
_CHANGE = "UPDATE states SET state = ?, version = version + 1 WHERE id = ? AND version = ?"
_TELL = "INSERT INTO events (topic, item, body) VALUES (?, ?, ?)"
_MOVE = "UPDATE offsets SET position = ? WHERE consumer = ?"


def items_a_second(url: str, items: int) -> float:
    """
    Take so many items through the four steps, in batches of 500, each one durable transaction.
    """
    if url.startswith("sqlite"):
        return _on_sqlite(url.removeprefix("sqlite:///"), items)
    return _on_postgresql(servers.dsn(url), items)


def _on_sqlite(file: str, items: int) -> float:
    connection = sqlite3.connect(file, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.executescript(_TABLES.format(**_SQLITE))
        return _through(connection.cursor(), items, "?")
    finally:
        connection.close()


def _on_postgresql(dsn: str, items: int) -> float:
    # psycopg's executemany sends a batch without waiting for each row.
    with psycopg.connect(dsn, autocommit=True) as connection:
        make(connection)
        return _through(connection.cursor(), items, "%s")


def make(connection: psycopg.Connection) -> None:
    """The tables of the pipeline, which the peers of the same run use too."""
    connection.execute(_TABLES.format(**_POSTGRESQL))


def lay(cursor: Any, items: int, mark: str) -> None:  # noqa: ANN401 - either driver's
    """So many items, and the first event of each on the log."""
    cursor.execute("BEGIN")
    new = "INSERT INTO states VALUES (?, 'new', 1)".replace("?", mark)
    cursor.executemany(new, [(item,) for item in range(items)])
    told = [(STEPS[0], item, BODY) for item in range(items)]
    cursor.executemany(_TELL.replace("?", mark), told)
    offset = "INSERT INTO offsets VALUES (?, 0)".replace("?", mark)
    cursor.executemany(offset, [(step,) for step in STEPS])
    cursor.execute("COMMIT")


def all_went_through(cursor: Any, items: int) -> None:  # noqa: ANN401 - either driver's
    """Each item was changed by each step, once, and each step's event is noted once."""
    steps = len(STEPS)
    for what, query, expected in (
        ("items", "SELECT count(*) FROM states WHERE version = 5", items),
        ("notes", "SELECT count(*) FROM inbox", items * steps),
        ("events", "SELECT count(*) FROM events", items * (steps + 1)),
    ):
        (found,) = cursor.execute(query).fetchone()
        assert found == expected, f"{found} of {expected} {what} went through"


def _through(cursor: Any, items: int, mark: str) -> float:  # noqa: ANN401 - either driver's
    lay(cursor, items, mark)
    began = time.perf_counter()
    for number in range(len(STEPS)):
        _step(cursor, number, mark)
    seconds = time.perf_counter() - began
    all_went_through(cursor, items)
    return items / seconds


def _step(cursor: Any, number: int, mark: str) -> None:  # noqa: ANN401 - either driver's
    following, note, change, tell, move = (
        text.replace("?", mark) for text in (_NEXT, _NOTE, _CHANGE, _TELL, _MOVE)
    )
    step, after = STEPS[number], (*STEPS, "done")[number + 1]
    position = 0
    while found := cursor.execute(following, (step, position, BATCH)).fetchall():
        position = found[-1][0]
        cursor.execute("BEGIN IMMEDIATE" if mark == "?" else "BEGIN")
        cursor.executemany(note, [(step, seq) for seq, _, _ in found])
        cursor.executemany(change, [(step, item, number + 1) for _, item, _ in found])
        assert cursor.rowcount == len(found)
        cursor.executemany(tell, [(after, item, body) for _, item, body in found])
        cursor.execute(move, (position, step))
        cursor.execute("COMMIT")


# --- one event, one commit: what a task of the peers does ---------------------------------------

_READ_ONE = "SELECT item, body FROM events WHERE seq = %s"
_NOTE_ONE = "INSERT INTO inbox VALUES (%s, %s)"
_CHANGE_ONE = "UPDATE states SET state = %s, version = version + 1 WHERE id = %s AND version = %s"
_TELL_ONE = "INSERT INTO events (topic, item, body) VALUES (%s, %s, %s) RETURNING seq"


def one(connection: psycopg.Connection, number: int, seq: int) -> int:
    """
    Take one event through one step in a transaction of its own; return the next event's number.
    """
    step, after = STEPS[number], (*STEPS, "done")[number + 1]
    with connection.transaction():
        found = connection.execute(_READ_ONE, (seq,)).fetchone()
        assert found is not None
        item, body = found
        connection.execute(_NOTE_ONE, (step, seq))
        changed = connection.execute(_CHANGE_ONE, (step, item, number + 1))
        assert changed.rowcount == 1
        told = connection.execute(_TELL_ONE, (after, item, body)).fetchone()
    assert told is not None
    return int(told[0])


async def one_async(connection: psycopg.AsyncConnection, number: int, seq: int) -> int:
    """The same for a peer that is asynchronous."""
    step, after = STEPS[number], (*STEPS, "done")[number + 1]
    async with connection.transaction():
        found = await (await connection.execute(_READ_ONE, (seq,))).fetchone()
        assert found is not None
        item, body = found
        await connection.execute(_NOTE_ONE, (step, seq))
        changed = await connection.execute(_CHANGE_ONE, (step, item, number + 1))
        assert changed.rowcount == 1
        told = await (await connection.execute(_TELL_ONE, (after, item, body))).fetchone()
    assert told is not None
    return int(told[0])
