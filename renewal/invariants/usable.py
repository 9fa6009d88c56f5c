"""I1: no customer with a usable certificate loses it because of us."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from renewal.invariants.check import Check, CheckInput, asked
from schema.policy import Storage
from schema.tables.people import certificates
from schema.tables.renewals import decisions, renewals

if TYPE_CHECKING:
    from collections.abc import Collection

IN_FORCE = ("activated", "done")
NOT_YET = ("requested", "confirmed", "fee held", "sent to CA", "issued", "delivered")
r = renewals.c
c = certificates.c
#: An application replaces nothing: the certificate that it names is the one that it is for.
is_renewal = r.old_state != "none"


def decided(
    certificate: sa.ColumnElement[int],
    about: str,
    what: str | Collection[str],
    renewal: sa.ColumnElement[str] | None = None,
    *,
    before: sa.ColumnElement[int] | None = None,
) -> sa.ColumnElement[bool]:
    """
    Whether that was decided of a certificate, for a renewal or at all, before a decision or ever.
    """
    d = decisions.alias().c
    where = [
        d.certificate == certificate,
        d.about == about,
        d.what == what if isinstance(what, str) else d.what.in_(what),
    ]
    if renewal is not None:
        where.append(d.renewal == renewal)
    if before is not None:
        where.append(d.id < before)
    return sa.exists().where(*where)


def _settled_too_early(_given: CheckInput) -> sa.Select[Any]:
    settled = r.old_state.not_in(("untouched", "none"))
    return sa.select(r.id).where(settled, r.state.not_in(IN_FORCE))


def _superseded_by_nothing(_given: CheckInput) -> sa.Select[Any]:
    known = sa.exists().where(r.certificate == c.id, is_renewal, r.state.in_((*IN_FORCE, *NOT_YET)))
    # What came in behind another one, or made room for it, was replaced at the old system.
    imported = decided(c.id, "import", "superseded")
    return sa.select(c.id).where(c.state == "superseded", ~known, ~imported)  # NOT_YET: told below


def _never_in_force(_given: CheckInput) -> sa.Select[Any]:
    return (
        sa.select(r.id)
        .outerjoin(certificates, c.id == r.new_certificate)
        .where(r.state.in_(IN_FORCE), sa.or_(c.id.is_(None), c.state == "pending"))
    )


def _not_proven(given: CheckInput) -> sa.Select[Any]:
    tokens = [
        name for name, policy in given.policies.items() if policy.storage is not Storage.BROWSER
    ]
    proven = sa.and_(
        r.csr.is_not(None),
        r.spki_sha256.is_not(None),
        decided(r.certificate, "renewal", "activated", r.id),
    )
    read_back = sa.and_(
        sa.or_(r.proof.is_not(None), r.blank_token.is_not(None)),
        decided(r.certificate, "token", "written, read back", r.id),
    )
    return sa.select(r.id).where(
        r.state.in_(IN_FORCE),
        sa.not_(sa.and_(proven, sa.or_(r.product.not_in(tokens), read_back))),
    )


def _revoked_first(_given: CheckInput) -> sa.Select[Any]:
    d = decisions.c
    in_force = decided(d.certificate, "renewal", "activated", d.renewal, before=d.id)
    return (
        sa.select(r.id)
        .join(decisions, sa.and_(d.certificate == r.certificate, d.renewal == r.id))
        .where(is_renewal, d.about == "CA", d.what == "revoked", ~in_force)
    )


def _left_with_nothing(_given: CheckInput) -> sa.Select[Any]:
    taken = sa.and_(c.state == "revoked", ~decided(c.id, "CA", "revoke asked"))
    return (
        sa.select(r.id)
        .join(certificates, c.id == r.certificate)
        .where(is_renewal, r.state.in_(NOT_YET), sa.or_(c.state == "superseded", taken))
    )


def _nobody_asked(_given: CheckInput) -> sa.Select[Any]:
    replaced = sa.exists().where(r.certificate == c.id, is_renewal, r.state.in_(IN_FORCE))
    taken_back = sa.exists().where(
        r.id == c.renewal, r.new_certificate == c.id, r.state.in_(("refused", "abandoned"))
    )
    return sa.select(c.id).where(
        c.state == "revoked",
        decided(c.id, "CA", "revoked"),
        ~decided(c.id, "CA", "revoke asked"),
        ~replaced,
        ~taken_back,
        ~sa.exists().where(r.certificate == c.id, is_renewal, r.state.in_(NOT_YET)),  # told above
    )


CHECKS = (
    Check(
        invariant="I1",
        what="the old certificate was settled before the new one was in force",
        zh="新憑證尚未生效，舊憑證已被處理",
        find=asked(_settled_too_early),
    ),
    Check(
        invariant="I1",
        what="superseded, and no renewal put another in its place",
        zh="已被取代，卻沒有任何展期取代它",
        find=asked(_superseded_by_nothing),
    ),
    Check(
        invariant="I1",
        what="the renewal counts as in force, its new certificate never was",
        zh="展期視為生效，新憑證卻從未生效",
        find=asked(_never_in_force),
    ),
    Check(
        invariant="I1",
        what="in force without the proof on record",
        zh="生效但沒有持有金鑰的證明紀錄",
        find=asked(_not_proven),
    ),
    Check(
        invariant="I1",
        what="the old certificate was revoked before the new one was proven",
        zh="舊憑證在新憑證證明之前就被註銷",
        find=asked(_revoked_first),
    ),
    Check(
        invariant="I1",
        what="a renewal is under way and the old certificate is gone already",
        zh="展期進行中，舊憑證卻已失效",
        find=asked(_left_with_nothing),
    ),
    Check(
        invariant="I1",
        what="revoked, and nobody had asked for it",
        zh="無人申請而被註銷",
        find=asked(_nobody_asked),
    ),
)
