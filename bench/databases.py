"""The databases of a benchmark: each run gets an empty one."""

from __future__ import annotations

import tempfile
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa

from xuqi.demo.servers import postgresql

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager


def server() -> AbstractContextManager[str]:
    """
    A PostgreSQL that keeps what was committed over a power cut, for every side alike.
    """
    return postgresql.cluster(postgresql.DURABLE)


@contextmanager
def emptied(server: str | None) -> Iterator[str]:
    """
    An empty database of that server, or a SQLite file; gives its URL.
    """
    if server is None:
        with tempfile.TemporaryDirectory(prefix="xuqi-bench-") as folder:
            yield f"sqlite:///{folder}/store.db"
    else:
        with postgresql.database(server, f"bench_{uuid.uuid4().hex[:8]}") as url:
            yield url


def dsn(url: str) -> str:
    """
    The same database as psycopg itself is told of it.
    """
    parsed = sa.make_url(url)
    return f"host={parsed.query['host']} user={parsed.username} dbname={parsed.database}"
