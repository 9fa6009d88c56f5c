"""Finds out whether each connection to PostgreSQL keeps a session of its own."""

from __future__ import annotations

import sqlalchemy as sa

from renewal.db.engine import store_unavailable

TURNS = 2  #: of two questions each: at the sixth psycopg would prepare the statement
#: The answer of a pooler in statement mode to any transaction.
PROTOCOL_VIOLATION = "08P01"
_WHO = sa.text("SELECT pg_backend_pid()")


def are_kept(url: str) -> bool:
    """
    Say so unless a pooler in between hands one session to several connections.

    Advisory locks and LISTEN live in a session: with a pooler in transaction mode two processes
    would hold one lock, and none would hear of a commit.

    Raises:
        StoreUnavailableError: it does not answer.
    """
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool, hide_parameters=True)
    engine = engine.execution_options(isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as one, engine.connect() as other:
            return have_their_own(one, other)
    except sa.exc.DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == PROTOCOL_VIOLATION:
            return False
        raise store_unavailable(error) from error


def have_their_own(one: sa.Connection, other: sa.Connection) -> bool:
    """
    Whether the server answers each of two connections by one process, and not by the same.

    Twice in a row: a pooler that deals its connections out in turn shows another at the second
    question. And several times by turns: while somebody else keeps a pooler's connection busy,
    each of the two may meet the same one for a moment, and yet neither has it.
    """
    first: set[int] = set()
    second: set[int] = set()
    for _ in range(TURNS):
        first |= {_process(one), _process(one)}
        second |= {_process(other), _process(other)}
    return len(first) == len(second) == 1 and first != second


def _process(connection: sa.Connection) -> int:
    return int(connection.execute(_WHO).scalar_one())
