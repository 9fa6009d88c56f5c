"""Compares our certificates with the CA's list, both ways."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from renewal.db.spill_set import SpillSet
from renewal.invariants.check import PAGE, streamed, under_way
from schema.codec import kind_name
from schema.events import ChangeRequested, ChangeRequestedV1, RevocationReason
from schema.reasons import DecisionKind
from schema.tables.people import certificates
from schema.tables.renewals import decisions, renewals

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from renewal.db.unit_of_work import UnitOfWork

c = certificates.c
r = renewals.c
d = decisions.c
GOOD, ON_HOLD, REVOKED = "good", "on hold", "revoked"
#: What the CA must say of a certificate that is so in our rows.
_AT_CA = {"active": GOOD, "suspended": ON_HOLD, "revoked": REVOKED}


@dataclass(frozen=True, kw_only=True)
class CaListing:
    """A certificate as the CA has it."""

    serial: str  #: hex, lower case
    request_id: str | None  #: begins with the renewal's id; none: of before our time
    certificate: bytes  #: DER
    status: str  #: good | on hold | revoked
    reason: str | None  #: of a revocation


@dataclass(frozen=True, kw_only=True)
class CaCheck:
    invariant: str
    what: str
    zh: str


CHECKS_AT_CA = {
    "not usable": CaCheck(
        invariant="I1",
        what="in force here, and stopped at the CA or unknown to it",
        zh="我方生效，憑證中心卻已停用或不認得",
    ),
    "no row": CaCheck(
        invariant="I3",
        what="a certificate at the CA that we have no row for",
        zh="憑證中心有、我方沒有紀錄的憑證",
    ),
    "another renewal": CaCheck(
        invariant="I3",
        what="the CA made it for another renewal than we say",
        zh="憑證中心所記的展期與我方不同",
    ),
    "twice": CaCheck(
        invariant="I3",
        what="the CA has issued twice for one renewal",
        zh="憑證中心為同一件展期簽發兩次",
    ),
    "other state": CaCheck(
        invariant="I3",
        what="suspended or revoked here, and not so at the CA",
        zh="我方已暫禁或註銷，憑證中心卻不是",
    ),
    "other reason": CaCheck(
        invariant="I3",
        what="the CA names another reason for the revocation than we gave",
        zh="憑證中心的註銷原因與我方所給的不同",
    ),
}


def compare(work: UnitOfWork, listed: Iterator[CaListing]) -> Iterator[tuple[str, str]]:
    """Yield the name of a check and the key, for each difference."""
    issuers: set[bytes] = set()
    with SpillSet() as seen, SpillSet() as asked_for:
        while page := list(itertools.islice(listed, PAGE)):
            yield from _twice(page, asked_for)
            yield from _page(work, page, seen, issuers)
        yield from _unknown_there(work, seen, issuers)


def _page(
    work: UnitOfWork, page: Sequence[CaListing], seen: SpillSet, issuers: set[bytes]
) -> Iterator[tuple[str, str]]:
    rows = _rows(work, page)
    given = _reasons_given(work, [row.id for row in rows.values() if row.state == REVOKED])
    on_the_way = _on_the_way(work, page)
    for one in page:
        row = rows.get(hashlib.sha256(one.certificate).digest())
        renewal = _renewal(one)
        if row is None:
            if renewal not in on_the_way:
                yield "no row", one.serial
            continue
        issuers.add(row.issuer_hash)
        if renewal is not None and renewal != row.renewal:
            yield "another renewal", str(row.id)
        if _AT_CA.get(row.state, one.status) != one.status and not row.changing:
            yield ("not usable" if row.state == "active" else "other state"), str(row.id)
        elif one.reason not in given.get(row.id, {one.reason}):
            yield "other reason", str(row.id)
    seen.keep({row.id: b"" for row in rows.values()})


def _rows(work: UnitOfWork, page: Sequence[CaListing]) -> dict[bytes, sa.Row[Any]]:
    number, change = (sa.cast(column, sa.String) for column in (c.id, c.changes))
    changing = sa.or_(
        *(
            under_way("revocation", f"{kind_name(kind)}:" + number + ":" + change)
            for kind in (ChangeRequested, ChangeRequestedV1)
        )
    )
    query = sa.select(
        c.id, c.state, c.renewal, c.issuer_hash, c.certificate_sha256, changing.label("changing")
    ).where(c.serial.in_([one.serial for one in page]))
    return {row.certificate_sha256: row for row in work.connection.execute(query)}


def _reasons_given(work: UnitOfWork, revoked: Sequence[int]) -> dict[int, set[str]]:
    """
    The reasons that the CA was asked to revoke each for; where it was asked twice, either holds.
    """
    query = sa.select(d.certificate, d.why).where(
        d.certificate.in_(revoked),
        d.about == DecisionKind.CA_REVOKED.about,
        d.what == DecisionKind.CA_REVOKED.what,
        d.why.in_(RevocationReason),
    )
    given: dict[int, set[str]] = {}
    for row in work.connection.execute(query):
        given.setdefault(row.certificate, set()).add(row.why)
    return given


def _renewal(one: CaListing) -> str | None:
    return one.request_id.partition("/")[0] if one.request_id else None


def _on_the_way(work: UnitOfWork, page: Sequence[CaListing]) -> set[str | None]:
    """Renewals whose certificate the CA may have made without our knowing it yet."""
    named = [_renewal(one) for one in page]
    query = sa.select(r.id).where(r.id.in_(named), r.state == "sent to CA")
    return set(work.connection.scalars(query))


def _twice(page: Sequence[CaListing], seen: SpillSet) -> Iterator[tuple[str, str]]:
    named = {one.serial: seen.digest(_renewal(one)) for one in page if one.request_id}
    before = set(seen.find(list(named.values())))
    for one in page:
        digest = named.get(one.serial)
        if digest in before:
            yield "twice", str(_renewal(one))
        elif digest is not None:
            before.add(digest)
    seen.keep(dict.fromkeys(named.values(), b""))


def _unknown_there(
    work: UnitOfWork, seen: SpillSet, issuers: set[bytes]
) -> Iterator[tuple[str, str]]:
    query = sa.select(c.id).where(
        c.issuer_hash.in_(issuers), c.state == sa.literal_column("'active'")
    )
    for page in _pages(streamed(work, query)):
        known = seen.find(page)
        yield from (("not usable", str(key)) for key in page if key not in known)


def _pages(rows: Iterator[sa.Row[Any]]) -> Iterator[list[int]]:
    while page := [row.id for row in itertools.islice(rows, PAGE)]:
        yield page
