"""Asks for the renewal of a certificate on a token or card, which a station then writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from centre import terms as terms_of_products
from renewal.db.retry import retry_on_conflict
from renewal.db.rows import Renewal
from renewal.lifecycle import requests
from schema.reasons import RefusalReason

if TYPE_CHECKING:
    from centre.terms import Terms
    from renewal.db.engine import Store
    from renewal.db.rows import Certificate
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies


@dataclass(frozen=True)
class AtBranch:
    """
    What has been agreed to is kept with the request, in one transaction. Whoever calls this has
    checked the release password where the product has one.
    """

    store: Store
    policies: Policies

    def branch_of(self, certificate: int) -> str | None:
        """The customer's branch, whose station writes the token."""
        with self.store.snapshot() as look:
            return _branch(look, look.certificates.get(certificate))

    @retry_on_conflict
    def request(
        self,
        certificate: int,
        *,
        terms: Terms,
        session: str,
        asked_by: tuple[str, str],
        branch: str | None = None,
    ) -> Renewal | RefusalReason:
        """``branch``: where the customer goes; without it, the branch on file."""
        with self.store.transaction() as work:
            row = work.certificates.get(certificate)
            where = branch or _branch(work, row)
            if where is None:
                return RefusalReason.NO_BRANCH
            answer = requests.request(work, row, self.policies, branch=where, asked_by=asked_by)
            if isinstance(answer, Renewal):
                terms_of_products.agree(
                    work, terms, customer=answer.customer, session=session, renewal=answer.id
                )
            return answer


def _branch(work: UnitOfWork, certificate: Certificate) -> str | None:
    enrolment = work.enrolments.find((certificate.customer, certificate.product))
    return enrolment.branch if enrolment else None
