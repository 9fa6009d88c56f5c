"""I2: one certificate in force in a slot, and none renewed that was suspended or revoked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from renewal.invariants.check import Check, CheckInput, asked
from schema.tables.people import certificates
from schema.tables.renewals import OPEN, decisions, renewals

if TYPE_CHECKING:
    from sqlalchemy.sql.selectable import ScalarSelect

STATES = ("suspended", "resumed", "revoked")
STOPPED = ("suspended", "revoked")


def _two_in_force(_given: CheckInput) -> sa.Select[Any]:
    c = certificates.c
    return (
        sa.select(c.slot)
        .where(c.state.in_(("active", "suspended")))
        .group_by(c.slot)
        .having(sa.func.count() > 1)
    )


def _two_open(_given: CheckInput) -> sa.Select[Any]:
    r = renewals.c
    return sa.select(r.slot).where(r.state.in_(OPEN)).group_by(r.slot).having(sa.func.count() > 1)


def _renewed_while_stopped(_given: CheckInput) -> sa.Select[Any]:
    r, c, asked_for = renewals.c, certificates.c, decisions.c
    before = _first_of(asked_for, after=False)
    after = _first_of(asked_for, after=True)
    return (
        sa.select(r.id)
        .join(decisions, sa.and_(asked_for.certificate == r.certificate, asked_for.renewal == r.id))
        .join(certificates, c.id == r.certificate)
        .where(
            asked_for.about == "renewal",
            asked_for.what == "requested",
            sa.or_(
                before.in_(STOPPED),
                # Taken in as suspended or revoked: nothing was decided before.
                after == "resumed",
                sa.and_(after.is_(None), c.state.in_(STOPPED)),
            ),
        )
    )


def _replaces_nothing(_given: CheckInput) -> sa.Select[Any]:
    """A renewal of a certificate without a row, or an application that names another one's."""
    r, c = renewals.c, certificates.c
    foreign = sa.and_(r.old_state == "none", c.id.is_not(None), c.renewal.is_distinct_from(r.id))
    return (
        sa.select(r.id)
        .outerjoin(certificates, c.id == r.certificate)
        .where(sa.or_(sa.and_(r.old_state != "none", c.id.is_(None)), foreign))
    )


def _first_of(asked_for: Any, *, after: bool) -> ScalarSelect[Any]:  # noqa: ANN401 - columns
    """
    What was last decided of the certificate's state before it was asked for, or first after it.
    """
    d = decisions.alias().c
    query = sa.select(d.what).where(
        d.certificate == asked_for.certificate, d.about == "CA", d.what.in_(STATES)
    )
    if after:
        query = query.where(d.id > asked_for.id).order_by(d.id)
    else:
        query = query.where(d.id < asked_for.id).order_by(d.id.desc())
    return query.limit(1).scalar_subquery()


CHECKS = (
    Check(
        invariant="I2",
        what="two certificates in force in one slot",
        zh="同一位置有兩張生效的憑證",
        find=asked(_two_in_force),
    ),
    Check(
        invariant="I2",
        what="two renewals under way in one slot",
        zh="同一位置有兩件展期進行中",
        find=asked(_two_open),
    ),
    Check(
        invariant="I2",
        what="renewed while its certificate was suspended or revoked",
        zh="憑證暫禁或註銷期間仍受理展期",
        find=asked(_renewed_while_stopped),
    ),
    Check(
        invariant="I2",
        what="a renewal of nothing, or an application for somebody else's certificate",
        zh="展期沒有對象，或申請指向別人的憑證",
        find=asked(_replaces_nothing),
    ),
)
