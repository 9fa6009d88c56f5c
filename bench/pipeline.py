"""The bare pipeline: what four durable steps cost with the driver itself, without any policy."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

STEPS = ("requested", "approved", "issued", "notified")
BATCH = 500
BODY = b"x" * 200

_TABLES = """
CREATE TABLE events (seq INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL,
  item INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX by_topic ON events (topic, seq);
CREATE TABLE inbox (consumer TEXT, event INTEGER, PRIMARY KEY (consumer, event)) WITHOUT ROWID;
CREATE TABLE states (id INTEGER PRIMARY KEY, state TEXT NOT NULL, version INTEGER NOT NULL);
CREATE TABLE offsets (consumer TEXT PRIMARY KEY, position INTEGER NOT NULL);
"""


def items_a_second(folder: Path, items: int) -> float:
    """
    Take so many items through the four steps, in batches of 500, each one durable transaction.
    """
    connection = sqlite3.connect(folder / "pipeline.db", isolation_level=None)
    try:
        _prepare(connection, items)
        began = time.perf_counter()
        for number, step in enumerate(STEPS):
            _step(connection, number, step)
        seconds = time.perf_counter() - began
        (done,) = connection.execute("SELECT count(*) FROM states WHERE version = 5").fetchone()
    finally:
        connection.close()
    assert done == items, f"{done} of {items} items went through"
    return items / seconds


def _prepare(connection: sqlite3.Connection, items: int) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.executescript(_TABLES)
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO states VALUES (?, 'new', 1)", ((item,) for item in range(items))
    )
    connection.executemany(
        "INSERT INTO events (topic, item, body) VALUES (?, ?, ?)",
        ((STEPS[0], item, BODY) for item in range(items)),
    )
    connection.executemany("INSERT INTO offsets VALUES (?, 0)", ((step,) for step in STEPS))
    connection.execute("COMMIT")


def _step(connection: sqlite3.Connection, number: int, step: str) -> None:
    after = STEPS[number + 1] if number + 1 < len(STEPS) else "done"
    position = 0
    while found := connection.execute(
        "SELECT seq, item, body FROM events WHERE topic = ? AND seq > ? ORDER BY seq LIMIT ?",
        (step, position, BATCH),
    ).fetchall():
        position = found[-1][0]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "INSERT INTO inbox VALUES (?, ?)", [(step, seq) for seq, _, _ in found]
        )
        written = connection.executemany(
            "UPDATE states SET state = ?, version = version + 1 WHERE id = ? AND version = ?",
            [(step, item, number + 1) for _, item, _ in found],
        )
        assert written.rowcount == len(found)
        connection.executemany(
            "INSERT INTO events (topic, item, body) VALUES (?, ?, ?)",
            [(after, item, body) for _, item, body in found],
        )
        connection.execute("UPDATE offsets SET position = ? WHERE consumer = ?", (position, step))
        connection.execute("COMMIT")
