"""The jobs, each from stored state, so that runs may be late or repeated."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from producers import certificates as producer
from producers import renewals as renewal_producer
from renewal.lifecycle import recordings
from renewal.lifecycle.addresses import KEPT_FOR
from renewal.lifecycle.certificates import leave_window
from renewal.lifecycle.renewals import WAITS_FOR_CUSTOMER
from renewal.rules import reminder_schedule
from renewal.store import certificates as queries
from renewal.store import recordings as recording_queries
from renewal.store import renewals as renewal_queries
from renewal.store import replaced_addresses
from schema.states import RenewalState
from schema.taipei import whole_second

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from renewal.db.engine import Store
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies
    from renewal.store.certificates import Due
    from schema.policy import Policy

PAGE = 500
AT_MOST = 50_000
_EVER = datetime(1, 1, 2, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Scan:
    """The result of one run. ``full``: there was more, and the next run gets to it."""

    announced: int = 0
    full: bool = False


def scan(store: Store, policies: Policies, *, at_most: int = AT_MOST, page: int = PAGE) -> Scan:
    """
    Announce each certificate once, when it enters its renewal window.

    The event and the mark are one transaction for each page; every certificate of a page is
    announced for good, so that each run makes progress.
    """
    announced = 0
    for policy in policies.by_product.values():
        for found, work in _pages(store, policy, _entered, at_most - announced, page):
            work.certificates.load(due.id for due in found)
            for due in found:
                producer.renewal_due(work, work.certificates.get(due.id))
            announced += len(found)
    return Scan(announced=announced, full=announced >= at_most)


def would_announce(
    store: Store, policies: Policies, *, at_most: int = AT_MOST
) -> Iterator[tuple[Policy, Due]]:
    """What ``scan`` would announce now, without announcing it."""
    for policy in policies.by_product.values():
        after: Due | None = None
        while True:
            with store.snapshot() as look:
                found = _entered(look, policy, after, min(PAGE, at_most))
            yield from ((policy, due) for due in found)
            at_most -= len(found)
            if len(found) < PAGE or at_most <= 0:
                break
            after = found[-1]


def leave(store: Store, policies: Policies, *, at_most: int = AT_MOST, page: int = PAGE) -> Scan:
    """
    Announce once for each certificate that its window has closed without a renewal.

    One that is being renewed stays: its renewal was requested in time.
    """
    left = 0
    for policy in policies.by_product.values():
        after: Due | None = None
        found: list[Due] = []
        while left < at_most and (after is None or len(found) == page):
            with store.transaction() as work:
                found = _left(work, policy, after, page)
                gone = _not_busy(work, found)[: at_most - left]
                work.certificates.load(gone)
                for certificate in map(work.certificates.get, gone):
                    leave_window(work, certificate)
            left += len(gone)
            if not found:
                break
            after = found[-1]
    return Scan(announced=left, full=left >= at_most)


def _not_busy(work: UnitOfWork, found: list[Due]) -> list[int]:
    busy = renewal_queries.under_way(work, [due.id for due in found])
    return [due.id for due in found if due.id not in busy]


def _entered(work: UnitOfWork, policy: Policy, after: Due | None, at_most: int) -> list[Due]:
    now = whole_second(work.at)
    return queries.not_yet_announced(
        work,
        policy.product,
        since=now - timedelta(days=policy.window.after_days),
        until=now + timedelta(days=policy.window.before_days),
        after=after,
        at_most=at_most,
    )


def _left(work: UnitOfWork, policy: Policy, after: Due | None, at_most: int) -> list[Due]:
    closed = whole_second(work.at) - timedelta(days=policy.window.after_days, microseconds=1)
    return queries.left_unrenewed(
        work, policy.product, since=_EVER, until=closed, after=after, at_most=at_most
    )


def _pages(
    store: Store,
    policy: Policy,
    ask: Callable[[UnitOfWork, Policy, Due | None, int], list[Due]],
    at_most: int,
    page: int,
) -> Iterator[tuple[list[Due], UnitOfWork]]:
    """One transaction for each page, until a page is not full or ``at_most`` is reached."""
    after: Due | None = None
    while at_most > 0:
        with store.transaction() as work:
            found = ask(work, policy, after, min(page, at_most))
            if found:
                yield found, work
        if len(found) < page:
            return
        after, at_most = found[-1], at_most - len(found)


def remind(store: Store, policies: Policies, *, at_most: int = AT_MOST, page: int = PAGE) -> Scan:
    """Announce each certificate whose next threshold has passed, because a reminder may be owed."""
    count = 0
    while count < at_most:
        with store.transaction() as work:
            found = queries.to_remind(work, min(page, at_most - count))
            work.certificates.load(found)
            for certificate in map(work.certificates.get, found):
                policy = policies.by_product.get(certificate.product)
                if policy is None:
                    producer.no_policy(work, certificate)
                else:
                    producer.reminder_due(work, certificate, policy)
        count += len(found)
        if len(found) < page:
            return Scan(announced=count)
    return Scan(announced=count, full=True)


def tend(store: Store, policies: Policies, *, page: int = PAGE) -> Scan:
    """
    Abandon stale renewals, send collection reminders, and refund payments for renewals that can no
    longer take place, raise what a branch has not recorded in time, and forget replaced addresses.

    Only what waits for the customer is abandoned: while the answer of the bank or the CA is not
    known, a renewal stays as it is.
    """
    acted = _waiting(store, policies, page) + _paid_in_vain(store, policies, page)
    return Scan(announced=acted + _not_recorded(store, page) + _forgotten(store))


def _forgotten(store: Store) -> int:
    """A replaced address that could not be told of it in time is personal data without a use."""
    with store.transaction() as work:
        return replaced_addresses.forget_older(work, work.at - KEPT_FOR)


def _not_recorded(store: Store, page: int) -> int:
    """Each is read as due once: a page that is done is not found again."""
    acted = 0
    while True:
        with store.transaction() as work:
            found = recording_queries.fallen_due(work, page)
            for row in found:
                recordings.fall_overdue(work, row)
        acted += len(found)
        if len(found) < page:
            return acted


def _paid_in_vain(store: Store, policies: Policies, page: int) -> int:
    """
    I4: in whatever way the certificate became unrenewable: suspended until its window closed, or
    its slot taken by an imported one.
    """
    acted, after = 0, ""
    while True:
        with store.transaction() as work:
            found = renewal_queries.paid_for_what_has_ended(work, after, page)
            work.certificates.load(payment.certificate for payment in found)
            for payment in found:
                acted += renewal_producer.paid_in_vain(work, payment, policies)
        if len(found) < page:
            return acted
        after = found[-1].id


def _waiting(store: Store, policies: Policies, page: int) -> int:
    acted, after = 0, ""
    while True:
        with store.transaction() as work:
            found = renewal_queries.waiting_since(
                work, WAITS_FOR_CUSTOMER, work.at - timedelta(hours=1), after, page
            )
            for renewal in found:
                policy = policies.by_product.get(renewal.product)
                if policy is None:
                    continue  # one product without a policy does not keep the others waiting
                if work.at - renewal.moved_at >= timedelta(days=policy.abandon_after_days):
                    renewal_producer.given_up(work, renewal, policies)
                    acted += 1
                elif renewal.state != RenewalState.REQUESTED:
                    reminded = renewal.collected_told
                    step = reminder_schedule.collection_reminder_owed(
                        work.at, renewal.moved_at, policy, reminded
                    )
                    if step is not None:
                        renewal_producer.not_collected(work, renewal, step)
                        acted += 1
        if len(found) < page:
            return acted
        after = found[-1].id
