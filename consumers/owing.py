"""Decides of which certificates a customer is to be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from consumers.sending import contact
from renewal.rules import ladder, suppression
from renewal.rules.suppression import Contact, Suppression
from renewal.store import certificates as certificate_queries
from renewal.store import messages as message_queries
from renewal.store import renewals as renewal_queries
from schema.policy import FeeHow

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from renewal.cycle import Policies
    from renewal.store.rows import Certificate, Customer
    from renewal.store.work import Work
    from schema.policy import Channel, Policy


@dataclass(frozen=True, kw_only=True)
class Owed:
    """
    A certificate and the threshold of which its customer is to be told.
    """

    certificate: Certificate
    policy: Policy
    threshold: int


@dataclass(kw_only=True)
class Sight:
    """
    What one batch needs to know, read with one query for each table.
    """

    certificates: dict[int, list[Certificate]] = field(default_factory=dict)  # by customer
    under_way: set[int] = field(default_factory=set)
    paid: set[int] = field(default_factory=set)


@dataclass(kw_only=True)
class Owing:
    policies: Policies
    sight: Sight = field(default_factory=Sight)

    def look(self, customers: Collection[int], work: Work) -> None:
        """
        Read what a batch of events of these customers needs.
        """
        work.customers.load(customers)
        found = certificate_queries.of_customers(work, customers)
        ids = [certificate.id for certificate in found]
        self.sight = Sight(
            under_way=renewal_queries.under_way(work, ids),
            paid=renewal_queries.paid_for(work, ids),
        )
        for certificate in found:
            if certificate.customer is not None:
                self.sight.certificates.setdefault(certificate.customer, []).append(certificate)

    def owed(self, customer: Customer, work: Work) -> list[Owed]:
        """
        What the customer is to be told of now, in one message.
        """
        found = []
        for seen in self.sight.certificates.get(customer.id, ()):
            certificate = work.certificates.get(seen.id)
            policy = self.policies.by_product.get(certificate.product)
            if policy is None or certificate.state != "active":
                continue
            step = ladder.owed(work.at, certificate.not_after, policy, certificate.told)
            if step is not None:
                found.append(Owed(certificate=certificate, policy=policy, threshold=step))
        return found

    def besides(self, customer: Customer, work: Work) -> list[Owed]:
        """
        What the customer is owed by now, and something is to be said of.
        """
        return [one for one in self.owed(customer, work) if self._why_not(one, work.at) is None]

    def told(self, message: str, work: Work) -> list[Owed]:
        """
        What a message was claimed to tell of.
        """
        found = []
        for claimed in message_queries.told_by(work, message):
            certificate = work.certificates.get(claimed.certificate)
            found.append(
                Owed(
                    certificate=certificate,
                    policy=self.policies.of(certificate.product),
                    threshold=claimed.threshold,
                )
            )
        return found

    def not_in_vain(self, owed: Sequence[Owed], work: Work) -> list[Owed]:
        """
        Those that something is to be said of; of the others, why not is put on record.
        """
        kept = []
        for one in owed:
            why = self._why_not(one, work.at)
            if why is None:
                kept.append(one)
            else:
                work.decide(
                    one.certificate.id, "reminder", "suppressed", why.value, threshold=one.threshold
                )
        return kept

    def _why_not(self, one: Owed, now: datetime) -> Suppression | None:
        return suppression.why_not_reminded(
            now=now,
            not_after=one.certificate.not_after,
            policy=one.policy,
            channel=one.policy.channels[0],
            state=one.certificate.state,
            renewed=False,
            under_way=one.certificate.id in self.sight.under_way,
            paid=one.certificate.id in self.sight.paid,
            opted_out=False,
            contact=Contact.GOOD,
            sms_sent_today=0,
        )

    def still_wanted(self, one: Owed, customer: Customer, channel: Channel, work: Work) -> bool:
        told = work.certificates.get(one.certificate.id).told
        return (
            (told is None or told >= one.threshold)  # else a later one was told meanwhile
            and one.certificate.state == "active"
            and self._why_not(one, work.at) is None
            and not customer.opted_out
            and contact(customer, channel) is Contact.GOOD
        )

    def later_step(self, one: Owed, work: Work) -> int | None:
        """
        A later threshold that has passed while the message waited.
        """
        certificate = work.certificates.get(one.certificate.id)
        return ladder.owed(work.at, certificate.not_after, one.policy, one.threshold)

    def is_the_latest(self, one: Owed, work: Work) -> bool:
        """
        A later threshold, told or owed by now, has a message of its own.
        """
        certificate = work.certificates.get(one.certificate.id)
        if certificate.told is not None and certificate.told < one.threshold:
            return False
        return certificate.state == "active" and self.later_step(one, work) is None

    def is_prepaid(self, certificate: Certificate) -> bool:
        return self.policies.of(certificate.product).fee.how is FeeHow.PREPAID
