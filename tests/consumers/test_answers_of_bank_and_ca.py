"""Each answer of the bank and the CA, and what follows from it: never a no from a lost answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import pytest

from consumers.billing import Billing, BookFee, BookingAnswer
from consumers.issuance import Issuance, IssuanceRefused, IssueCertificate
from renewal.errors import (
    GatewayError,
    GatewayRefusedError,
    GatewayUnavailableError,
    GatewayUnsureError,
)
from renewal.gateways.answers import Meaning
from renewal.gateways.bank import answers as bank
from renewal.gateways.bank.answers import BankRefusal
from renewal.gateways.bank.port import Booking, BookingStatus, Operation
from renewal.gateways.ca import answers as ca
from renewal.gateways.ca.port import IssuanceRequest, Waiting
from renewal.outcome import Reject, Retry
from schema.reasons import CaReason

if TYPE_CHECKING:
    from renewal.gateways.ca.port import CertificationAuthority, Issued
    from renewal.rules.policies import Policies

NOTHING, OURS, REFUSED = Meaning.NOTHING, Meaning.OURS, Meaning.REFUSED
AWAY, LOST = GatewayUnavailableError("away"), GatewayUnsureError("lost")
NO = GatewayRefusedError("no", code="badAlg")
DONE, DECLINED, NEVER_SEEN = BookingStatus.DONE, BookingStatus.REFUSED, BookingStatus.UNKNOWN

# Written down apart from the tables: a slip in either shows.
SAID_BY_THE_BANK = {
    "funds": REFUSED,
    "account": REFUSED,
    "refused before": OURS,
    "told": REFUSED,
    "amount": OURS,
    "of": OURS,
    "ended": OURS,
    "other content": OURS,
    "": OURS,
    "4711": OURS,
}
SAID_BY_THE_CA = {
    "badAlg": REFUSED,
    "badPOP": REFUSED,
    "duplicateCertReq": REFUSED,
    "badCertTemplate": REFUSED,
    "certRevoked": REFUSED,
    "systemUnavail": NOTHING,
    "systemFailure": NOTHING,
    "timeNotAvailable": NOTHING,
    "addInfoNotAvailable": NOTHING,
    "badRequest": OURS,
    "badTime": OURS,
    "badDataFormat": OURS,
    "wrongAuthority": OURS,
    "notAuthorized": OURS,
    "signerNotTrusted": OURS,
    "unacceptedPolicy": OURS,
    "transactionIdInUse": OURS,
    "": OURS,
    "aCodeOfNextYear": OURS,
}


@pytest.mark.parametrize(("code", "means"), SAID_BY_THE_BANK.items())
def test_what_a_refusal_of_the_bank_means(code: str, means: Meaning) -> None:
    assert bank.meaning_of(code) is means


@pytest.mark.parametrize(("code", "means"), SAID_BY_THE_CA.items())
def test_what_a_refusal_of_the_ca_means(code: str, means: Meaning) -> None:
    assert ca.meaning_of(code) is means


def test_each_row_says_why_and_each_word_of_the_bank_has_one() -> None:
    assert all(row.because for row in (*bank.ANSWERS, *ca.ANSWERS))
    assert {row.code for row in bank.ANSWERS} == set(BankRefusal)


@dataclass
class ScriptedBank:
    """Answers as it is told, and keeps what it was asked."""

    books: GatewayError | None = None
    says: BookingStatus | GatewayError = DONE
    asked: str = ""

    def book(self, booking: Booking) -> None:
        del booking
        self.asked += "b"
        if self.books is not None:
            raise self.books

    def inquire(self, booking_id: str) -> BookingStatus:
        del booking_id
        self.asked += "i"
        if isinstance(self.says, GatewayError):
            raise self.says
        return self.says


def refused(code: str) -> GatewayRefusedError:
    return GatewayRefusedError("no", code=code)


HELD, TAKEN_BACK = BookingAnswer(), "the bank has declined it"
#: Whether an earlier attempt's end is unknown, the booking's answer, the inquiry's, what follows,
#: and what the bank was asked: b for book, i for inquire.
BOOKINGS = {
    "done": (False, None, DONE, HELD, "b"),
    "away": (False, AWAY, DONE, GatewayUnavailableError, "b"),
    "the customer's": (False, refused("funds"), DONE, BookingAnswer(refused="no"), "b"),
    "ours": (False, refused("of"), DONE, BookingAnswer(refused="no", ours=True), "b"),
    "of no known meaning": (False, refused("x"), DONE, BookingAnswer(refused="no", ours=True), "b"),
    "lost and done": (False, LOST, DONE, HELD, "bi"),
    "lost and declined": (False, LOST, DECLINED, BookingAnswer(refused=TAKEN_BACK), "bi"),
    "lost and never seen": (False, LOST, NEVER_SEEN, GatewayUnsureError, "bi"),
    "lost, and away": (False, LOST, AWAY, GatewayUnsureError, "bi"),
    "lost, and no word on it": (False, LOST, NO, GatewayUnsureError, "bi"),
    "unknown and done": (True, AWAY, DONE, HELD, "i"),
    "unknown and declined": (True, None, DECLINED, BookingAnswer(refused=TAKEN_BACK), "i"),
    "unknown and never seen": (True, None, NEVER_SEEN, HELD, "ib"),
    "unknown, and away": (True, None, AWAY, GatewayUnsureError, "i"),
    "unknown, and no word on it": (True, None, NO, GatewayUnsureError, "i"),
}


@pytest.mark.parametrize(
    ("unknown", "books", "says", "then", "asked"), BOOKINGS.values(), ids=BOOKINGS
)
def test_what_follows_from_an_answer_of_the_bank(
    unknown: bool,  # noqa: FBT001 - a column of the table
    books: GatewayError | None,
    says: BookingStatus | GatewayError,
    then: BookingAnswer | type[GatewayError],
    asked: str,
) -> None:
    scripted = ScriptedBank(books, says)
    booking = Booking(id="R1/hold", op=Operation.HOLD, account="1", amount=900, ref="R1")
    billing = Billing(bank=scripted, policies=cast("Policies", None))

    if isinstance(then, BookingAnswer):
        assert billing.carry_out(BookFee(booking, unknown)) == then
    else:
        with pytest.raises(then):
            billing.carry_out(BookFee(booking, unknown))

    assert scripted.asked == asked


@dataclass
class ScriptedCa:
    issues: Waiting | GatewayError
    recovers: Waiting | GatewayError | None = None
    asked: str = ""

    def issue(self, request: IssuanceRequest) -> Issued | Waiting:
        del request
        self.asked += "i"
        return self._answer(self.issues)

    def recover(self, request_id: str) -> Issued | Waiting | None:
        del request_id
        self.asked += "r"
        return None if self.recovers is None else self._answer(self.recovers)

    def _answer(self, said: Waiting | GatewayError) -> Waiting:
        if isinstance(said, GatewayError):
            raise said
        return said


LATER = Waiting(check_after=datetime(2026, 12, 1, tzinfo=UTC))
#: As above; i for issue, r for recover.
ISSUINGS = {
    "later": (False, LATER, None, Retry, "i"),
    "away": (False, AWAY, None, GatewayUnavailableError, "i"),
    "lost": (False, LOST, None, GatewayUnsureError, "i"),
    "the customer's": (False, refused("badAlg"), None, IssuanceRefused, "i"),
    "of its moment": (False, refused("systemUnavail"), None, GatewayUnavailableError, "i"),
    "ours": (False, refused("badTime"), None, Reject, "i"),
    "of no known meaning": (False, refused(""), None, Reject, "i"),
    "unknown and later": (True, AWAY, LATER, Retry, "r"),
    "unknown and never seen": (True, LATER, None, Retry, "ri"),
    "unknown, and away": (True, LATER, AWAY, GatewayUnavailableError, "r"),
    "unknown, and no word on it": (True, LATER, NO, GatewayUnsureError, "r"),
    "unknown, never seen, and the customer's": (True, NO, None, IssuanceRefused, "ri"),
}


@pytest.mark.parametrize(
    ("unknown", "issues", "recovers", "then", "asked"), ISSUINGS.values(), ids=ISSUINGS
)
def test_what_follows_from_an_answer_of_the_ca(
    unknown: bool,  # noqa: FBT001 - a column of the table
    issues: Waiting | GatewayError,
    recovers: Waiting | GatewayError | None,
    then: type,
    asked: str,
) -> None:
    scripted = ScriptedCa(issues, recovers)
    issuance = Issuance(
        ca=cast("CertificationAuthority", scripted),
        policies=cast("Policies", None),
        common_name=lambda _work, _renewal: "",
    )
    order = IssueCertificate("R1", cast("IssuanceRequest", _Request()), unknown)

    if issubclass(then, GatewayError):
        with pytest.raises(then):
            issuance.carry_out(order)
    else:
        answer = issuance.carry_out(order)
        assert type(answer) is then
        if isinstance(answer, Reject):
            assert answer.why.code is CaReason.REQUEST_FAULTY

    assert scripted.asked == asked


class _Request:
    request_id = "R1/issue"
