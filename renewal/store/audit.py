"""The audit trail: what persons did, each row chained to the one before it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from schema.tables.log import audit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from renewal.store.work import Work

FIRST = b"\0" * 32


def _chained(
    before: bytes, *, number: int, at: datetime, who: str, did: str, object_: str, why: str
) -> bytes:
    digest = hashlib.sha256(before)
    for part in (str(number), at.isoformat(timespec="microseconds"), who, did, object_, why):
        digest.update(len(part.encode()).to_bytes(4) + part.encode())
    return digest.digest()


def write(work: Work, *, who: str, did: str, object_: str, why: str) -> None:
    """
    Add one line. Of two writers at once the second waits until the first has ended.

    Write it before reading what is decided upon: what is read then is not older than the line.
    """
    work.alone("audit")
    last = work.connection.execute(
        sa.select(audit.c.id, audit.c.hash).order_by(audit.c.id.desc()).limit(1)
    ).first()
    number, before = (last.id + 1, last.hash) if last else (1, FIRST)
    work.connection.execute(
        sa.insert(audit),
        {
            "id": number,
            "at": work.at,
            "who": who,
            "did": did,
            "object": object_,
            "why": why,
            "hash": _chained(
                before, number=number, at=work.at, who=who, did=did, object_=object_, why=why
            ),
        },
    )


def entries(work: Work) -> Iterator[Mapping[str, Any]]:
    for row in work.connection.execute(sa.select(audit).order_by(audit.c.id)).mappings():
        yield dict(row)


def broken_links(work: Work) -> list[int]:
    """
    The numbers of the lines whose hash is not what they and the line before them give.
    """
    broken, before, expected = [], FIRST, 1
    for row in entries(work):
        right = _chained(
            before,
            number=row["id"],
            at=row["at"],
            who=row["who"],
            did=row["did"],
            object_=row["object"],
            why=row["why"],
        )
        if row["hash"] != right or row["id"] != expected:
            broken.append(int(row["id"]))
        before, expected = row["hash"], row["id"] + 1
    return broken
