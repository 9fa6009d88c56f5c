"""I3: the CA issues once for a renewal, and our rows match what it issued."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from renewal.invariants.check import Check, CheckInput, asked
from schema.tables.people import certificates
from schema.tables.renewals import renewals

c = certificates.c
r = renewals.c


def _twice_for_one(_given: CheckInput) -> sa.Select[Any]:
    return (
        sa.select(c.renewal)
        .where(c.renewal.is_not(None))
        .group_by(c.renewal)
        .having(sa.func.count() > 1)
    )


def _of_no_renewal(_given: CheckInput) -> sa.Select[Any]:
    mine = sa.exists().where(r.id == c.renewal, r.new_certificate == c.id)
    return sa.select(c.id).where(c.renewal.is_not(None), ~mine)


def _not_as_asked(_given: CheckInput) -> sa.Select[Any]:
    return (
        sa.select(c.id)
        .join(renewals, sa.and_(r.new_certificate == c.id, r.id == c.renewal))
        .where(
            sa.or_(
                c.slot != r.slot,
                c.spki_sha256 != r.spki_sha256,
                c.not_before != r.not_before,
                c.not_after != r.not_after,
            )
        )
    )


def _key_twice(_given: CheckInput) -> sa.Select[Any]:
    # A bank's own certificates of before may share a key; one that we had made may not.
    return (
        sa.select(sa.func.min(c.id))
        .where(sa.func.length(c.spki_sha256) > 0)
        .group_by(c.spki_sha256)
        .having(sa.func.count() > 1, sa.func.count(c.renewal) > 0)
    )


def _not_on_record(_given: CheckInput) -> sa.Select[Any]:
    return sa.select(r.id).where(r.state.in_(("issued", "delivered")), r.new_certificate.is_(None))


CHECKS = (
    Check(
        invariant="I3",
        what="two certificates for one renewal",
        zh="一件展期簽發了兩張憑證",
        find=asked(_twice_for_one),
    ),
    Check(
        invariant="I3",
        what="a certificate of a renewal that does not know of it",
        zh="憑證所屬的展期不認得它",
        find=asked(_of_no_renewal),
    ),
    Check(
        invariant="I3",
        what="the certificate is not what its renewal had asked for",
        zh="憑證與展期所申請的不符",
        find=asked(_not_as_asked),
    ),
    Check(
        invariant="I3",
        what="one key in two certificates",
        zh="兩張憑證使用同一把金鑰",
        find=asked(_key_twice),
    ),
    Check(
        invariant="I3",
        what="issued, and no certificate is on record",
        zh="已簽發卻沒有憑證紀錄",
        find=asked(_not_on_record),
    ),
)
