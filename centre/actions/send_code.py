"""Sends one-time codes, and says how far they have come."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from centre.actions.replies import CodeNotSent, CodeSent
from centre.actions.revoke import why_not_revoked
from centre.code_progress import CodeProgress, is_stopped, progress_of
from renewal.contacts import Address, why_resting
from renewal.db.encryption import SECRET_BYTES, code_secrets, secret_of
from renewal.db.retry import retry_on_conflict
from renewal.db.rows import Challenge
from renewal.rules import code as code_rules
from renewal.rules import mask
from renewal.store import alarms, throttles
from renewal.store import messages as message_queries
from renewal.store.sessions import hash_of
from renewal.store.subjects import subject_of
from schema.events import CodeRequested
from schema.policy import Channel, Purpose
from schema.reasons import DecisionKind, Reason, RefusalReason, StatedReason
from schema.states import CertificateState

if TYPE_CHECKING:
    from collections.abc import Callable

    from renewal.db.engine import Store
    from renewal.db.rows import Customer
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.keys import Keys
    from renewal.rules.policies import Policies
    from renewal.store.subjects import Subject
    from schema.policy import CodeTerms

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
#: Over all customers: somebody must look.
PUMPED = frozenset({RefusalReason.CODES_FROM_ADDRESSES, RefusalReason.CODES_TO_RANGE})
MICROSECOND = timedelta(microseconds=1)
#: Purposes that are about the certificate itself; others only find its holder by it.
FOR_ONE_IN_FORCE = frozenset({Purpose.RENEW, Purpose.SUSPEND})
OVER = frozenset({CertificateState.EXPIRED, CertificateState.SUPERSEDED, CertificateState.REVOKED})


@dataclass(frozen=True)
class Codes:
    store: Store
    policies: Policies
    keys: Keys
    random: Callable[[int], bytes] = os.urandom
    block: str = ""  #: of network addresses

    @retry_on_conflict
    def send(
        self, certificate: int, *, action: str, session: str, customer: int | None = None
    ) -> CodeSent | CodeNotSent:
        """
        Send a one-time code; it kills every earlier one of this customer in this session.

        A resend does not forgive wrong entries: they are counted over 24 hours. ``customer``: for
        one about whoever has no certificate yet; its certificate is ``NO_CERTIFICATE``.

        Raises:
            ValueError: codes are for no such action.
        """
        action = Purpose(action).value
        with self.store.transaction() as work:
            about = subject_of(work, certificate)
            whose = about.customer if about is not None else customer
            if whose is None:
                return CodeNotSent(why=RefusalReason.CODE_UNAVAILABLE.why())
            # What is counted must not grow before this code is among it.
            work.serialize_on(f"codes of {whose}")
            person = work.customers.get(whose)
            work.serialize_on(f"codes to {(person.mobile_hash or b'').hex()}")
            rules = code_rules.rules_for(
                self.policies.of(about.product) if about else None, Purpose(action)
            )
            if rules is None:
                return CodeNotSent(why=RefusalReason.CODE_UNAVAILABLE.why())
            why = self._why_no_code(person, action, work)
            why = why or (_why_in_vain(about, action) if about else None)
            if action == Purpose.REVOKE:
                why = why or why_not_revoked(work, self.policies, certificate)
            if why is not None:
                work.record_decision(certificate, DecisionKind.CODE_REFUSED, why)
                return CodeNotSent(why=why)
            self._count(work, person)
            message_queries.supersede_all(work, person.id, hash_of(session))
            challenge = self._challenge(
                work, person, rules, certificate=certificate, action=action, session=session
            )
            work.emit(CodeRequested(challenge=challenge.id, send_number=1))
            purpose = StatedReason.PURPOSE.why(purpose=action)
            work.record_decision(certificate, DecisionKind.CODE_REQUESTED, purpose)
            to = _masked(work, person, mail_too=Purpose(action) in rules.mail_too_for)
            return CodeSent(challenge=challenge.id, seconds=rules.seconds, to=to)

    def _why_no_code(self, customer: Customer, action: str, work: UnitOfWork) -> Reason | None:
        if customer.mobile_sealed is None:
            return RefusalReason.NO_MOBILE.why()
        rests = why_resting(customer, Address.CODES, work.at)
        if rests is not None:
            return RefusalReason.CODES_REST.why(code=rests)
        if code_rules.is_locked(
            message_queries.wrong_tries(work, customer.id, action, work.at - DAY)
        ):
            return RefusalReason.CODE_LOCKED.why()
        lately = message_queries.codes_sent(
            work, customer.id, customer.mobile_hash, work.at - timedelta(minutes=10)
        )
        today = message_queries.codes_sent(work, customer.id, customer.mobile_hash, work.at - DAY)
        refusal = code_rules.may_send(
            sent_last_10_min=max(lately),
            sent_today=max(today),
            sent_hour_ip_block=self._from_block(work),
            asked_today=message_queries.asked_for(work, customer.id, work.at - DAY),
            sent_hour_range=self._to_range(work, customer),
        )
        if refusal in PUMPED:
            self._tell(work, refusal)
        if refusal is None and is_stopped(work, Channel.SMS):
            return RefusalReason.CODES_STOPPED.why()
        return refusal.why() if refusal else None

    def _from_block(self, work: UnitOfWork) -> int:
        return throttles.count_of(work, _from_block(self.block), HOUR) if self.block else 0

    def _to_range(self, work: UnitOfWork, customer: Customer) -> int:
        return throttles.count_of(work, _to_range(work, customer), HOUR) if self.block else 0

    def _count(self, work: UnitOfWork, customer: Customer) -> None:
        """Count over all customers: each of them may be well within what is theirs."""
        if self.block:  # at a terminal or a branch somebody stands there
            throttles.count_one(work, _from_block(self.block), HOUR)
            throttles.count_one(work, _to_range(work, customer), HOUR)

    def _tell(self, work: UnitOfWork, refusal: RefusalReason) -> None:
        where = self.block if refusal is RefusalReason.CODES_FROM_ADDRESSES else "range"
        alarms.raise_alarm(work, alarms.Kind.PUMPING, "codes", where)

    def progress(self, challenge: str, *, session: str) -> CodeProgress:
        """
        What became of a code that was asked for in this session, for the screen that waits for it.
        """
        with self.store.snapshot() as look:
            row = look.challenges.find(challenge)
            if row is None or not code_rules.same(row.session_hash, hash_of(session)):
                return CodeProgress.NOT_SENT
            return progress_of(look, row)

    def _challenge(
        self,
        work: UnitOfWork,
        customer: Customer,
        rules: CodeTerms,
        *,
        certificate: int,
        action: str,
        session: str,
    ) -> Challenge:
        # It may be guessed: what is secret is the code, and it is bound to the session.
        key = f"K{customer.id:08d}-{message_queries.codes_of(work, customer.id) + 1:04d}"
        secret = self.random(SECRET_BYTES)
        digits = code_rules.digits(secret, key, 1, rules.digits)
        return work.challenges.put(
            Challenge(
                id=key,
                customer=customer.id,
                action=action,
                certificate=certificate,
                session_hash=hash_of(session),
                contact_version=customer.contact_version,
                mobile_hash=customer.mobile_hash,
                fingerprint=code_rules.fingerprint(self.keys.pepper.value, key, digits),
                issued_at=work.at,
                expires_at=work.at + timedelta(seconds=rules.seconds),
                tries=0,
                most_tries=rules.tries,
                used_at=None,
                superseded_at=None,
                secret_sealed=code_secrets(self.keys.ring("codes")).seal(secret, secret_of(key)),
                issued_boot=work.uptime.boot or None,
                issued_ran=work.uptime.ran // MICROSECOND,
            )
        )


def _from_block(block: str) -> str:
    return f"codes from\0{block}"


def _to_range(work: UnitOfWork, customer: Customer) -> str:
    number = work.cipher.open_text(customer.mobile_sealed or b"", "customers.mobile", customer.id)
    return f"codes to\0{code_rules.range_of(number)}"


def _masked(work: UnitOfWork, customer: Customer, *, mail_too: bool) -> tuple[str, ...]:
    """Where the code goes, as its customer is told."""
    sealed = customer.mobile_sealed or b""
    to = [mask.phone(work.cipher.open_text(sealed, "customers.mobile", customer.id))]
    mail_rests = why_resting(customer, Address.MAIL, work.at)
    if mail_too and customer.mail_sealed and not mail_rests:
        mail = work.cipher.open_text(customer.mail_sealed, "customers.mail", customer.id)
        to.append(mask.mail(mail))
    return tuple(to)


def _why_in_vain(about: Subject, action: str) -> Reason | None:
    """What is over is neither renewed nor suspended: its code would cost a message for nothing."""
    if action in FOR_ONE_IN_FORCE and about.state in OVER:
        return RefusalReason.CERTIFICATE_STATE.why(certificate_state=about.state or "")
    return None
