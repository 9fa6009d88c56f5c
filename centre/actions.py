"""What a customer can do: ask, confirm by code, hand in a request, collect, prove, decline, pay."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from producers import certificates as producer
from renewal import cycle
from renewal.errors import XuqiError
from renewal.rules import code as code_rules
from renewal.rules import eligibility, fee, mask
from renewal.rules.revocation import may_revoke_online
from renewal.rules.taipei import day_of, start_of
from renewal.rules.window import closes_at
from renewal.store import messages as message_queries
from renewal.store import renewals as queries
from renewal.store import revocations
from renewal.store.again import decides_again
from renewal.store.rows import Challenge, Payment, Renewal
from schema.events import Change, CodeRequested, PaymentRequested
from schema.policy import FeeHow, Purpose, Storage

if TYPE_CHECKING:
    from collections.abc import Callable

    from renewal.cycle import Policies
    from renewal.keys import Keys
    from renewal.rules.eligibility import Refusal
    from renewal.store.engine import Store
    from renewal.store.rows import Certificate, Customer
    from renewal.store.work import Work

DAY = timedelta(days=1)
UNKNOWN = "no code can be sent for this certificate"
LIMIT_REACHED = "the limit of online revocations is reached: go to the branch"


class CodeSaid(StrEnum):
    """
    What a customer is told of a code that was entered. An unknown or foreign one is just wrong.
    """

    RIGHT = "right"
    WRONG = "wrong"
    EXPIRED = "expired"
    LOCKED = "locked"


@dataclass(frozen=True, kw_only=True)
class Sent:
    """
    A code is on its way; the addresses are masked.
    """

    challenge: str
    seconds: int
    to: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class NotSent:
    why: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """
    The code's own result, and how many tries are left.
    """

    said: CodeSaid
    tries_left: int = 0


@dataclass(frozen=True)
class Centre:
    """
    Each action is one transaction, decided again when another was first; what follows from it,
    the consumers do.
    """

    store: Store
    policies: Policies
    keys: Keys

    # --- renewals -------------------------------------------------------------------------------

    @decides_again
    def request(self, certificate: int, *, branch: str | None = None) -> Renewal | Refusal:
        """
        Reserve a renewal, or say why not.
        """
        with self.store.work() as work:
            row = work.certificates.get(certificate)
            return cycle.request(work, row, self.policies, branch=branch)

    @decides_again
    def decline(self, renewal: str, why: str = "declined by the customer") -> None:
        """
        End a renewal that waits for its customer.

        Raises:
            NotNowError: it is past that.
        """
        with self.store.work() as work:
            row = work.renewals.get(renewal)
            if row.state not in cycle.WAITS_FOR_CUSTOMER:
                raise cycle.NotNowError(f"{renewal} is {row.state} and cannot be declined")
            for event in cycle.abandon(work, row, why, self.policies):
                work.emit(event)

    def confirm(
        self, renewal: str, *, challenge: str, code: str, session: str, csr: bytes, terms: bytes
    ) -> Answer:
        """
        Confirm a renewal with a code, and hand in the request for the new key's certificate.

        Raises:
            BadRequestError, NotNowError: the code was not used up.
        """
        key = cycle.check_request(csr)

        def confirmed(work: Work) -> None:
            row = self._to_confirm(work, renewal, key)
            for event in cycle.confirm(work, row, csr=csr, key=key, terms=terms):
                work.emit(event)

        with self.store.look() as look:  # before a try is spent
            certificate = self._to_confirm(look, renewal, key).certificate
        return self._entered(
            challenge,
            code,
            session=session,
            action=Purpose.RENEW,
            certificate=certificate,
            then=confirmed,
        )

    def _to_confirm(self, work: Work, renewal: str, key: bytes) -> Renewal:
        row = self._in_browser(work, renewal)
        if row.state != "requested":
            raise cycle.NotNowError(f"{renewal} is {row.state}, not requested")
        stopped = cycle.why_stopped(work.certificates.get(row.certificate))
        if stopped is not None:
            raise cycle.NotNowError(f"the certificate of {renewal} is {stopped}")
        cycle.check_unused(work, row, key)
        return row

    def _in_browser(self, work: Work, renewal: str) -> Renewal:
        """
        What is on a token is confirmed, written and proven at a station, and nowhere else.
        """
        row = work.renewals.get(renewal)
        if self.policies.of(row.product).storage is not Storage.BROWSER:
            raise cycle.NotNowError(f"{renewal} is of a token: a station writes it")
        return row

    @decides_again
    def collect(self, renewal: str) -> bytes | None:
        """
        Return the new certificate (DER), or ``None`` while it is not there.

        Raises:
            NotNowError: it is for a token.
        """
        with self.store.work() as work:
            row = self._in_browser(work, renewal)
            if row.state == "issued":
                work.renewals.change(row, state="delivered")
                work.decide(row.certificate, "renewal", "delivered", renewal=row.id)
            if row.new_certificate is None or row.state not in {
                "issued", "delivered", "activated", "done",
            }:  # fmt: skip
                return None
            new = work.certificates.get(row.new_certificate)
            return work.vault.open(new.der_sealed, "certificates.der")

    @decides_again
    def prove(self, renewal: str, signature: bytes) -> None:
        """
        Put the new certificate in force: its key has signed the renewal's challenge.

        Raises:
            ProofError: nothing has changed.
            NotNowError: nothing has changed, or the renewal has ended because its certificate
                was suspended or revoked meanwhile.
        """
        with self.store.work() as work:
            row = self._in_browser(work, renewal)
            for event in cycle.activate(work, row, signature, self.policies):
                work.emit(event)
            row = work.renewals.get(renewal)
        if row.state == "refused":
            raise cycle.NotNowError(f"{renewal} is refused: {row.why}")

    # --- revocation -----------------------------------------------------------------------------

    def revoke(
        self, certificate: int, *, challenge: str, code: str, session: str
    ) -> Answer | NotSent:
        """
        Revoke for good, with a code, as often in a year as the product allows.

        Ask for an explicit yes before. The CA is asked next; a renewal under way ends with it.

        Raises:
            NotNowError: another was first; the code was not used up.
        """

        def revoked(work: Work) -> None:
            why = self._why_not_revoked(work, certificate)
            if why is not None:
                raise cycle.NotNowError(why)
            producer.change_requested(work, work.certificates.get(certificate), Change.REVOKE)

        with self.store.look() as look:  # before a try is spent
            why = self._why_not_revoked(look, certificate)
        if why is not None:
            return NotSent(why=why)
        return self._entered(
            challenge,
            code,
            session=session,
            action=Purpose.REVOKE,
            certificate=certificate,
            then=revoked,
        )

    def _why_not_revoked(self, work: Work, certificate: int) -> str | None:
        row = work.certificates.find(certificate)
        if row is None or row.customer is None:
            return UNKNOWN
        if row.state not in {"active", "suspended"}:
            return f"the certificate is {row.state}"
        new_year = start_of(day_of(work.at).replace(month=1, day=1))
        count = revocations.online(work, row.customer, new_year)
        if not may_revoke_online(self.policies.of(row.product), revoked_this_year=count):
            return LIMIT_REACHED
        return None

    # --- codes ----------------------------------------------------------------------------------

    @decides_again
    def send_code(self, certificate: int, *, action: str, session: str) -> Sent | NotSent:
        """
        Send a one-time code; it kills every earlier one of this customer.

        A resend does not forgive wrong entries: they are counted over 24 hours.

        Raises:
            ValueError: codes are for no such action.
        """
        action = Purpose(action).value
        with self.store.work() as work:
            row = work.certificates.find(certificate)
            if row is not None:  # what is counted must not grow before this code is among it
                work.alone(f"codes of {row.customer}")
            customer = work.customers.find(row.customer) if row and row.customer else None
            if row is None or customer is None:
                return NotSent(why=UNKNOWN)
            work.alone(f"codes to {(customer.mobile_hash or b'').hex()}")
            rules = self.policies.of(row.product).confirm.code
            if rules is None:
                return NotSent(why=UNKNOWN)
            why = self._why_no_code(customer, action, work)
            if action == Purpose.REVOKE:
                why = why or self._why_not_revoked(work, row.id)
            if why is not None:
                work.decide(row.id, "code", "refused", why)
                return NotSent(why=why)
            message_queries.supersede_all(work, customer.id)
            challenge = self._challenge(row, customer, action, session, work)
            work.emit(CodeRequested(challenge=challenge.id, send_number=1))
            work.decide(row.id, "code", "requested", action)
            mobile = work.vault.open_text(customer.mobile_sealed or b"", "customers.mobile")
            to = [mask.phone(mobile)]
            if action in rules.mail_too_for and customer.mail_sealed and not customer.mail_bad:
                to.append(mask.mail(work.vault.open_text(customer.mail_sealed, "customers.mail")))
            return Sent(challenge=challenge.id, seconds=rules.seconds, to=tuple(to))

    def _why_no_code(self, customer: Customer, action: str, work: Work) -> str | None:
        if customer.mobile_sealed is None or customer.mobile_bad:
            return "no mobile number is on file"
        if code_rules.is_locked(
            message_queries.wrong_tries(work, customer.id, action, work.at - DAY)
        ):
            return "too many wrong codes: locked for 24 hours"
        lately = message_queries.codes_sent(
            work, customer.id, customer.mobile_hash, work.at - timedelta(minutes=10)
        )
        today = message_queries.codes_sent(work, customer.id, customer.mobile_hash, work.at - DAY)
        refusal = code_rules.may_send(
            sent_last_10_min=max(lately), sent_today=max(today), sent_hour_ip_block=0
        )
        return refusal.value if refusal else None

    def _challenge(
        self, certificate: Certificate, customer: Customer, action: str, session: str, work: Work
    ) -> Challenge:
        rules = self.policies.of(certificate.product).confirm.code
        if rules is None:
            raise XuqiError(f"{certificate.product} is not confirmed by a code")
        # It may be guessed: what is secret is the code, and it is bound to the session.
        key = f"K{customer.id:08d}-{message_queries.codes_of(work, customer.id) + 1:04d}"
        digits = code_rules.digits(self.keys.codes.value, key, 1, rules.digits)
        return work.challenges.put(
            Challenge(
                id=key,
                customer=customer.id,
                action=action,
                certificate=certificate.id,
                session_hash=_session(session),
                contact_version=customer.contact_version,
                mobile_hash=customer.mobile_hash,
                fingerprint=code_rules.fingerprint(self.keys.pepper.value, key, digits),
                issued_at=work.at,
                expires_at=work.at + timedelta(seconds=rules.seconds),
                tries=0,
                most_tries=rules.tries,
                used_at=None,
                superseded_at=None,
            )
        )

    def enter_code(
        self, challenge: str, code: str, *, session: str, action: str, certificate: int
    ) -> Answer:
        """
        Try a code once. The try is spent before the code is looked at.
        """
        return self._entered(
            challenge, code, session=session, action=action, certificate=certificate
        )

    def _entered(
        self,
        challenge: str,
        code: str,
        *,
        session: str,
        action: str,
        certificate: int,
        then: Callable[[Work], None] | None = None,
    ) -> Answer:
        """
        Try a code once, and do what it is for in the transaction that uses it up.
        """
        spent = self._spent(challenge, session)
        if spent is None:
            return Answer(said=CodeSaid.WRONG)
        return self._tried(challenge, code, action, certificate, spent=spent, then=then)

    @decides_again
    def _spent(self, challenge: str, session: str) -> bool | None:
        """
        Whether there was a try to spend; ``None``: not on this session's code.
        """
        with self.store.work() as work:
            row = work.challenges.find(challenge)
            # Whoever guesses a challenge's id from another session cannot spend its tries.
            if row is None or not code_rules.same(row.session_hash, _session(session)):
                return None
            return message_queries.spend_a_try(work, challenge)

    @decides_again
    def _tried(
        self,
        challenge: str,
        code: str,
        action: str,
        certificate: int,
        *,
        spent: bool,
        then: Callable[[Work], None] | None,
    ) -> Answer:
        with self.store.work() as work:
            row = work.challenges.get(challenge)
            left = row.most_tries - row.tries
            said = self._judged(row, work, spent=spent)
            if said is None and not self._is_right(row, code, action, certificate, work):
                work.decide(row.certificate, "code", "wrong", f"{left} tries left")
                said = CodeSaid.WRONG if left else CodeSaid.LOCKED
            if said is None and not message_queries.use(work, challenge):
                said = CodeSaid.EXPIRED
            if said is None:
                work.decide(row.certificate, "code", "used")
                if then is not None:
                    then(work)
            return Answer(said=said or CodeSaid.RIGHT, tries_left=left)

    def _judged(self, row: Challenge, work: Work, *, spent: bool) -> CodeSaid | None:
        """
        What is said whatever was entered.
        """
        if not spent:
            locked = row.tries >= row.most_tries and row.used_at is None
            return CodeSaid.LOCKED if locked else CodeSaid.EXPIRED
        # This try is counted with them. Failures are counted over all codes of the customer.
        failures = message_queries.wrong_tries(work, row.customer, row.action, work.at - DAY) - 1
        if not code_rules.is_locked(failures):
            return None
        work.decide(row.certificate, "code", "refused", "locked for 24 hours")
        return CodeSaid.LOCKED

    def _is_right(
        self, row: Challenge, code: str, action: str, certificate: int, work: Work
    ) -> bool:
        """
        Right only for the action, certificate and contact that it was made for.
        """
        customer = work.customers.get(row.customer)
        bound = (
            row.action == action
            and row.certificate == certificate
            and row.contact_version == customer.contact_version
        )
        entered = code_rules.fingerprint(self.keys.pepper.value, row.id, code)
        return code_rules.same(entered, row.fingerprint) and bound

    # --- fees -----------------------------------------------------------------------------------

    @decides_again
    def pay(self, certificate: int) -> Payment | NotSent:
        """
        Ask for the fee of a renewal to come to be debited; it is paid once.
        """
        with self.store.work() as work:
            row = work.certificates.get(certificate)
            policy = self.policies.of(row.product)
            why = None
            if policy.fee.how is not FeeHow.PREPAID:
                why = "this product is not paid beforehand"
            elif queries.payment_of(work, certificate, "asked", "paid", "reserved") is not None:
                why = "it is paid already"
            elif row.state != "active" or work.at > closes_at(row.not_after, policy.window):
                why = eligibility.Refusal.WINDOW_OVER.value
            if why is not None or row.customer is None:
                return NotSent(why=why or "nobody is known to pay")
            payment = work.payments.put(
                Payment(
                    id=f"P{row.id:08d}-{queries.payments_of(work, row.id) + 1:02d}",
                    customer=row.customer,
                    certificate=row.id,
                    amount=fee.amount_at(work.at, policy),
                    pays_for=cycle.next_id(work, row),
                    state="asked",
                    renewal=None,
                    asked_at=work.at,
                    version=1,
                )
            )
            work.decide(row.id, "fee", "payment asked", f"NT${payment.amount}")
            work.emit(PaymentRequested(payment=payment.id))
            return payment


def _session(session: str) -> bytes:
    return hashlib.sha256(session.encode()).digest()
