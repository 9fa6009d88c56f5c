"""Questions about messages, codes and what was told."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from renewal.store.among import among, one_by_one
from renewal.store.shelf import pages
from schema.tables.people import customers
from schema.tables.renewals import challenges, messages, told

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from renewal.store.rows import Challenge, Message
    from renewal.store.work import Work


class Told(NamedTuple):
    certificate: int
    threshold: int


class Texts(NamedTuple):
    """
    How many text messages other than codes a customer got.
    """

    reminders: int = 0
    notices: int = 0


def claim(certificate: int, threshold: int, channel: str, message: str) -> dict[str, object]:
    return {
        "certificate": certificate,
        "threshold": threshold,
        "channel": channel,
        "message": message,
    }


def write_claims(work: Work, claims: Sequence[dict[str, object]]) -> None:
    """
    I5: the key refuses a second claim of one (certificate, threshold, channel).
    """
    if claims:
        work.connection.execute(sa.insert(told), list(claims))


def hand_on(work: Work, failed: str, message: str, certificates: Collection[int]) -> None:
    """
    What a message has not told, another one tells on the same channel.
    """
    for page in pages(certificates):
        mine = sa.and_(told.c.message == failed, told.c.certificate.in_(page))
        work.connection.execute(sa.update(told).where(mine).values(message=message))


def withdraw_claims(work: Work, message: str, certificates: Collection[int]) -> list[Told]:
    """
    Let these certificates' thresholds be claimed again: the message never told of them.

    Answers of which nothing was claimed by another message, on another channel.
    """
    mine = [claim for claim in told_by(work, message) if claim.certificate in set(certificates)]
    for page in pages([claim.certificate for claim in mine]):
        work.connection.execute(
            sa.delete(told).where(told.c.message == message, among(told.c.certificate, page))
        )
    left = claimed_channels(work, mine)
    return [claim for claim in mine if not left[claim]]


def told_by(work: Work, message: str) -> list[Told]:
    """
    Of which certificates and thresholds a message tells.
    """
    query = sa.select(told.c.certificate, told.c.threshold).where(told.c.message == message)
    return [Told(*row) for row in work.connection.execute(query.order_by(told.c.certificate))]


def claimed_channels(work: Work, claims: Collection[Told]) -> dict[Told, set[str]]:
    """
    On which channels each of these was claimed; other thresholds of a certificate do not count.
    """
    found: dict[Told, set[str]] = {claim: set() for claim in claims}
    for page in pages([claim.certificate for claim in claims]):
        query = sa.select(told).where(among(told.c.certificate, page))
        for row in work.connection.execute(query):
            claim = Told(row.certificate, row.threshold)
            if claim in found:
                found[claim].add(row.channel)
    return found


_alone = one_by_one((customers.c.id,), customers.c.id, held=True)


def texts_since(work: Work, whose: Collection[int], since: datetime) -> dict[int, Texts]:
    """
    Of those of these customers who got a text message other than a code since then.

    Until this transaction ends nobody else counts for the same ones: of two who would each send
    the day's text, the second sees the first.
    """
    found: dict[int, Texts] = {}
    reminder = sa.case((messages.c.kind == "reminder", 1))
    if work.writes and work.connection.dialect.name == "postgresql":  # SQLite has one writer
        # In one order, so that two who count for some of the same do not wait for each other.
        for page in pages(sorted(whose)):
            work.connection.execute(_alone["postgresql"], {"keys": page})
    for page in pages(whose):
        query = (
            sa.select(messages.c.customer, sa.func.count(reminder), sa.func.count())
            .where(
                among(messages.c.customer, page),
                messages.c.channel == "sms",
                messages.c.kind != "code",
                # One that was claimed the day before may have been handed over only today.
                sa.or_(
                    messages.c.handed_at >= since,
                    sa.and_(messages.c.owed_at >= since, messages.c.state == "claimed"),
                ),
            )
            .group_by(messages.c.customer)
        )
        for customer, reminders, texts in work.connection.execute(query):
            found[customer] = Texts(reminders, texts - reminders)
    return found


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


def unreported(work: Work, handed_before: datetime, after: str, at_most: int) -> Sequence[Message]:
    """
    Text messages that were handed over before then and of whose end nothing was heard.
    """
    named = {"handed_before": handed_before, "after": after, "at_most": at_most}
    return work.messages.read(_unreported, named)


def listed(work: Work, *, customer: int | None, after: str, at_most: int) -> Sequence[Message]:
    query = sa.select(messages).where(messages.c.id > after).order_by(messages.c.id).limit(at_most)
    if customer is not None:
        query = query.where(messages.c.customer == customer)
    return work.messages.read(query)


def live_challenges(work: Work, customer: int) -> Sequence[Challenge]:
    """
    The customer's codes that were not yet used, replaced or let go.
    """
    query = sa.select(challenges).where(
        challenges.c.customer == customer,
        challenges.c.used_at.is_(None),
        challenges.c.superseded_at.is_(None),
    )
    return work.challenges.read(query)


def codes_of(work: Work, customer: int) -> int:
    """
    How many codes the customer has ever asked for.
    """
    query = sa.select(sa.func.count()).where(challenges.c.customer == customer)
    return work.connection.scalar(query) or 0


def codes_sent(
    work: Work, customer: int, mobile_hash: bytes | None, since: datetime
) -> tuple[int, int]:
    """
    How many codes the customer has asked for since then, and how many went to that mobile.
    """
    count = sa.select(sa.func.count()).where(challenges.c.issued_at >= since)
    mine = work.connection.scalar(count.where(challenges.c.customer == customer)) or 0
    if mobile_hash is None:
        return mine, 0
    there = work.connection.scalar(count.where(challenges.c.mobile_hash == mobile_hash)) or 0
    return mine, there


def wrong_tries(work: Work, customer: int, action: str, since: datetime) -> int:
    """
    How many wrong codes the customer has entered for this purpose since then.
    """
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
        challenges.c.expires_at > sa.bindparam("now"),
    )
    .values(tries=challenges.c.tries + 1)
)
_use = (
    sa.update(challenges)
    .where(
        challenges.c.id == sa.bindparam("which"),
        challenges.c.used_at.is_(None),
        challenges.c.superseded_at.is_(None),
        challenges.c.expires_at > sa.bindparam("now"),
    )
    .values(used_at=sa.bindparam("now"))
)
_supersede = (
    sa.update(challenges)
    .where(
        challenges.c.customer == sa.bindparam("whose"),
        challenges.c.used_at.is_(None),
        challenges.c.superseded_at.is_(None),
    )
    .values(superseded_at=sa.bindparam("now"))
)


def spend_a_try(work: Work, challenge: str) -> bool:
    """
    Spend one try before the code is looked at; no, if there is none left or it has ended.
    """
    return work.connection.execute(_spend, {"which": challenge, "now": work.at}).rowcount == 1


def use(work: Work, challenge: str) -> bool:
    """
    Use the code up; no, if another was first.
    """
    return work.connection.execute(_use, {"which": challenge, "now": work.at}).rowcount == 1


def supersede_all(work: Work, customer: int) -> None:
    """
    A new request kills every earlier code of the customer.
    """
    work.connection.execute(_supersede, {"whose": customer, "now": work.at})
