"""Selects the certificates whose reminder is due."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from consumers.outbound import contact
from renewal.rules import reminder_schedule, suppression
from renewal.rules.suppression import Contact, Suppression
from renewal.store import certificates as certificate_queries
from renewal.store import messages as message_queries
from renewal.store import renewals as renewal_queries
from schema.policy import FeeHow
from schema.reasons import DecisionKind
from schema.states import CertificateState

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from renewal.db.rows import Certificate, Customer
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies
    from schema.policy import Channel, Policy


@dataclass(frozen=True, kw_only=True)
class DueReminder:
    """A certificate, and the threshold at which a reminder is due."""

    certificate: Certificate
    policy: Policy
    threshold: int


@dataclass(kw_only=True)
class Preloaded:
    """What one batch needs, read with one query for each table."""

    certificates: dict[int, list[Certificate]] = field(default_factory=dict)  # by customer
    under_way: set[int] = field(default_factory=set)
    paid: set[int] = field(default_factory=set)


@dataclass(kw_only=True)
class DueReminders:
    policies: Policies
    preloaded: Preloaded = field(default_factory=Preloaded)

    def preload(self, customers: Collection[int], work: UnitOfWork) -> None:
        """Read what a batch of events of these customers needs."""
        work.customers.load(customers)
        found = certificate_queries.of_customers(work, customers)
        ids = [certificate.id for certificate in found]
        self.preloaded = Preloaded(
            under_way=renewal_queries.taken_up(work, ids),
            paid=renewal_queries.paid_for(work, ids),
        )
        for certificate in found:
            if certificate.customer is not None:
                self.preloaded.certificates.setdefault(certificate.customer, []).append(certificate)

    def due(self, customer: Customer, work: UnitOfWork) -> list[DueReminder]:
        """The reminders that are due to the customer now, in one message."""
        found = []
        for seen in self.preloaded.certificates.get(customer.id, ()):
            certificate = work.certificates.get(seen.id)
            policy = self.policies.by_product.get(certificate.product)
            if policy is None or certificate.state != CertificateState.ACTIVE:
                continue
            step = reminder_schedule.reminder_owed(
                work.at, certificate.not_after, policy, certificate.told
            )
            if step is not None:
                found.append(DueReminder(certificate=certificate, policy=policy, threshold=step))
        return found

    def also_due(self, customer: Customer, work: UnitOfWork) -> list[DueReminder]:
        """The customer's other due reminders that are not moot."""
        return [one for one in self.due(customer, work) if self.why_not(one, work.at) is None]

    def claimed(self, message: str, work: UnitOfWork) -> list[DueReminder]:
        """The reminders that a message has claimed."""
        found = []
        for claimed in message_queries.claims_of(work, message):
            certificate = work.certificates.get(claimed.certificate)
            found.append(
                DueReminder(
                    certificate=certificate,
                    policy=self.policies.of(certificate.product),
                    threshold=claimed.threshold,
                )
            )
        return found

    def drop_moot(self, owed: Sequence[DueReminder], work: UnitOfWork) -> list[DueReminder]:
        """The reminders that are not moot; for the others the reason is recorded."""
        kept = []
        for one in owed:
            why = self.why_not(one, work.at)
            if why is None:
                kept.append(one)
            else:
                work.record_decision(
                    one.certificate.id,
                    DecisionKind.REMINDER_SUPPRESSED,
                    why.value,
                    threshold=one.threshold,
                )
        return kept

    def why_not(self, one: DueReminder, now: datetime) -> Suppression | None:
        return suppression.why_moot(
            now,
            one.certificate.not_after,
            one.policy,
            state=one.certificate.state,
            under_way=one.certificate.id in self.preloaded.under_way,
            paid=one.certificate.id in self.preloaded.paid,
        )

    def still_wanted(
        self, one: DueReminder, customer: Customer, channel: Channel, work: UnitOfWork
    ) -> bool:
        reminded = work.certificates.get(one.certificate.id).told
        return (
            (reminded is None or reminded >= one.threshold)  # else a later one was told meanwhile
            and one.certificate.state == CertificateState.ACTIVE
            and self.why_not(one, work.at) is None
            and not customer.opted_out
            and contact(customer, channel, work.at) is Contact.GOOD
        )

    def later_step(self, one: DueReminder, work: UnitOfWork) -> int | None:
        """A later threshold that was passed while the message waited."""
        certificate = work.certificates.get(one.certificate.id)
        return reminder_schedule.reminder_owed(
            work.at, certificate.not_after, one.policy, one.threshold
        )

    def is_the_latest(self, one: DueReminder, work: UnitOfWork) -> bool:
        """Whether no later threshold is due or claimed; that one has a message of its own."""
        certificate = work.certificates.get(one.certificate.id)
        if certificate.told is not None and certificate.told < one.threshold:
            return False
        return certificate.state == CertificateState.ACTIVE and self.later_step(one, work) is None

    def is_prepaid(self, certificate: Certificate) -> bool:
        return self.policies.of(certificate.product).fee.how is FeeHow.PREPAID
