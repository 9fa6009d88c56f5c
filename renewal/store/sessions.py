"""Sessions of the pages, by the hash of their id."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from schema.tables.web import sessions as t

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from renewal.db.unit_of_work import UnitOfWork

ID_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class SessionRow:
    id_hash: bytes
    face: str
    subject: str
    body: Mapping[str, Any] = field(default_factory=dict)
    made_at: datetime
    seen_at: datetime


def new_id() -> str:
    return secrets.token_urlsafe(ID_BYTES)


def hash_of(session_id: str) -> bytes:
    """The id has 256 bits from the system: nobody guesses it, so that a plain hash will do."""
    return hashlib.sha256(session_id.encode()).digest()


def find(work: UnitOfWork, session_id: str) -> SessionRow | None:
    row = work.connection.execute(sa.select(t).where(t.c.id_hash == hash_of(session_id))).first()
    if row is None:
        return None
    return SessionRow(**{**row._mapping, "body": json.loads(row.body)})  # noqa: SLF001 - its name


def add(work: UnitOfWork, row: SessionRow) -> None:
    work.connection.execute(sa.insert(t).values(_values(row)))


def change(work: UnitOfWork, row: SessionRow) -> None:
    work.connection.execute(sa.update(t).where(t.c.id_hash == row.id_hash).values(_values(row)))


def remove(work: UnitOfWork, id_hash: bytes) -> bool:
    """Remove a session, and say whether it was there."""
    return work.connection.execute(sa.delete(t).where(t.c.id_hash == id_hash)).rowcount == 1


def remove_all_of(
    work: UnitOfWork, face: str, subject: str, *, user_code: str | None = None, but: bytes = b""
) -> int:
    """
    Remove every session of one reader, and say how many.

    With ``user_code`` those of that user of the customer alone; the session whose id has the hash
    ``but`` goes on.
    """
    mine = sa.and_(t.c.face == face, t.c.subject == subject, t.c.id_hash != but)
    found = work.connection.execute(sa.select(t.c.id_hash, t.c.body).where(mine)).all()
    gone = [
        row.id_hash
        for row in found
        if user_code is None or json.loads(row.body).get("user_code") == user_code
    ]
    return work.connection.execute(sa.delete(t).where(t.c.id_hash.in_(gone))).rowcount


def forget_before(work: UnitOfWork, moment: datetime) -> int:
    """Remove every session that was last seen before then, and say how many."""
    return work.connection.execute(sa.delete(t).where(t.c.seen_at < moment)).rowcount


def _values(row: SessionRow) -> dict[str, Any]:
    return {
        "id_hash": row.id_hash,
        "face": row.face,
        "subject": row.subject,
        "body": json.dumps(dict(row.body), ensure_ascii=False),
        "made_at": row.made_at,
        "seen_at": row.seen_at,
    }
