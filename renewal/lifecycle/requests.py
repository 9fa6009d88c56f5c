"""Begins renewals: decides whether one may, and reserves it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from renewal.db.rows import Renewal
from renewal.lifecycle import payments
from renewal.lifecycle.circumstances import circumstances
from renewal.lifecycle.invitations import invite
from renewal.rules import eligibility, fee
from renewal.store import certificates as certificate_queries
from renewal.store import renewals as queries
from schema.events import RenewalRequested
from schema.policy import FeeHow, Storage
from schema.reasons import DecisionKind, RefusalReason
from schema.states import CertificateState, FeeState, OldState, RenewalState, TokenState

if TYPE_CHECKING:
    from renewal.db.rows import Certificate, Payment
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.lifecycle.circumstances import Circumstances
    from renewal.rules.policies import Policies
    from schema.policy import Policy

CHALLENGE_BYTES = 32
_OVER = {CertificateState.REVOKED.value, CertificateState.EXPIRED.value}


def request(
    work: UnitOfWork,
    certificate: Certificate,
    policies: Policies,
    *,
    branch: str | None,
    asked_by: tuple[str, str] | None = None,
    invited: bool = False,
    known: Circumstances | None = None,
    blank_token: str | None = None,
) -> Renewal | RefusalReason:
    """
    Reserve a renewal, or say why not. The decision stands from here on.

    ``asked_by``: class and role of who is logged in; without a log-in those on file count.
    ``invited``: the bank begins it, and its customer is invited to go on. ``known``: read for many
    certificates at once, where there are many.
    ``blank_token``: the serial of the token that staff give out in the place of one that is lost
    or broken: not the old key confirms it then, and no window is waited for.
    """
    policy = policies.of(certificate.product)
    known = known or circumstances(work, [certificate])
    enrolment = work.enrolments.find((certificate.customer, certificate.product))
    prepaid = policy.fee.how is FeeHow.PREPAID
    payment = known.payments.get(certificate.id) if prepaid else None
    on_file = (str(enrolment.customer_class), enrolment.operator) if enrolment else (None, None)
    customer_class, operator = asked_by or on_file
    refusal = eligibility.why_not(
        now=work.at,
        not_after=certificate.not_after,
        state=certificate.state,
        policy=policy,
        customer_class=customer_class,
        operator=operator,
        slot_has_open_renewal=certificate.slot in known.open_slots,
        fee_paid=payment is not None,
    )
    if certificate.customer is None:
        refusal = refusal or RefusalReason.NOT_ACTIVE
    if blank_token is not None:
        refusal = _why_no_replacement(work, certificate, blank_token, policy, refusal)
        if refusal is RefusalReason.NOT_YET:
            refusal = RefusalReason.FEE_NOT_PAID if prepaid and payment is None else None
    elif certificate.verified is False and policy.storage is not Storage.BROWSER:
        # Its key's signature would be the customer's confirmation, and anybody may have made it.
        refusal = refusal or RefusalReason.NOT_VERIFIED
    if refusal is not None:
        work.record_decision(certificate.id, DecisionKind.RENEWAL_REFUSED, refusal)
        return refusal
    attempt = known.begun(certificate)
    renewal = _reserved(
        work, certificate, policy, attempt, branch=branch, payment=payment, blank_token=blank_token
    )
    if invited:
        invite(work, certificate, renewal, policy)
    else:
        work.record_decision(certificate.id, DecisionKind.RENEWAL_REQUESTED, renewal=renewal.id)
    return renewal


def next_id(work: UnitOfWork, certificate: Certificate) -> str:
    """The id of the certificate's next renewal: R<certificate>-<attempt>."""
    before = queries.attempts_of(work, [certificate.id]).get(certificate.id, 0)
    return id_of(certificate.id, before + 1)


def id_of(certificate: int, attempt: int) -> str:
    return f"R{certificate:08d}-{attempt:02d}"


def _reserved(
    work: UnitOfWork,
    certificate: Certificate,
    policy: Policy,
    attempt: int,
    *,
    branch: str | None,
    payment: Payment | None,
    blank_token: str | None,
) -> Renewal:
    row = row_of(
        work,
        policy,
        number=id_of(certificate.id, attempt),
        certificate=certificate.id,
        customer=certificate.customer or 0,
        slot=certificate.slot,
        branch=branch,
        payment=payment,
    )
    renewal = work.renewals.put(msgspec.structs.replace(row, blank_token=blank_token))
    if payment is not None:
        payments.reserve(work, payment, renewal)
    work.emit(
        RenewalRequested(
            renewal=renewal.id,
            certificate=certificate.id,
            product=certificate.product,
            branch=branch,
        )
    )
    return renewal


def row_of(
    work: UnitOfWork,
    policy: Policy,
    *,
    number: str,
    certificate: int,
    customer: int,
    slot: str,
    branch: str | None = None,
    payment: Payment | None = None,
    old: OldState = OldState.UNTOUCHED,
) -> Renewal:
    """A renewal as it begins."""
    free = policy.fee.how is FeeHow.NONE
    return Renewal(
        id=number,
        certificate=certificate,
        customer=customer,
        product=policy.product,
        slot=slot,
        state=RenewalState.REQUESTED.value,
        branch=branch,
        requested_at=work.at,
        moved_at=work.at,
        terms_sha256=None,
        csr=None,
        spki_sha256=None,
        proof=None,
        challenge=os.urandom(CHALLENGE_BYTES),
        new_certificate=None,
        not_before=None,
        not_after=None,
        fee_amount=payment.amount if payment else fee.amount_at(work.at, policy),
        fee_state=(FeeState.NONE if free else FeeState.QUOTED).value,
        fee_account_sealed=None,
        old_state=old.value,
        why=None,
        collected_told=None,
        version=1,
    )


def _why_no_replacement(
    work: UnitOfWork,
    certificate: Certificate,
    blank_token: str,
    policy: Policy,
    refusal: RefusalReason | None,
) -> RefusalReason | None:
    if policy.storage is Storage.BROWSER:
        return RefusalReason.ON_NO_TOKEN
    token = work.tokens.find(blank_token)
    held = [one.state for one in certificate_queries.on_token(work, blank_token)]
    # Of one that came back and is in stock again, the books know what became of its certificates.
    in_use = set(held) - _OVER if token is not None else held
    if in_use or queries.is_ordered(work, blank_token):
        return RefusalReason.TOKEN_IN_USE
    # One on the books has an owner first: in stock it could be assigned to somebody else.
    if token is not None and (token.state, token.customer) != (
        TokenState.ASSIGNED,
        certificate.customer,
    ):
        return RefusalReason.TOKEN_NOT_ASSIGNED
    return refusal
