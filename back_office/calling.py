"""What staff note of calls to customers, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from back_office.actions import must_say_why
from renewal.contacts import NOT_THEIRS, Address, rests_for_good
from renewal.db.retry import retry_on_conflict
from renewal.errors import XuqiError
from renewal.lifecycle import tasks
from renewal.store import audit
from schema.reasons import CallReason, DecisionKind

if TYPE_CHECKING:
    from renewal.db.engine import Store
    from renewal.db.rows import Certificate
    from renewal.db.unit_of_work import UnitOfWork

#: Whether somebody calls again, or not before a message fails anew.
FOLLOWS = {
    CallReason.REACHED: DecisionKind.CALL_ENDED,
    CallReason.NOT_REACHED: DecisionKind.CALL_TRIED,
    CallReason.LATER: DecisionKind.CALL_TRIED,
    CallReason.DECLINED: DecisionKind.CALL_ENDED,
    CallReason.WRONG_NUMBER: DecisionKind.CALL_ENDED,
}
LONGEST_NOTE = 100


@dataclass(frozen=True)
class Calling:
    """Each note is one transaction together with its line in the audit trail."""

    store: Store

    @retry_on_conflict
    def note(self, certificate: int, result: CallReason, note: str, *, who: str) -> None:
        """
        Keep what came of a call. A number that is not the customer's is used no more, and to find
        the right one is a task.

        Raises:
            XuqiError: there is no such certificate, or nothing was noted.
        """
        if len(note) > LONGEST_NOTE:
            raise XuqiError(f"a note has at most {LONGEST_NOTE} characters")
        with self.store.transaction() as work:
            must_say_why(who, note)
            did, object_ = f"call: {result.value}", f"certificate {certificate}"
            audit.write(work, who=who, did=did, object_=object_, why=note)
            row = work.certificates.get(certificate)
            why = result.why(note=note)
            if result is CallReason.WRONG_NUMBER:
                self._not_theirs(work, row)
                tasks.find_number(work, row, why)
            work.record_decision(row.id, FOLLOWS[result], why)

    def _not_theirs(self, work: UnitOfWork, row: Certificate) -> None:
        """Nothing goes to that number any more, codes least of all, until it is changed."""
        if row.customer is None:
            return
        customer = work.customers.get(row.customer)
        for address in (Address.MOBILE, Address.CODES):
            if not rests_for_good(customer, address):
                rests = {f"{address}_bad": NOT_THEIRS, f"{address}_bad_until": None}
                customer = work.customers.change(customer, **rests)
