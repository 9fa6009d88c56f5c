"""Receives other processes' commits by PostgreSQL's LISTEN and NOTIFY."""

from __future__ import annotations

import logging
import selectors
import socket
import threading
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

log = logging.getLogger(__name__)

CHANNEL = "xuqi"
#: Told with a payload that only names the store, for whose own commit it was has heard of it
#: already, and the kinds of the events that were told.
notify = sa.func.pg_notify(CHANNEL, sa.bindparam("told"))
#: How long a silent connection is trusted; how long to stay away from a lost one: seconds.
SILENCE, FIRST_PAUSE, LONGEST_PAUSE = 30.0, 0.1, 2.0
ENDS_WITHIN = 10.0  #: seconds: it may be waiting for a server that is away


def notification_payload(who: str, kinds: Collection[str]) -> str:
    """The payload; far below PostgreSQL's 8,000 bytes, because each kind is in it once."""
    return " ".join((who, *sorted(kinds)))


class CommitNotifier:
    """
    One listening connection and thread, from ``start`` to ``close``; a lost connection is replaced.

    ``wake`` is called with the kinds of the events that were emitted. Commits while nobody listened
    are not delivered later: when listening (re)starts, ``wake`` is called without kinds.
    """

    def __init__(
        self, engine: sa.Engine, who: str, wake: Callable[[Collection[str] | None], None]
    ) -> None:
        self._engine = engine
        self._who = who
        self._wake = wake
        self._thread: threading.Thread | None = None
        self._end: socket.socket | None = None  # closed, it wakes the thread
        self._ended = threading.Event()
        self._pause = FIRST_PAUSE
        self.hears = False  #: whether a commit elsewhere is heard of now

    def start(self) -> None:
        """Start to listen, once."""
        if self._thread is None and not self._ended.is_set():
            self._end, ending = socket.socketpair()
            self._thread = threading.Thread(
                target=self._run, args=[ending], name=f"listen {CHANNEL}", daemon=True
            )
            self._thread.start()

    def close(self) -> None:
        self._ended.set()
        if self._thread and self._end:
            self._end.close()
            self._thread.join(ENDS_WITHIN)

    def _run(self, ending: socket.socket) -> None:
        lost = (sa.exc.SQLAlchemyError, self._engine.dialect.loaded_dbapi.Error)
        with ending:
            while not self._ended.is_set():
                try:
                    self._listen(ending)
                except lost as error:
                    log.warning("not told of other processes' commits: %s", type(error).__name__)
                    self._ended.wait(self._pause)
                    self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def _listen(self, ending: socket.socket) -> None:
        # Behind PgBouncer this needs session pooling, as the claims do.
        with self._engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            driver = connection.connection.driver_connection
            connection.detach()  # it is not one of the pool's, which the transactions share
            connection.exec_driver_sql(f"LISTEN {CHANNEL}")
            self.hears, self._pause = True, FIRST_PAUSE
            try:
                self._wake(None)
                self._hear(connection, driver, ending)
            finally:
                self.hears = False

    def _hear(self, connection: sa.Connection, driver: Any, ending: socket.socket) -> None:  # noqa: ANN401 - psycopg's own
        with selectors.DefaultSelector() as either:
            either.register(driver, selectors.EVENT_READ)
            either.register(ending, selectors.EVENT_READ)
            while not self._ended.is_set():
                if not either.select(SILENCE):
                    connection.exec_driver_sql("SELECT 1")
                heard = [notice.payload.split(" ") for notice in driver.notifies(timeout=0)]
                others = [kinds for who, *kinds in heard if who != self._who]
                if others:  # a program before this one names no kinds
                    self._wake(set().union(*others) if all(others) else None)
