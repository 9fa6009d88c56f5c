"""I5: a reminder is sent once, in time, and only while it has a purpose."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from renewal.invariants.check import HOURS, Check, CheckInput, asked, streamed
from renewal.rules import reminder_schedule
from renewal.rules.window import Phase, phase_at
from schema.reasons import SuppressionReason
from schema.tables.books import payments
from schema.tables.log import parked
from schema.tables.people import certificates
from schema.tables.renewals import OPEN, decisions, messages, reminder_claims, renewals
from schema.tables.runs import run_items

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from renewal.db.unit_of_work import UnitOfWork
    from schema.policy import Policy

c = certificates.c
m = messages.c
r = renewals.c

#: Said of a threshold once and for all.
FOR_GOOD = ("claimed", "merged", "branch call", "by invitation", "by old system")
_REASONS_FOR_GOOD = (
    SuppressionReason.OPTED_OUT.value,
    SuppressionReason.WINDOW_OVER.value,
    *("opted out", "window over"),  # as version 0.1 wrote them
)
#: From then on a reminder is owed again that was not before.
_AGAIN = {
    "renewal": ("refused", "abandoned"),
    "CA": ("resumed",),
    "fee": ("payment declined", "refunded"),
}


def _of_nothing(_given: CheckInput) -> sa.Select[Any]:
    tells = sa.exists().where(reminder_claims.c.message == m.id)
    again = messages.alias().c
    # One that was withdrawn gave its thresholds back; one that did not arrive may be told again on
    # its own channel, by a message that has them now.
    handed_on = sa.exists().where(again.instead_of == m.id, again.channel == m.channel)
    return sa.select(m.id).where(m.kind == "reminder", m.state != "suppressed", ~tells, ~handed_on)


def _claimed_for_nothing(_given: CheckInput) -> sa.Select[Any]:
    mine = sa.and_(
        m.kind == "reminder", m.channel == reminder_claims.c.channel, m.customer == c.customer
    )
    return (
        sa.select(reminder_claims.c.certificate, reminder_claims.c.threshold)
        .join(certificates, c.id == reminder_claims.c.certificate)
        .outerjoin(messages, m.id == reminder_claims.c.message)
        .where(sa.or_(m.id.is_(None), sa.not_(mine)))
    )


def _in_vain(_given: CheckInput) -> sa.Select[Any]:
    """
    What is decided between the claim and the handing over, the carriers' own ledgers show:
    a lost answer that was found out late is on our record as handed over late.
    """
    begun, claimed, ended = (decisions.alias().c for _ in range(3))
    over = sa.exists().where(
        ended.certificate == r.certificate,
        ended.renewal == r.id,
        ended.about == "renewal",
        ended.what.in_(("refused", "abandoned")),
        ended.id < claimed.id,
    )
    return (
        sa.select(m.id)
        .select_from(renewals)
        .join(begun.id.table, sa.and_(begun.certificate == r.certificate, begun.renewal == r.id))
        .join(
            claimed.id.table, sa.and_(claimed.certificate == r.certificate, claimed.id > begun.id)
        )
        .join(messages, m.id == claimed.message)
        .where(
            begun.about == "renewal",
            begun.what.in_(("requested", "confirmed")),  # invited: not before he confirms
            *_is_claim(claimed),
            m.handed_at.is_not(None),
            ~over,
        )
    )


def _is_claim(claimed: Any) -> tuple[sa.ColumnElement[bool], ...]:  # noqa: ANN401 - columns
    return (claimed.about == "reminder", claimed.what.in_(("claimed", "merged")))


def _of_a_stopped_one(_given: CheckInput) -> sa.Select[Any]:
    stopped, claimed, resumed = (decisions.alias().c for _ in range(3))
    lifted = sa.exists().where(
        resumed.certificate == stopped.certificate,
        resumed.about == "CA",
        resumed.what == "resumed",
        resumed.id > stopped.id,
        resumed.id < claimed.id,
    )
    return (
        sa.select(m.id)
        .select_from(stopped.id.table)
        .join(
            claimed.id.table,
            sa.and_(claimed.certificate == stopped.certificate, claimed.id > stopped.id),
        )
        .join(messages, m.id == claimed.message)
        .where(
            stopped.about == "CA",
            stopped.what.in_(("suspended", "revoked")),
            *_is_claim(claimed),
            m.handed_at.is_not(None),
            ~lifted,
        )
        .distinct()
    )


def _too_late(work: UnitOfWork, given: CheckInput) -> Iterator[str]:
    query = (
        sa.select(m.id, m.claimed_at, c.product, c.not_after)
        .join(reminder_claims, reminder_claims.c.message == m.id)
        .join(certificates, c.id == reminder_claims.c.certificate)
        .where(m.handed_at.is_not(None), m.claimed_at > c.not_after)
    )
    for row in streamed(work, query):
        policy = given.policies.get(row.product)
        if policy and phase_at(row.claimed_at, row.not_after, policy.window) is Phase.CLOSED:
            yield str(row.id)


def _two_a_day(work: UnitOfWork, _given: CheckInput) -> Iterator[str]:
    if work.connection.dialect.name == "sqlite":
        whole = sa.func.substr(m.handed_at, 1, 19)  # SQLite would round .9999 up to the next day
        day = sa.func.date(whole, "+8 hours")
    else:
        day = sa.func.date(sa.func.timezone("Asia/Taipei", m.handed_at))
    query: sa.Select[Any] = (
        sa.select(m.customer, day)
        .where(m.kind == "reminder", m.channel == "sms", m.handed_at.is_not(None))
        .group_by(m.customer, day)
        .having(sa.func.count() > 1)
    )
    return (f"customer {key} on {on}" for key, on in map(tuple, streamed(work, query)))


def _never_handed(given: CheckInput) -> sa.Select[Any]:
    number = sa.cast(m.customer, sa.String)
    keys = ("customer-" + number, m.instead_of, number)  # the last by a program before this one
    waits = sa.exists().where(parked.c.consumer == "reminders", parked.c.key.in_(keys))
    return sa.select(m.id).where(
        m.kind == "reminder", m.state == "claimed", m.claimed_at < given.now - HOURS, ~waits
    )


# --- missed -------------------------------------------------------------------------------------


def _missed(work: UnitOfWork, given: CheckInput) -> Iterator[str]:
    for product, policy in given.policies.items():
        for row in streamed(work, _candidates(product, policy, given.now)):
            step = reminder_schedule.reminder_owed(given.now, row.not_after, policy, None)
            if step is not None and _is_missed(row, step, policy, given.now):
                yield str(row.id)


def _candidates(product: str, policy: Policy, now: datetime) -> sa.Select[Any]:
    """Certificates within the ladder that nothing speaks against reminding of now."""
    invitation = sa.and_(r.state == "requested", sa.exists().where(run_items.c.renewal == r.id))
    busy = sa.exists().where(r.certificate == c.id, r.state.in_(OPEN), ~invitation)
    paid = sa.exists().where(
        payments.c.certificate == c.id, payments.c.state.in_(("asked", "paid", "reserved"))
    )
    day = timedelta(days=1)
    again = _since_when()
    return sa.select(
        c.id,
        c.not_after,
        c.remind_at,
        again.label("again"),
        _least(_for_good()).label("for_good"),
        _least(_for_now(again, now)).label("for_now"),
    ).where(
        c.state == sa.literal_column("'active'"),
        c.product == product,
        c.customer.is_not(None),
        c.not_after >= now - day * (policy.window.after_days + 1),
        c.not_after <= now + day * (max(policy.ladder) + 1),
        ~busy,
        ~paid,
    )


_d = decisions.alias().c


def _least(*where: sa.ColumnElement[bool]) -> sa.ScalarSelect[Any]:
    return (
        sa.select(sa.func.min(_d.threshold))
        .where(_d.certificate == c.id, _d.about == "reminder", *where)
        .scalar_subquery()
    )


def _for_good() -> sa.ColumnElement[bool]:
    return sa.or_(
        _d.what.in_(FOR_GOOD),
        sa.and_(_d.what == "suppressed", _d.why.in_(_REASONS_FOR_GOOD)),
    )


def _for_now(again: sa.ScalarSelect[Any], now: datetime) -> sa.ColumnElement[bool]:
    """
    Put off until a time that has not passed long ago, or suppressed after all that speaks for it.
    """
    return sa.or_(
        sa.and_(_d.what == "deferred", _d.until > now - HOURS),
        sa.and_(_d.what == "suppressed", _d.at >= sa.func.coalesce(again, _d.at)),
    )


def _since_when() -> sa.ScalarSelect[Any]:
    d = decisions.alias().c
    ended = [sa.and_(d.about == about, d.what.in_(whats)) for about, whats in _AGAIN.items()]
    return (
        sa.select(d.at)
        .where(d.certificate == c.id, sa.or_(*ended))
        .order_by(d.at.desc())
        .limit(1)
        .scalar_subquery()
    )


def _is_missed(row: Any, step: int, policy: Policy, now: datetime) -> bool:  # noqa: ANN401 - a row
    claimed = [one for one in (row.for_good, row.for_now) if one is not None]
    if claimed and min(claimed) <= step:
        return False
    since = reminder_schedule.threshold_moment(step, row.not_after, policy)
    since = max(since, row.again) if row.again else since
    if row.remind_at is not None and since < row.remind_at <= now:
        since = row.remind_at  # taken in after the threshold had passed, and not looked at yet
    return bool(now - since > HOURS)


CHECKS = (
    Check(
        invariant="I5",
        what="a reminder that tells of no threshold",
        zh="提醒未對應任何提醒時點",
        find=asked(_of_nothing),
    ),
    Check(
        invariant="I5",
        what="a threshold claimed by a message that is none of its own",
        zh="提醒時點登記的訊息不存在或不相符",
        find=asked(_claimed_for_nothing),
    ),
    Check(
        invariant="I5",
        what="reminded while its renewal was under way or done",
        zh="展期進行中或完成後仍發出提醒",
        find=asked(_in_vain),
    ),
    Check(
        invariant="I5",
        what="reminded of a suspended or revoked certificate",
        zh="對已暫禁或註銷的憑證發出提醒",
        find=asked(_of_a_stopped_one),
    ),
    Check(
        invariant="I5",
        what="reminded after its window had closed",
        zh="展期期間結束後仍發出提醒",
        find=_too_late,
    ),
    Check(
        invariant="I5",
        what="two reminders by SMS on one day",
        zh="同一天發出兩則簡訊提醒",
        find=_two_a_day,
    ),
    Check(
        invariant="I5",
        what="a reminder that was to be sent, and neither was nor waits to be",
        zh="提醒準備發出，卻未發出也不在等候",
        find=asked(_never_handed),
    ),
    Check(
        invariant="I5",
        what="a reminder missed",
        zh="漏發提醒",
        find=_missed,
    ),
)
