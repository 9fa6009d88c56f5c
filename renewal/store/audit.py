"""The audit trail: what persons did, each row chained to the one before it by a key."""

from __future__ import annotations

import hashlib
import hmac
import os
import pwd
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from renewal.errors import XuqiError
from schema.tables.log import audit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from renewal.db.unit_of_work import UnitOfWork

FIRST = b"\0" * 32
#: Rows of before have a plain SHA-256, which whoever owns the database could compute anew. With a
#: key, a row says the number of its key: ``KEYED`` plus that.
PLAIN, KEYED = None, 2
PAGE = 1_000


def os_user() -> str:
    """
    Who the operating system says this process belongs to, whatever its environment says.
    """
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name[:64]
    except KeyError:
        return str(number)


def _chained(before: bytes, row: Mapping[str, Any], key: bytes) -> bytes:
    at: datetime = row["at"]
    parts = [str(row["id"]), at.isoformat(timespec="microseconds")]
    parts += [row["who"], row["did"], row["object"], row["why"]]
    if row["scheme"] == PLAIN:
        digest = hashlib.sha256(before)
    else:
        parts += [row["os_user"] or "", str(row["scheme"])]
        digest = hmac.new(key, before, hashlib.sha256)  # type: ignore[assignment] # both update
    for part in parts:
        digest.update(len(part.encode()).to_bytes(4) + part.encode())
    return digest.digest()


def write(work: UnitOfWork, *, who: str, did: str, object_: str, why: str) -> None:
    """
    Add one line. Of two writers at once the second waits until the first has ended.

    Write it before reading what is decided upon: what is read then is not older than the line.
    """
    work.serialize_on("audit")
    last = work.connection.execute(
        sa.select(audit.c.id, audit.c.hash, audit.c.scheme).order_by(audit.c.id.desc()).limit(1)
    ).first()
    number, before = (last.id + 1, last.hash) if last else (1, FIRST)
    scheme, key = _newest_key(work, last.scheme if last else PLAIN)
    row: dict[str, Any] = {
        "id": number,
        "at": work.at,
        "who": who,
        "did": did,
        "object": object_,
        "why": why,
        "os_user": os_user(),
        "scheme": scheme,
    }
    row["hash"] = _chained(before, row, key)
    work.connection.execute(sa.insert(audit), row)
    work.audited = (number, row["hash"])


def _newest_key(work: UnitOfWork, last: int | None) -> tuple[int, bytes]:
    """
    Raises:
        XuqiError: the key of the line before is not here: an older one would begin another chain.
    """
    needed = None if last is PLAIN else last - KEYED
    keys = work.cipher.audit_keys(needed)
    if not keys or (needed is not None and needed not in keys):
        raise XuqiError(
            f"audit.key number {needed or 1} is missing: the audit trail is chained by it"
        )
    newest = max(keys)
    return KEYED + newest, keys[newest]


def _key_of(work: UnitOfWork, scheme: int | None) -> bytes:
    """The key that a line names; one that is not here chains nothing."""
    return b"" if scheme is PLAIN else work.cipher.audit_keys().get(scheme - KEYED, b"")


def entries(work: UnitOfWork) -> Iterator[Mapping[str, Any]]:
    for row in work.connection.execute(sa.select(audit).order_by(audit.c.id)).mappings():
        yield dict(row)


def listed(work: UnitOfWork, *, after: int = 0, at_most: int = PAGE) -> Sequence[Mapping[str, Any]]:
    query = sa.select(audit).where(audit.c.id > after).order_by(audit.c.id).limit(at_most)
    return [dict(row) for row in work.connection.execute(query).mappings()]


def broken_links(work: UnitOfWork) -> list[int]:
    """
    The numbers of the lines whose hash is not what they, the line before them and the key give.
    """
    broken, before, expected, highest = [], FIRST, 1, 0
    for row in entries(work):
        scheme = row["scheme"] or 0
        right = _chained(before, row, _key_of(work, row["scheme"]))
        # Behind a keyed line neither a plain one nor one of an older key was written by us.
        fell_back = scheme < highest or (
            scheme > 0 and scheme - KEYED not in work.cipher.audit_keys()
        )
        if row["hash"] != right or row["id"] != expected or fell_back:
            broken.append(int(row["id"]))
        before, expected = row["hash"], row["id"] + 1
        highest = max(highest, scheme)
    return broken


def lost(work: UnitOfWork, heads: Mapping[int, str]) -> list[int]:
    """
    The numbers of lines that were told outside as the newest, and are not here as they were then.
    """
    missing = []
    numbers = sorted(heads)
    for start in range(0, len(numbers), PAGE):
        page = numbers[start : start + PAGE]
        query = sa.select(audit.c.id, audit.c.hash).where(audit.c.id.in_(page))
        here = {row.id: row.hash.hex() for row in work.connection.execute(query)}
        missing += [number for number in page if here.get(number) != heads[number]]
    return missing
