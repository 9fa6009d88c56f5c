"""Sessions of the pages: an opaque id in a cookie, ten minutes idle at most."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from renewal.db.retry import retry_on_conflict
from renewal.rules.clocks import AHEAD
from renewal.store import sessions as queries

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from renewal.clock import Clock
    from renewal.db.engine import Store

IDLE = timedelta(minutes=10)
#: A session is marked as seen at most so often: each mark is a write.
MARK_EVERY = timedelta(seconds=15)
#: However busy: after so long its reader logs in again (OWASP ASVS 3.3.2).
LONGEST = timedelta(hours=8)


@dataclass(frozen=True, kw_only=True)
class Session:
    """Who reads the pages. ``subject`` is empty before the log-in."""

    id: str = field(repr=False)
    face: str
    subject: str
    body: Mapping[str, Any]
    made_at: datetime
    seen_at: datetime

    def is_over(self, now: datetime) -> bool:
        idle, lasted = now - self.seen_at, now - self.made_at
        return idle > IDLE + MARK_EVERY or lasted > LONGEST or min(idle, lasted) < -AHEAD


class Sessions(Protocol):
    """Where sessions are kept."""

    def start(self, face: str) -> Session: ...

    def find(self, session_id: str, face: str) -> Session | None:
        """Return the session and mark it as seen; ``None``: there is none, or it is over."""
        ...

    def keep(self, session: Session, **changes: object) -> Session:
        """Change what the session remembers; a value of ``None`` is forgotten."""
        ...

    def rotate(self, session: Session, *, subject: str) -> Session:
        """
        Go on under a new id: at a log-in and after a code, so that an id that was planted or
        seen before is worth nothing.
        """
        ...

    def end(self, session: Session) -> bool:
        """Forget the session; say whether it was there: of two who end one, one hears so."""
        ...


def _changed(body: Mapping[str, Any], changes: Mapping[str, object]) -> dict[str, Any]:
    merged = {**body, **changes}
    return {name: value for name, value in merged.items() if value is not None}


@dataclass(frozen=True)
class StoredSessions:
    """Sessions in a table, of which only the hash of the id is kept."""

    store: Store

    @retry_on_conflict
    def start(self, face: str) -> Session:
        with self.store.transaction() as work:
            session = _fresh(face, work.at)
            queries.add(work, _row(session))
            queries.forget_before(work, work.at - LONGEST)  # so that the table stays small
        return session

    @retry_on_conflict
    def find(self, session_id: str, face: str) -> Session | None:
        with self.store.snapshot() as look:
            row, now = queries.find(look, session_id), look.at
        if row is None or row.face != face:
            return None
        session = _of_row(session_id, row)
        if session.is_over(now):
            self.end(session)
            return None
        if now - session.seen_at >= MARK_EVERY:
            session = replace(session, seen_at=now)
            with self.store.transaction() as work:
                queries.change(work, _row(session))
        return session

    @retry_on_conflict
    def keep(self, session: Session, **changes: object) -> Session:
        with self.store.transaction() as work:
            row = queries.find(work, session.id)
            known = row.body if row else session.body  # another tab may have changed it
            kept = replace(session, body=_changed(known, changes), seen_at=work.at)
            queries.change(work, _row(kept))
        return kept

    @retry_on_conflict
    def rotate(self, session: Session, *, subject: str) -> Session:
        with self.store.transaction() as work:
            queries.remove(work, queries.hash_of(session.id))
            fresh = _successor(session, subject, work.at)
            queries.add(work, _row(fresh))
        return fresh

    @retry_on_conflict
    def end(self, session: Session) -> bool:
        with self.store.transaction() as work:
            return queries.remove(work, queries.hash_of(session.id))


@dataclass
class MemorySessions:
    """Sessions of one process, for a face without the central database."""

    clock: Clock
    _known: dict[str, Session] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, face: str) -> Session:
        session = _fresh(face, self.clock.now())
        with self._lock:
            self._known[session.id] = session
        return session

    def find(self, session_id: str, face: str) -> Session | None:
        now = self.clock.now()
        with self._lock:
            session = self._known.get(session_id)
            if session is None or session.face != face or session.is_over(now):
                self._known.pop(session_id, None)
                return None
            self._known[session_id] = session = replace(session, seen_at=now)
            return session

    def keep(self, session: Session, **changes: object) -> Session:
        with self._lock:
            known = self._known.get(session.id, session)
            kept = replace(known, body=_changed(known.body, changes), seen_at=self.clock.now())
            self._known[session.id] = kept
            return kept

    def rotate(self, session: Session, *, subject: str) -> Session:
        fresh = _successor(session, subject, self.clock.now())
        with self._lock:
            self._known.pop(session.id, None)
            self._known[fresh.id] = fresh
        return fresh

    def end(self, session: Session) -> bool:
        with self._lock:
            return self._known.pop(session.id, None) is not None


def _fresh(face: str, now: datetime) -> Session:
    return Session(id=queries.new_id(), face=face, subject="", body={}, made_at=now, seen_at=now)


def _successor(session: Session, subject: str, now: datetime) -> Session:
    """The same session under a new id; it does not live longer for it."""
    fresh = _fresh(session.face, now)
    return replace(fresh, subject=subject, body=session.body, made_at=session.made_at)


def _row(session: Session) -> queries.SessionRow:
    return queries.SessionRow(
        id_hash=queries.hash_of(session.id),
        face=session.face,
        subject=session.subject,
        body=session.body,
        made_at=session.made_at,
        seen_at=session.seen_at,
    )


def _of_row(session_id: str, row: queries.SessionRow) -> Session:
    return Session(
        id=session_id,
        face=row.face,
        subject=row.subject,
        body=row.body,
        made_at=row.made_at,
        seen_at=row.seen_at,
    )
