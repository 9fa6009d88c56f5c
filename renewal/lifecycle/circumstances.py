"""Reads what decides on the renewals of many certificates, with one query for each table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from renewal.store import renewals as queries
from schema.states import PaymentState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from renewal.db.rows import Certificate, Payment
    from renewal.db.unit_of_work import UnitOfWork


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """
    As the transaction found them, and as the renewals that it has begun since have changed them.
    """

    open_slots: set[str]
    attempts: dict[int, int]  #: how many renewals a certificate has had
    payments: Mapping[int, Payment]  #: paid and not used yet, by certificate

    def begun(self, certificate: Certificate) -> int:
        """Take note of one more renewal; return which attempt of its certificate it is."""
        self.open_slots.add(certificate.slot)
        self.attempts[certificate.id] = self.attempts.get(certificate.id, 0) + 1
        return self.attempts[certificate.id]


def circumstances(work: UnitOfWork, certificates: Sequence[Certificate]) -> Circumstances:
    """Nobody else may begin a renewal of these before the transaction ends."""
    ids = [certificate.id for certificate in certificates]
    work.enrolments.load({(one.customer, one.product) for one in certificates})
    slots = queries.open_slots(work, {one.slot for one in certificates})
    paid = queries.first_payments(work, ids, PaymentState.PAID.value)
    return Circumstances(open_slots=slots, attempts=queries.attempts_of(work, ids), payments=paid)
