"""Transitions of renewals, from the customer's confirmation to the end."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from renewal.errors import NotNowError
from renewal.lifecycle import certificates, payments, recordings
from renewal.rules.proof import verify_possession
from renewal.rules.serials import token_serial
from renewal.store import certificates as certificate_queries
from schema.events import (
    CertificateActivated,
    CertificateIssued,
    RenewalAbandoned,
    RenewalConfirmed,
    RenewalDone,
    RenewalRefused,
)
from schema.reasons import DecisionKind, EndReason, Reason, ReasonCode, RefusalReason
from schema.state_machine import TransitionError
from schema.states import RENEWAL, CertificateState, OldState, RenewalState, TokenState

if TYPE_CHECKING:
    from datetime import datetime

    from renewal.db.rows import Certificate, Renewal
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies

#: States in which the customer's own doing is waited for; only these are ever given up.
WAITS_FOR_CUSTOMER = (
    RenewalState.REQUESTED.value,
    RenewalState.ISSUED.value,
    RenewalState.DELIVERED.value,
)
#: States in which the bank or the CA is asked: what they do would be forgotten if it ended.
BEING_FOUND_OUT = (
    RenewalState.CONFIRMED.value,
    RenewalState.FEE_HELD.value,
    RenewalState.SENT_TO_CA.value,
)
#: States in which the new certificate has been put in force.
IN_FORCE = (RenewalState.ACTIVATED.value, RenewalState.DONE.value)
#: States in which the CA has issued, and the new certificate is not in force.
TO_PROVE = (RenewalState.ISSUED.value, RenewalState.DELIVERED.value)
#: States in which a renewal has ended without effect.
WITHOUT_EFFECT = (RenewalState.REFUSED.value, RenewalState.ABANDONED.value)

#: A certificate on hold cannot be renewed, and a permanent revocation cannot be changed.
_STOPS = {
    CertificateState.SUSPENDED: EndReason.CERTIFICATE_SUSPENDED,
    CertificateState.REVOKED: EndReason.CERTIFICATE_REVOKED,
}
_STOPPING_TOKENS = {
    TokenState.ON_HOLD: EndReason.CERTIFICATE_SUSPENDED,
    TokenState.LOST: EndReason.CERTIFICATE_REVOKED,
    TokenState.DAMAGED: EndReason.CERTIFICATE_REVOKED,
    TokenState.RETURNED: EndReason.CERTIFICATE_REVOKED,
}


def is_application(renewal: Renewal) -> bool:
    """Whether it is for a first certificate, or for one after an end: it replaces none."""
    return renewal.old_state == OldState.NONE


def replaced(work: UnitOfWork, renewal: Renewal) -> Certificate | None:
    """The certificate that it replaces."""
    return None if is_application(renewal) else work.certificates.get(renewal.certificate)


def why_stopped(work: UnitOfWork, renewal: Renewal) -> ReasonCode | None:
    """
    Why it may not go on, or ``None``.

    Ask at each step: between two of them a person may have had the certificate suspended or
    revoked, and an import may have brought one for whoever applies.
    """
    old = replaced(work, renewal)
    if old is not None:
        return _stop_of(old)
    in_slot = certificate_queries.in_slot(work, renewal.slot)
    return RefusalReason.HAS_CERTIFICATE if any(map(_is_in_force, in_slot)) else None


def _stop_of_token(work: UnitOfWork, new: Certificate) -> EndReason | None:
    """
    A hold suspends what is in force, and a loss is answered by the CA later: neither is overtaken
    by a certificate that was issued before.
    """
    if new.token_serial is None:
        return None
    token = work.tokens.find(token_serial(new.token_serial))
    return _STOPPING_TOKENS.get(TokenState(token.state)) if token is not None else None


def _stop_of(certificate: Certificate) -> EndReason | None:
    return _STOPS.get(CertificateState(certificate.state))


def _is_in_force(certificate: Certificate) -> bool:
    return certificate.state in {CertificateState.ACTIVE, CertificateState.SUSPENDED}


def confirm(
    work: UnitOfWork,
    renewal: Renewal,
    *,
    csr: bytes,
    key: bytes,
    proof: bytes | None = None,
    terms: bytes | None = None,
) -> None:
    """
    The customer has confirmed; the request for the new key is on record. ``key``: its SHA-256.

    Raises:
        NotNowError
    """
    if renewal.state == RenewalState.CONFIRMED and renewal.spki_sha256 == key:
        return
    expect(renewal, RenewalState.REQUESTED)
    _change(
        work,
        renewal,
        RenewalState.CONFIRMED,
        csr=csr,
        spki_sha256=key,
        proof=proof,
        terms_sha256=hashlib.sha256(terms).digest() if terms is not None else None,
    )
    _decide(work, renewal, DecisionKind.RENEWAL_CONFIRMED)
    work.emit(RenewalConfirmed(renewal=renewal.id))


def fee_secured(work: UnitOfWork, renewal: Renewal) -> Renewal:
    """The fee is held, was paid before, or there is none."""
    return _change(work, renewal, RenewalState.FEE_HELD)


def send_to_ca(
    work: UnitOfWork, renewal: Renewal, *, not_before: datetime, not_after: datetime
) -> Renewal:
    """What will be asked of the CA is on record before it is asked."""
    _decide(work, renewal, DecisionKind.CA_ASKED_TO_ISSUE)
    return _change(
        work, renewal, RenewalState.SENT_TO_CA, not_before=not_before, not_after=not_after
    )


def issue(work: UnitOfWork, renewal: Renewal, new: int, policies: Policies) -> None:
    """
    The CA has issued; the new certificate has its row.

    Where the old one was stopped meanwhile the renewal ends, and that takes the new one back.
    """
    renewal = _change(work, renewal, RenewalState.ISSUED, new_certificate=new)
    _decide(work, renewal, DecisionKind.CA_ISSUED)
    stopped = why_stopped(work, renewal)
    if stopped is not None:
        refuse(work, renewal, stopped, policies)
    else:
        work.emit(CertificateIssued(renewal=renewal.id, certificate=new))


def collect(work: UnitOfWork, renewal: Renewal) -> Renewal:
    """The customer has the new certificate. The days to prove it are counted from its issue."""
    RENEWAL.check(renewal.state, RenewalState.DELIVERED)
    _decide(work, renewal, DecisionKind.RENEWAL_DELIVERED)
    return work.renewals.change(renewal, state=RenewalState.DELIVERED.value)


def activate(work: UnitOfWork, renewal: Renewal, signature: bytes, policies: Policies) -> None:
    """
    Put the new certificate in force, if its key has signed the renewal's challenge.

    One transaction: the old one is superseded and the new one active, or nothing has changed.
    An application has no old one: its event names the new one twice.
    If the old one was suspended or revoked meanwhile, or the new one revoked, the renewal is
    refused instead (I2).

    Raises:
        NotNowError, ProofError
    """
    if renewal.state in IN_FORCE:
        return
    expect(renewal, RenewalState.ISSUED, RenewalState.DELIVERED)
    new = work.certificates.get(renewal.new_certificate)
    stopped = why_stopped(work, renewal) or _stop_of(new) or _stop_of_token(work, new)
    if stopped is not None:
        refuse(work, renewal, stopped, policies)
        return
    der = work.cipher.open(new.der_sealed, "certificates.der", new.id)
    verify_possession(der, renewal.challenge, signature)
    old = replaced(work, renewal)
    if old is not None and old.state == CertificateState.ACTIVE:
        certificates.supersede(work, old)
    certificates.activate(work, new, policies)
    _change(work, renewal, RenewalState.ACTIVATED)
    _decide(work, renewal, DecisionKind.RENEWAL_ACTIVATED)
    work.emit(CertificateActivated(renewal=renewal.id, old=renewal.certificate, new=new.id))
    policy = policies.by_product.get(renewal.product)
    if policy is not None and policy.branch_recording_days is not None:
        recordings.open_for(work, renewal, policy.branch_recording_days)


def finish(work: UnitOfWork, renewal: Renewal) -> None:
    """Fee and old certificate are settled: everything is done."""
    _change(work, renewal, RenewalState.DONE)
    _decide(work, renewal, DecisionKind.RENEWAL_DONE)
    work.emit(RenewalDone(renewal=renewal.id))


def refuse(
    work: UnitOfWork, renewal: Renewal, why: Reason | ReasonCode, policies: Policies
) -> None:
    """End a renewal because the bank, the CA, the token or a person has said no."""
    _end(work, renewal, RenewalState.REFUSED, why, policies)


def abandon(
    work: UnitOfWork, renewal: Renewal, why: Reason | ReasonCode, policies: Policies
) -> None:
    """End a renewal because its customer declined or did not finish."""
    _end(work, renewal, RenewalState.ABANDONED, why, policies)


def _end(
    work: UnitOfWork,
    renewal: Renewal,
    state: RenewalState,
    why: Reason | ReasonCode,
    policies: Policies,
) -> None:
    if renewal.state in WITHOUT_EFFECT:
        return
    if renewal.state in IN_FORCE:
        raise NotNowError(RefusalReason.IN_FORCE, renewal.id)
    reason = why if isinstance(why, Reason) else why.why()
    renewal = _change(work, renewal, state, why=reason.stored())
    refused = state is RenewalState.REFUSED
    kind = DecisionKind.RENEWAL_REFUSED if refused else DecisionKind.RENEWAL_ABANDONED
    _decide(work, renewal, kind, reason)
    old = replaced(work, renewal)
    if old is not None and _stop_of(old) is None:
        certificates.schedule_reminder(work, old, policies)
    ended = RenewalRefused if refused else RenewalAbandoned
    work.emit(ended(renewal=renewal.id, why=reason.stored()))
    payments.release(work, renewal)


def expect(renewal: Renewal, *states: RenewalState) -> None:
    """
    Raises:
        NotNowError: the renewal is in none of these states.
    """
    if renewal.state not in states:
        raise NotNowError(RefusalReason.WRONG_STATE.why(renewal_state=renewal.state), renewal.id)


def _decide(
    work: UnitOfWork, renewal: Renewal, kind: DecisionKind, why: Reason | None = None
) -> None:
    work.record_decision(renewal.certificate, kind, why, renewal=renewal.id)


def _change(work: UnitOfWork, renewal: Renewal, state: RenewalState, **changes: object) -> Renewal:
    try:
        RENEWAL.check(renewal.state, state)
    except TransitionError as error:
        raise TransitionError(f"{renewal.id}: {error}") from error
    return work.renewals.change(renewal, state=state.value, moved_at=work.at, **changes)
