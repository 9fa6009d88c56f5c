"""Queries of the console: pending work, people, and filtered lists."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from renewal.store.recordings import overdue_count
from schema.states import RunState, TaskState
from schema.tables.log import audit, dead_letters
from schema.tables.people import certificates, contact_edits, customers
from schema.tables.renewals import messages, renewals
from schema.tables.runs import runs
from schema.tables.tasks import tasks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from renewal.db.rows import Message
    from renewal.db.unit_of_work import UnitOfWork

WEEK_SECONDS = 7 * 24 * 3600


def waiting_for_people(work: UnitOfWork) -> dict[str, int]:
    """How many runs wait for approval or are paused, and how many dead letters are open."""
    count = sa.func.count()
    state = runs.c.state

    def of(query: sa.Select[Any]) -> int:
        return int(work.connection.scalar(query) or 0)

    return {
        "inbox": of(sa.select(count).where(state == RunState.AWAITING_APPROVAL))
        + of(sa.select(count).select_from(contact_edits)),
        "runs": of(sa.select(count).where(state.in_((RunState.RUNNING, RunState.PAUSED)))),
        "tasks": of(sa.select(count).where(tasks.c.state == TaskState.OPEN)),
        "recordings": overdue_count(work),
        "dead-letters": of(
            sa.select(count).select_from(dead_letters).where(dead_letters.c.state == "open")
        ),
    }


def customers_with(work: UnitOfWork, column: str, value: str) -> Sequence[int]:
    """The customers by a keyed hash: of their reference, ID number or mobile number."""
    by = customers.c[f"{column}_hash"]
    query = sa.select(customers.c.id).where(by == work.cipher.hash(value, f"customers.{column}"))
    return work.connection.scalars(query.order_by(customers.c.id).limit(50)).all()


def certificates_page(
    work: UnitOfWork,
    *,
    product: str | None,
    state: str | None,
    customer: int | None,
    until: datetime | None,
    after: int,
    at_most: int,
) -> Sequence[sa.RowMapping]:
    """A page of certificates by id, as a list shows them."""
    c = certificates.c
    query = sa.select(
        c.id, c.product, c.serial, c.token_serial, c.customer, c.state, c.not_before, c.not_after
    ).where(c.id > after)
    if product:
        query = query.where(c.product == product)
    if state:
        query = query.where(c.state == state)
    if customer is not None:
        query = query.where(c.customer == customer)
    if until is not None:
        query = query.where(c.not_after <= until)
    return work.connection.execute(query.order_by(c.id).limit(at_most)).mappings().all()


def renewals_of(work: UnitOfWork, certificate: int) -> Sequence[sa.RowMapping]:
    r = renewals.c
    query = sa.select(
        r.id, r.state, r.fee_state, r.fee_amount, r.branch, r.requested_at, r.moved_at, r.why,
        r.new_certificate,
    ).where(r.certificate == certificate)  # fmt: skip
    return work.connection.execute(query.order_by(r.requested_at)).mappings().all()


def expiring_by_week(
    work: UnitOfWork, since: datetime, until: datetime
) -> Sequence[tuple[int, str, int]]:
    """How many active certificates end in each week from ``since``: week, product, count."""
    c = certificates.c
    start = sa.bindparam("since", since, c.not_after.type)
    if work.connection.dialect.name == "sqlite":
        days = sa.func.julianday(c.not_after) - sa.func.julianday(start)
        week = sa.cast(days / 7, sa.Integer)
    else:
        seconds = sa.func.extract("epoch", c.not_after - start)
        week = sa.cast(sa.func.floor(seconds / WEEK_SECONDS), sa.Integer)
    query = (
        sa.select(week.label("week"), c.product, sa.func.count())
        .where(
            # As the index of those to leave has it: none has left that ends later than now.
            c.state == sa.literal_column("'active'"),
            c.left_at.is_(None),
            c.not_after >= since,
            c.not_after < until,
        )
        .group_by("week", c.product)
        .order_by("week", c.product)
    )
    return [(int(w), product, count) for w, product, count in work.connection.execute(query)]


def deliveries(work: UnitOfWork, since: datetime) -> Sequence[tuple[str, str, str, int]]:
    """Messages since then by kind, channel and state."""
    m = messages.c
    query = (
        sa.select(m.kind, m.channel, m.state, sa.func.count())
        .where(m.owed_at >= since)
        .group_by(m.kind, m.channel, m.state)
        .order_by(m.kind, m.channel, m.state)
    )
    return [tuple(row) for row in work.connection.execute(query)]


def messages_page(
    work: UnitOfWork, *, state: str | None, kind: str | None, before: str, at_most: int
) -> Sequence[Message]:
    """A page of messages, the newest first, behind the place of the last one of the page before."""
    m = messages.c
    query = sa.select(messages).order_by(m.owed_at.desc(), m.id.desc()).limit(at_most)
    if state:
        query = query.where(m.state == state)
    if kind:
        query = query.where(m.kind == kind)
    moment, _, last = before.partition(" ")
    if last:
        at = datetime.fromisoformat(moment)
        query = query.where(sa.or_(m.owed_at < at, sa.and_(m.owed_at == at, m.id < last)))
    return work.messages.read(query)


def place_of(message: Message) -> str:
    """By which the next page of messages begins behind this one."""
    return f"{message.owed_at.isoformat()} {message.id}"


def to_remind_until(
    work: UnitOfWork, until: datetime, *, after: int, at_most: int
) -> Sequence[int]:
    """Active certificates that will be looked at for a reminder until then, by their numbers."""
    c = certificates.c
    query = sa.select(c.id).where(
        c.state == sa.literal_column("'active'"), c.remind_at <= until, c.id > after
    )
    return work.connection.scalars(query.order_by(c.id).limit(at_most)).all()


def audit_page(
    work: UnitOfWork,
    *,
    who: str | None,
    did: str | None = None,
    before: int | None,
    at_most: int,
) -> Sequence[sa.RowMapping]:
    """A page of the audit trail, the newest first."""
    query = sa.select(audit).order_by(audit.c.id.desc()).limit(at_most)
    if who:
        query = query.where(audit.c.who == who)
    if did:
        query = query.where(audit.c.did == did)
    if before is not None:
        query = query.where(audit.c.id < before)
    return work.connection.execute(query).mappings().all()
