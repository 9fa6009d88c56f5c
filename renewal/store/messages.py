"""Queries about messages, one-time codes and claims."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from renewal.clock import Uptime
from renewal.db.identity_map import pages
from renewal.db.key_lookup import key_in, lookup_by_keys
from renewal.rules import code as code_rules
from renewal.rules.clocks import AHEAD
from schema.tables.people import certificates, customers
from schema.tables.renewals import challenges, messages, reminder_claims

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from renewal.db.rows import Challenge, Customer, Message
    from renewal.db.unit_of_work import UnitOfWork


#: So many customers with one address are looked at; an accountant stands for some hundred.
WHO_HAS = 10_000


#: What a message is that tells a replaced address of the change.
FORMER_ADDRESS = "address-replaced"
#: The word for a code that is known not to have been handed over.
NOT_TAKEN = "not taken"


class ClaimedThreshold(NamedTuple):
    certificate: int
    threshold: int


class TextCounts(NamedTuple):
    """How many text messages other than codes a customer got."""

    reminders: int = 0
    notices: int = 0
    others: int = 0  #: of other customers, to the same number


def claim(certificate: int, threshold: int, channel: str, message: str) -> dict[str, object]:
    return {
        "certificate": certificate,
        "threshold": threshold,
        "channel": channel,
        "message": message,
    }


def write_claims(work: UnitOfWork, claims: Sequence[dict[str, object]]) -> None:
    """I5: the key refuses a second claim of one (certificate, threshold, channel)."""
    if claims:
        work.connection.execute(sa.insert(reminder_claims), list(claims))


def transfer_claims(
    work: UnitOfWork, failed: str, message: str, certificates: Collection[int]
) -> None:
    """What a message has not told, another one tells on the same channel."""
    for page in pages(certificates):
        mine = sa.and_(reminder_claims.c.message == failed, reminder_claims.c.certificate.in_(page))
        work.connection.execute(sa.update(reminder_claims).where(mine).values(message=message))


def withdraw_claims(
    work: UnitOfWork, message: str, certificates: Collection[int]
) -> list[ClaimedThreshold]:
    """
    Let these certificates' thresholds be claimed again: the message never told of them.

    Answers of which nothing was claimed by another message, on another channel.
    """
    mine = [claim for claim in claims_of(work, message) if claim.certificate in set(certificates)]
    for page in pages([claim.certificate for claim in mine]):
        work.connection.execute(
            sa.delete(reminder_claims).where(
                reminder_claims.c.message == message, key_in(reminder_claims.c.certificate, page)
            )
        )
    left = claimed_channels(work, mine)
    return [claim for claim in mine if not left[claim]]


def claims_of(work: UnitOfWork, message: str) -> list[ClaimedThreshold]:
    """Of which certificates and thresholds a message tells."""
    query = sa.select(reminder_claims.c.certificate, reminder_claims.c.threshold).where(
        reminder_claims.c.message == message
    )
    return [
        ClaimedThreshold(*row)
        for row in work.connection.execute(query.order_by(reminder_claims.c.certificate))
    ]


def claimed_channels(
    work: UnitOfWork, claims: Collection[ClaimedThreshold]
) -> dict[ClaimedThreshold, set[str]]:
    """
    On which channels each of these was claimed; other thresholds of a certificate do not count.
    """
    found: dict[ClaimedThreshold, set[str]] = {claim: set() for claim in claims}
    for page in pages([claim.certificate for claim in claims]):
        query = sa.select(reminder_claims).where(key_in(reminder_claims.c.certificate, page))
        for row in work.connection.execute(query):
            claim = ClaimedThreshold(row.certificate, row.threshold)
            if claim in found:
                found[claim].add(row.channel)
    return found


_alone = lookup_by_keys((customers.c.id,), customers.c.id, held=True)


def texts_since(work: UnitOfWork, whose: Collection[int], since: datetime) -> dict[int, TextCounts]:
    """
    Of those of these customers to whom, or to whose number, a text message other than a code went
    since then: one person may stand for many customers.

    Until this transaction ends nobody else counts for the same ones: of two who would each send
    the day's text, the second sees the first.
    """
    sharing = same_mobile(work, whose)
    every = sorted({one for group in sharing.values() for one in group}.union(whose))
    if work.writes and work.connection.dialect.name == "postgresql":  # SQLite has one writer
        # In one order, so that two who count for some of the same do not wait for each other.
        for page in pages(every):
            work.connection.execute(_alone["postgresql"], {"keys": page})
    counted: dict[int, TextCounts] = {}
    for page in pages(every):
        counted |= _texts_of(work, page, since)
    found = {}
    for customer in whose:
        mine = counted.get(customer, TextCounts())
        rest = sharing.get(customer, frozenset()) - {customer}
        others = sum(sum(counted[one]) for one in rest if one in counted)
        if sum(mine) or others:
            found[customer] = mine._replace(others=others)
    return found


def _texts_of(work: UnitOfWork, page: Sequence[int], since: datetime) -> dict[int, TextCounts]:
    reminder = sa.case((messages.c.kind == "reminder", 1))
    query = (
        sa.select(messages.c.customer, sa.func.count(reminder), sa.func.count())
        .where(
            key_in(messages.c.customer, page),
            messages.c.channel == "sms",
            messages.c.kind.not_in(("code", FORMER_ADDRESS)),  # this goes to another number
            # One that was claimed the day before may have been handed over only today.
            sa.or_(
                messages.c.handed_at >= since,
                sa.and_(messages.c.owed_at >= since, messages.c.state == "claimed"),
            ),
        )
        .group_by(messages.c.customer)
    )
    rows = work.connection.execute(query)
    return {
        customer: TextCounts(reminders, texts - reminders) for customer, reminders, texts in rows
    }


def reminded_since(work: UnitOfWork, since: datetime) -> int:
    """How many reminders were claimed since then; what replaced one that failed does not count."""
    query = sa.select(sa.func.count()).where(
        messages.c.kind == "reminder",
        messages.c.owed_at >= since,
        messages.c.instead_of.is_(None),
    )
    return work.connection.scalar(query) or 0


def same_mobile(work: UnitOfWork, whose: Collection[int]) -> dict[int, frozenset[int]]:
    """Of those of these customers whose mobile number is another's too: everybody who has it."""
    one, other = customers.alias(), customers.alias()
    found: dict[int, set[int]] = {}
    for page in pages(sorted(whose)):
        query = sa.select(one.c.id, other.c.id).where(
            key_in(one.c.id, page),
            one.c.mobile_hash == other.c.mobile_hash,
            one.c.id != other.c.id,
        )
        for customer, sharer in work.connection.execute(query):
            found.setdefault(customer, {customer}).add(sharer)
    return {customer: frozenset(group) for customer, group in found.items()}


def in_their_window(work: UnitOfWork, whose: Collection[int]) -> frozenset[int]:
    """Those of these customers who have a certificate that can be renewed now."""
    c = certificates.c
    found: set[int] = set()
    for page in pages(sorted(whose)):
        query = sa.select(c.customer).where(
            key_in(c.customer, page),
            c.state == "active",
            c.announced_at.is_not(None),
            c.left_at.is_(None),
        )
        found.update(work.connection.scalars(query.distinct()))
    return frozenset(found)


def failures(
    work: UnitOfWork, message: Message, *, since: datetime, codes: bool
) -> Sequence[tuple[str, datetime]]:
    """
    The code and time of each other message to the same address by the same lane that did not
    arrive, since then and since one last arrived.
    """
    m = messages.c
    lane = m.kind == "code" if codes else sa.or_(m.kind != "code", m.channel == "mail")
    arrived = sa.select(sa.func.max(m.ended_at)).where(
        m.customer == message.customer, m.channel == message.channel, m.state == "delivered", lane
    )
    last: datetime | None = work.connection.scalar(arrived)
    query = sa.select(m.code, m.ended_at).where(
        m.state == sa.literal_column("'undelivered'"),
        m.address_hash == message.address_hash,
        m.channel == message.channel,
        m.ended_at >= max(since, last or since),
        m.id != message.id,
        lane,
    )
    return [(row.code, row.ended_at) for row in work.connection.execute(query)]


def failed_since(work: UnitOfWork, channel: str, code: str, since: datetime) -> Sequence[bytes]:
    """The addresses that messages with this code did not reach since then."""
    m = messages.c
    query = sa.select(m.address_hash).where(
        m.state == sa.literal_column("'undelivered'"),
        m.ended_at >= since,
        m.channel == channel,
        m.code == code,
        m.address_hash.is_not(None),
    )
    return list(work.connection.scalars(query.distinct()))


def who_has(work: UnitOfWork, channel: str, address_hash: bytes) -> Sequence[Customer]:
    """The customers with this address."""
    column = customers.c.mail_hash if channel == "mail" else customers.c.mobile_hash
    query = sa.select(customers).where(column == address_hash).order_by(customers.c.id)
    return work.customers.read(query.limit(WHO_HAS))


_unreported = (
    sa.select(messages)
    .where(
        messages.c.state == sa.literal_column("'handed over'"),
        messages.c.channel == "sms",
        messages.c.handed_at < sa.bindparam("handed_before"),
        messages.c.id > sa.bindparam("after"),
    )
    .order_by(messages.c.id)
    .limit(sa.bindparam("at_most"))
)


def unreported(
    work: UnitOfWork, handed_before: datetime, after: str, at_most: int
) -> Sequence[Message]:
    """Text messages that were handed over before then and of whose end nothing was heard."""
    named = {"handed_before": handed_before, "after": after, "at_most": at_most}
    return work.messages.read(_unreported, named)


def listed(
    work: UnitOfWork, *, customer: int | None, after: str, at_most: int
) -> Sequence[Message]:
    query = sa.select(messages).where(messages.c.id > after).order_by(messages.c.id).limit(at_most)
    if customer is not None:
        query = query.where(messages.c.customer == customer)
    return work.messages.read(query)


def codes_of(work: UnitOfWork, customer: int) -> int:
    """How many codes the customer has ever asked for."""
    query = sa.select(sa.func.count()).where(challenges.c.customer == customer)
    return work.connection.scalar(query) or 0


#: Its carrier has refused it, or was away or closed to us for as long as it lived.
_not_taken = (
    sa.select(messages.c.id)
    .where(
        messages.c.id == challenges.c.id + "-1-sms",
        messages.c.handed_at.is_(None),
        sa.or_(
            messages.c.state == "undelivered",
            sa.and_(messages.c.state == "suppressed", messages.c.code == NOT_TAKEN),
        ),
    )
    .exists()
)


def asked_for(work: UnitOfWork, customer: int, since: datetime) -> int:
    """How many codes the customer has asked for since then, whatever became of them."""
    count = sa.select(sa.func.count()).where(
        challenges.c.issued_at >= since, challenges.c.customer == customer
    )
    return work.connection.scalar(count) or 0


def codes_sent(
    work: UnitOfWork, customer: int, mobile_hash: bytes | None, since: datetime
) -> tuple[int, int]:
    """
    How many codes that a carrier took, or may have taken, the customer has asked for since then,
    and how many of them went to that mobile.
    """
    count = sa.select(sa.func.count()).where(challenges.c.issued_at >= since, ~_not_taken)
    mine = work.connection.scalar(count.where(challenges.c.customer == customer)) or 0
    if mobile_hash is None:
        return mine, 0
    there = work.connection.scalar(count.where(challenges.c.mobile_hash == mobile_hash)) or 0
    return mine, there


def wrong_tries(work: UnitOfWork, customer: int, action: str, since: datetime) -> int:
    """How many wrong codes the customer has entered for this purpose since then."""
    spent = challenges.c.tries - sa.case((challenges.c.used_at.is_not(None), 1), else_=0)
    query = sa.select(sa.func.coalesce(sa.func.sum(spent), 0)).where(
        challenges.c.customer == customer,
        challenges.c.action == action,
        challenges.c.issued_at >= since,
    )
    return int(work.connection.scalar(query) or 0)


_spend = (
    sa.update(challenges)
    .where(
        challenges.c.id == sa.bindparam("which"),
        challenges.c.tries < challenges.c.most_tries,
        challenges.c.used_at.is_(None),
        challenges.c.superseded_at.is_(None),
        challenges.c.expires_at > sa.bindparam("moment"),
        challenges.c.issued_at <= sa.bindparam("ahead"),
    )
    .values(tries=challenges.c.tries + 1)
)
_use = (
    sa.update(challenges)
    .where(
        challenges.c.id == sa.bindparam("which"),
        challenges.c.used_at.is_(None),
        challenges.c.superseded_at.is_(None),
        challenges.c.expires_at > sa.bindparam("moment"),
        challenges.c.issued_at <= sa.bindparam("ahead"),
    )
    .values(used_at=sa.bindparam("now"))
)
_supersede = (
    sa.update(challenges)
    .where(
        challenges.c.customer == sa.bindparam("whose"),
        challenges.c.session_hash == sa.bindparam("session"),
        challenges.c.used_at.is_(None),
        challenges.c.superseded_at.is_(None),
    )
    .values(superseded_at=sa.bindparam("now"))
)


def own_moment(work: UnitOfWork, challenge: Challenge) -> datetime:
    """The moment by which this code is judged: see ``renewal.rules.code.own_moment``."""
    issued = Uptime(
        boot=challenge.issued_boot or "", ran=timedelta(microseconds=challenge.issued_ran or 0)
    )
    ran = work.uptime.since(issued)
    return code_rules.own_moment(challenge.issued_at, work.at, ran=ran)


def spend_a_try(work: UnitOfWork, challenge: Challenge) -> bool:
    """Spend one try before the code is looked at; no, if there is none left or it has ended."""
    return work.connection.execute(_spend, _moment(work, challenge)).rowcount == 1


def use(work: UnitOfWork, challenge: Challenge) -> bool:
    """Use the code up; no, if another was first."""
    return work.connection.execute(_use, {**_moment(work, challenge), "now": work.at}).rowcount == 1


def _moment(work: UnitOfWork, challenge: Challenge) -> dict[str, object]:
    moment = own_moment(work, challenge)
    return {"which": challenge.id, "moment": moment, "ahead": moment + AHEAD}


def supersede_all(work: UnitOfWork, customer: int, session_hash: bytes) -> None:
    """
    A new request kills every earlier code that the customer was sent in this session: another
    session's is being entered there.
    """
    named = {"whose": customer, "session": session_hash, "now": work.at}
    work.connection.execute(_supersede, named)
