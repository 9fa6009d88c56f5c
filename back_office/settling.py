"""What staff settle by hand of payments, messages and dead letters; each is in the audit trail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from back_office.actions import must_say_why
from renewal.db.retry import retry_on_conflict
from renewal.delivery import dead_letters
from renewal.errors import NotNowError, XuqiError
from renewal.ledger import fee_postings
from renewal.lifecycle import messages, payments
from renewal.store import audit
from schema.reasons import FeeReason, RefusalReason, StatedReason
from schema.states import MessageState, PaymentState

if TYPE_CHECKING:
    from renewal.db.engine import Store
    from renewal.db.rows import Message, Payment
    from renewal.db.unit_of_work import UnitOfWork

#: What a person may say of a payment, by its state.
PAYMENTS = {
    PaymentState.ASKED: (PaymentState.PAID, PaymentState.REFUSED),
    PaymentState.PAID: (PaymentState.TO_REFUND,),
    PaymentState.TO_REFUND: (PaymentState.REFUNDED,),
}
MESSAGES = {
    MessageState.CLAIMED: (MessageState.HANDED_OVER, MessageState.UNDELIVERED),
    MessageState.HANDED_OVER: (MessageState.UNDELIVERED,),
}
BY_STAFF = "staff"  #: in place of a carrier's number


@dataclass(frozen=True)
class Settling:
    """Each action is one transaction together with its line in the audit trail."""

    store: Store

    @retry_on_conflict
    def payment(self, payment: str, to: PaymentState, *, who: str, why: str) -> Payment:
        """
        Say what has become of a payment, as a person has found it out at the bank.

        Raises:
            NotNowError: the machine is still at it, or the payment cannot become that.
        """
        with self.store.transaction() as work:
            must_say_why(who, why)
            did, object_ = f"settle payment: {to.value}", f"payment {payment}"
            audit.write(work, who=who, did=did, object_=object_, why=why)
            row = work.payments.get(payment)
            if to not in PAYMENTS.get(PaymentState(row.state), ()):
                raise NotNowError(RefusalReason.CANNOT_BECOME.why(wanted=to.value), payment)
            self._settle_payment(work, row, to, why)
            return work.payments.get(payment)

    def _settle_payment(self, work: UnitOfWork, row: Payment, to: PaymentState, note: str) -> None:
        if to is PaymentState.TO_REFUND:
            payments.ask_refund(work, row, FeeReason.REFUND_BY_STAFF.why(note=note))
            return
        if not dead_letters.open_of(work, "billing", row.id):
            raise NotNowError(RefusalReason.NOT_GIVEN_UP, row.id)
        if to is PaymentState.PAID:
            fee_postings.fee_prepaid(work, row.id, row.amount).must_hold()
            payments.pay(work, row)
        elif to is PaymentState.REFUSED:
            payments.refuse(work, row, StatedReason.NOTE.why(note=note))
        else:
            fee_postings.fee_refunded(work, row.id).must_hold()
            payments.refund(work, row)
        dead_letters.close_of(work, "billing", row.id)

    @retry_on_conflict
    def message(self, message: str, to: MessageState, *, who: str, why: str) -> Message:
        """
        Say what has become of a message, as a person has found it out at the carrier.

        Raises:
            NotNowError: it cannot become that.
        """
        with self.store.transaction() as work:
            must_say_why(who, why)
            did, object_ = f"settle message: {to.value}", f"message {message}"
            audit.write(work, who=who, did=did, object_=object_, why=why)
            row = work.messages.get(message)
            if to not in MESSAGES.get(MessageState(row.state), ()):
                raise NotNowError(RefusalReason.CANNOT_BECOME.why(wanted=to.value), message)
            if to is MessageState.HANDED_OVER:
                return messages.hand_over(work, row, None)
            return messages.refuse(work, row, BY_STAFF)

    @retry_on_conflict
    def propose_edit(self, number: int, body: bytes, *, who: str, why: str) -> None:
        """
        Mend a dead letter; another person looks at the difference and sends it.

        Raises:
            XuqiError: there is no such open dead letter, or the body is no event.
        """
        with self.store.transaction() as work:
            must_say_why(who, why)
            audit.write(work, who=who, did="edit", object_=f"dead letter {number}", why=why)
            dead_letters.propose(work, number, body, who=who, why=why)

    @retry_on_conflict
    def decide_edit(self, number: int, *, send: bool, who: str, why: str, seen: str = "") -> None:
        """
        Send what another person has mended, or throw it away.

        ``seen``: SHA-256 of the edit that the person has looked at, in hexadecimal digits.

        Raises:
            XuqiError: nothing waits, the person's own edit was to be sent, or one that has taken
                the place of what they looked at.
        """
        with self.store.transaction() as work:
            must_say_why(who, why)
            did = "send edited" if send else "reject edited"
            audit.write(work, who=who, did=did, object_=f"dead letter {number}", why=why)
            edit = dead_letters.edit_of(work, number)
            if edit is None:
                raise XuqiError(f"nobody has mended dead letter {number}")
            if send and edit.made_by == who:
                raise NotNowError(RefusalReason.OWN_EDIT, f"dead letter {number}")
            if send and seen != edit.sha256:
                raise NotNowError(RefusalReason.OTHER_EDIT, f"dead letter {number}")
            dead_letters.withdraw(work, number)
            if send:
                dead_letters.edit(work, number, edit.body)

    @retry_on_conflict
    def dead_letter(self, number: int, *, who: str, why: str) -> None:
        """
        Close a dead letter: what it was for is settled by hand, and it is never sent again.

        Raises:
            XuqiError: there is no such open dead letter.
        """
        with self.store.transaction() as work:
            must_say_why(who, why)
            audit.write(work, who=who, did="close", object_=f"dead letter {number}", why=why)
            dead_letters.close(work, number)
