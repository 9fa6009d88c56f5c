"""Queries about the stations that are enrolled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from renewal.errors import XuqiError
from schema.tables.stations import station_codes, stations

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from renewal.db.unit_of_work import UnitOfWork


class UnknownStationError(XuqiError):
    """
    There is no station with that number, or its key is another branch's.
    """


@dataclass(frozen=True, kw_only=True)
class EnrolledStation:
    """
    A station's key as the centre knows it.
    """

    number: str
    branch: str
    public_key: bytes
    enrolled_at: datetime
    revoked_at: datetime | None


def find(work: UnitOfWork, number: str) -> EnrolledStation | None:
    query = sa.select(stations).where(stations.c.number == number)
    found = work.connection.execute(query).mappings().first()
    return EnrolledStation(**found) if found else None


def listed(work: UnitOfWork) -> Sequence[EnrolledStation]:
    query = sa.select(stations).order_by(stations.c.branch, stations.c.enrolled_at)
    return [EnrolledStation(**row) for row in work.connection.execute(query).mappings()]


def enrol(work: UnitOfWork, *, number: str, branch: str, public_key: bytes) -> bool:
    """
    Believe what this key signs for the branch; ``False``: it was so already.

    Raises:
        UnknownStationError: it was revoked, or is another branch's.
    """
    known = find(work, number)
    if known is not None:
        if known.revoked_at is not None or known.branch != branch:
            raise UnknownStationError(
                f"the key {number} was enrolled before, for branch {known.branch}: make a new one"
            )
        return False
    row = {
        "number": number,
        "branch": branch,
        "public_key": public_key,
        "enrolled_at": work.at,
        "revoked_at": None,
    }
    work.connection.execute(sa.insert(stations), row)
    return True


def revoke(work: UnitOfWork, number: str) -> None:
    """
    Believe this key no more.

    Raises:
        UnknownStationError
    """
    if find(work, number) is None:
        raise UnknownStationError(f"there is no station with the key {number}")
    work.connection.execute(
        sa.update(stations)
        .where(stations.c.number == number, stations.c.revoked_at.is_(None))
        .values(revoked_at=work.at)
    )


def add_code(
    work: UnitOfWork, *, code_hash: bytes, branch: str, made_by: str, expires_at: datetime
) -> None:
    row = {
        "code_hash": code_hash,
        "branch": branch,
        "made_by": made_by,
        "expires_at": expires_at,
        "used_by": None,
    }
    work.connection.execute(sa.insert(station_codes), row)


def use_code(work: UnitOfWork, *, code_hash: bytes, branch: str, number: str) -> bool:
    """
    Use a code up for that station; ``False``: it opens nothing.

    The same station may use it again: the answer to its first request may have been lost.
    """
    t = station_codes.c
    mine = sa.and_(
        t.code_hash == code_hash,
        t.branch == branch,
        t.expires_at >= work.at,
        sa.or_(t.used_by.is_(None), t.used_by == number),
    )
    used = sa.update(station_codes).where(mine).values(used_by=number)
    return bool(work.connection.execute(used).rowcount)


def who_let_in(work: UnitOfWork, number: str) -> str | None:
    """Who has made the code by which the station has enrolled itself."""
    query = sa.select(station_codes.c.made_by).where(station_codes.c.used_by == number)
    made_by: str | None = work.connection.scalar(query.limit(1))
    return made_by
