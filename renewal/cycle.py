"""The steps of a renewal, each a change of state and the facts that it makes true."""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from renewal.errors import XuqiError
from renewal.rules import eligibility, fee, ladder
from renewal.rules.proof import verify_possession
from renewal.store import certificates as certificate_queries
from renewal.store import renewals as queries
from renewal.store.rows import Certificate, Payment, Renewal
from schema.events import (
    CertificateActivated,
    Event,
    RefundRequested,
    RenewalAbandoned,
    RenewalConfirmed,
    RenewalRefused,
    RenewalRequested,
    TokenJobRequested,
)
from schema.policy import FeeHow, Storage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from renewal.rules.eligibility import Refusal
    from renewal.store.work import Work
    from schema.policy import Policy

#: States in which the customer's own doing is waited for; only these are ever given up.
WAITS_FOR_CUSTOMER = ("requested", "issued", "delivered")
#: A certificate on hold cannot be renewed, and a permanent revocation cannot be changed.
STOPPED = ("suspended", "revoked")

CHALLENGE_BYTES = 32
LEAST_RSA_BITS = 2048  # NIST SP 800-131A rev. 2


class NotNowError(XuqiError):
    """
    The renewal is not in the state in which this can be done.
    """


class BadRequestError(XuqiError):
    """
    The certificate request cannot be used; the text says why.
    """


@dataclass(frozen=True)
class Policies:
    """
    The products of the installation, by name.
    """

    by_product: Mapping[str, Policy]

    def of(self, product: str) -> Policy:
        """
        Raises:
            XuqiError: there is no policy file for that product.
        """
        policy = self.by_product.get(product)
        if policy is None:
            raise XuqiError(f"there is no policy for the product {product!r}")
        return policy


def schedule_reminder(work: Work, certificate: Certificate, policies: Policies) -> Certificate:
    """
    Set when the certificate must next be looked at for a reminder.
    """
    policy = policies.by_product.get(certificate.product)
    moment = None
    if policy is not None and certificate.customer is not None:
        moment = ladder.next_look(work.at, certificate.not_after, policy, certificate.told)
    if moment == certificate.remind_at:
        return certificate
    return work.certificates.change(certificate, remind_at=moment)


def why_stopped(old: Certificate) -> str | None:
    """
    Why the renewal of this certificate may not go on, or ``None``.

    Ask at each step: between two of them a person may have had it suspended or revoked.
    """
    return old.state if old.state in STOPPED else None


# --- asked for ----------------------------------------------------------------------------------


def request(
    work: Work, certificate: Certificate, policies: Policies, *, branch: str | None
) -> Renewal | Refusal:
    """
    Reserve a renewal, or say why not. The decision stands from here on.
    """
    policy = policies.of(certificate.product)
    enrolment = work.enrolments.find((certificate.customer, certificate.product))
    prepaid = policy.fee.how is FeeHow.PREPAID
    payment = queries.payment_of(work, certificate.id, "paid") if prepaid else None
    refusal = eligibility.why_not(
        now=work.at,
        not_after=certificate.not_after,
        state=certificate.state,
        policy=policy,
        customer_class=str(enrolment.customer_class) if enrolment else None,
        operator=enrolment.operator if enrolment else None,
        slot_has_open_renewal=queries.open_in_slot(work, certificate.slot) is not None,
        fee_paid=payment is not None,
    )
    if certificate.customer is None:
        refusal = refusal or eligibility.Refusal.NOT_ACTIVE
    if refusal is not None:
        work.decide(certificate.id, "renewal", "refused", refusal.value)
        return refusal
    return _reserved(work, certificate, policy, branch=branch, payment=payment)


def next_id(work: Work, certificate: Certificate) -> str:
    """
    The id of the certificate's next renewal: R<certificate>-<attempt>.
    """
    attempt = len(queries.of_certificate(work, certificate.id)) + 1
    return f"R{certificate.id:08d}-{attempt:02d}"


def _reserved(
    work: Work,
    certificate: Certificate,
    policy: Policy,
    *,
    branch: str | None,
    payment: Payment | None,
) -> Renewal:
    renewal = work.renewals.put(
        Renewal(
            id=next_id(work, certificate),
            certificate=certificate.id,
            customer=certificate.customer or 0,
            product=certificate.product,
            slot=certificate.slot,
            state="requested",
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
            fee_state="none" if policy.fee.how is FeeHow.NONE else "quoted",
            fee_account_sealed=None,
            old_state="untouched",
            why=None,
            collected_told=None,
            version=1,
        )
    )
    if payment is not None:
        work.payments.change(payment, state="reserved", renewal=renewal.id)
    work.decide(certificate.id, "renewal", "requested", renewal=renewal.id)
    work.emit(
        RenewalRequested(
            renewal=renewal.id,
            certificate=certificate.id,
            product=certificate.product,
            branch=branch,
        )
    )
    if policy.storage is not Storage.BROWSER and branch is not None:
        work.emit(_token_job(work, certificate, renewal, branch))
    return renewal


def _token_job(
    work: Work, certificate: Certificate, renewal: Renewal, branch: str
) -> TokenJobRequested:
    # Whatever the product: a token may hold certificates of two.
    theirs = certificate_queries.of_customers(work, [renewal.customer])
    on_token = [other for other in theirs if other.token_serial == certificate.token_serial]
    needed = [
        other.certificate_sha256.hex()
        for other in (*certificate_queries.in_slot(work, certificate.slot), *on_token)
        if other.not_after > work.at and other.state in {"active", "suspended", "superseded"}
    ]
    return TokenJobRequested(
        branch=branch,
        renewal=renewal.id,
        token_serial=certificate.token_serial or "",
        old_certificate_sha256=certificate.certificate_sha256.hex(),
        keep_sha256=tuple(sorted({*needed, certificate.certificate_sha256.hex()})),
        algorithm="P-256",
        challenge=base64.b64encode(renewal.challenge).decode(),
    )


# --- confirmed ----------------------------------------------------------------------------------


def check_request(csr_der: bytes) -> bytes:
    """
    Return the SHA-256 of the public key of a PKCS#10 request that can be used.

    Raises:
        BadRequestError
    """
    try:
        csr = x509.load_der_x509_csr(csr_der)
        key = csr.public_key()
        if not csr.is_signature_valid:
            raise BadRequestError("the request is not signed with its own key")
        # It is kept and travels as it is. The name comes from the bank's record in any case.
        if len(csr.subject) or len(csr.attributes):
            raise BadRequestError("the request must have no subject and no attributes")
    except (ValueError, UnsupportedAlgorithm, InvalidSignature) as error:
        raise BadRequestError("this is no PKCS#10 request (DER)") from error
    strong_rsa = isinstance(key, rsa.RSAPublicKey) and key.key_size >= LEAST_RSA_BITS
    strong_ec = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
    if not (strong_rsa or strong_ec):
        raise BadRequestError("the key must be P-256 or RSA of 2048 bits or more")
    return spki_sha256(csr)


def check_unused(work: Work, renewal: Renewal, key: bytes) -> None:
    """
    A public key is used once: by no renewal of anybody, no certificate of this customer.

    Raises:
        BadRequestError
    """
    mine = certificate_queries.of_customers(work, [renewal.customer])
    if queries.key_is_used(work, key) or any(one.spki_sha256 == key for one in mine):
        raise BadRequestError("this key was used before: make a new one")


def spki_sha256(of: x509.Certificate | x509.CertificateSigningRequest) -> bytes:
    return hashlib.sha256(
        of.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).digest()


def confirm(
    work: Work,
    renewal: Renewal,
    *,
    csr: bytes,
    key: bytes,
    proof: bytes | None = None,
    terms: bytes | None = None,
) -> tuple[Event, ...]:
    """
    The customer has confirmed; the request for the new key is on record. ``key``: its SHA-256.

    Raises:
        NotNowError
    """
    if renewal.state == "confirmed" and renewal.spki_sha256 == key:
        return ()
    _expect(renewal, "requested")
    work.renewals.change(
        renewal,
        state="confirmed",
        moved_at=work.at,
        csr=csr,
        spki_sha256=key,
        proof=proof,
        terms_sha256=hashlib.sha256(terms).digest() if terms is not None else None,
    )
    work.decide(renewal.certificate, "renewal", "confirmed", renewal=renewal.id)
    return (RenewalConfirmed(renewal=renewal.id),)


# --- in force -----------------------------------------------------------------------------------


def activate(
    work: Work, renewal: Renewal, signature: bytes, policies: Policies
) -> tuple[Event, ...]:
    """
    Put the new certificate in force, if its key has signed the renewal's challenge.

    One transaction: the old one is superseded and the new one active, or nothing has changed.
    If the old one was suspended or revoked meanwhile, or the new one revoked, the renewal is
    refused instead (I2).

    Raises:
        NotNowError, ProofError
    """
    if renewal.state in {"activated", "done"}:
        return ()
    _expect(renewal, "issued", "delivered")
    new = work.certificates.get(renewal.new_certificate)
    old = work.certificates.get(renewal.certificate)
    stopped = why_stopped(old) or why_stopped(new)
    if stopped is not None:
        return refuse(work, renewal, stopped, policies)
    verify_possession(
        work.vault.open(new.der_sealed, "certificates.der"), renewal.challenge, signature
    )
    if old.state == "active":
        work.certificates.change(old, state="superseded", remind_at=None)
    new = work.certificates.change(new, state="active")
    schedule_reminder(work, new, policies)
    work.renewals.change(renewal, state="activated", moved_at=work.at)
    work.decide(old.id, "renewal", "activated", renewal=renewal.id)
    return (CertificateActivated(renewal=renewal.id, old=old.id, new=new.id),)


# --- ended without effect -----------------------------------------------------------------------


def refuse(work: Work, renewal: Renewal, why: str, policies: Policies) -> tuple[Event, ...]:
    """
    End a renewal because the bank, the CA or the token has said no.
    """
    return _end(work, renewal, "refused", why, policies)


def abandon(work: Work, renewal: Renewal, why: str, policies: Policies) -> tuple[Event, ...]:
    """
    End a renewal because its customer declined or did not finish.
    """
    return _end(work, renewal, "abandoned", why, policies)


def _end(
    work: Work, renewal: Renewal, state: str, why: str, policies: Policies
) -> tuple[Event, ...]:
    if renewal.state in {"refused", "abandoned"}:
        return ()
    if renewal.state in {"activated", "done"}:
        raise NotNowError(f"{renewal.id} is {renewal.state}: the new certificate is in force")
    work.renewals.change(renewal, state=state, why=why[:200], moved_at=work.at)
    work.decide(renewal.certificate, "renewal", state, why, renewal=renewal.id)
    old = work.certificates.get(renewal.certificate)
    if old.state not in STOPPED:
        schedule_reminder(work, old, policies)
    ended = RenewalRefused if state == "refused" else RenewalAbandoned
    return (ended(renewal=renewal.id, why=why[:200]), *_unreserved(work, renewal))


def _unreserved(work: Work, renewal: Renewal) -> tuple[Event, ...]:
    """
    The entitlement is free for the next renewal, or is paid back if there can be none.
    """
    payment = queries.payment_of(work, renewal.certificate, "reserved")
    if payment is None or payment.renewal != renewal.id:
        return ()
    payment = work.payments.change(payment, state="paid", renewal=None)
    if work.certificates.get(renewal.certificate).state != "revoked":
        return ()
    return refund(work, payment, "the certificate was revoked")


def refund(work: Work, payment: Payment, why: str) -> tuple[Event, ...]:
    """
    What was paid for a renewal that can no longer be is to be paid back.
    """
    work.payments.change(payment, state="to refund")
    work.decide(payment.certificate, "fee", "to refund", why)
    return (RefundRequested(payment=payment.id, why=why),)


def _expect(renewal: Renewal, *states: str) -> None:
    if renewal.state not in states:
        raise NotNowError(f"{renewal.id} is {renewal.state}, not {' or '.join(states)}")
