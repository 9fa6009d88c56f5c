"""Requests the new certificate from the CA, once for each renewal."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from renewal.db.rows import Certificate
from renewal.errors import GatewayRefusedError, GatewayUnavailableError, GatewayUnsureError
from renewal.gateways.answers import Meaning
from renewal.gateways.ca.answers import meaning_of
from renewal.gateways.ca.port import CertificationAuthority, IssuanceRequest, Issued, Waiting
from renewal.lifecycle import renewals
from renewal.lifecycle.certificates import add
from renewal.outcome import Done, IfInterrupted, Outcome, Reject, Retry
from renewal.rules.validity import new_validity
from schema.events import (
    Change,
    ChangeRequested,
    Event,
    FeeSecured,
    RenewalRefused,
    Topic,
)
from schema.reasons import CaReason, DecisionKind, DeferralReason, EndReason, OutcomeReason
from schema.states import CertificateState, RenewalState
from schema.tables.people import certificates

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from consumers.registry import Installation
    from renewal.db.rows import Renewal
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies
    from schema.reasons import Reason


@dataclass(frozen=True)
class IssueCertificate:
    renewal: str
    request: IssuanceRequest
    inquire_first: bool
    inquire_only: bool = (
        False  #: the renewal is over: see what the CA has made, and ask for nothing
    )


@dataclass(frozen=True)
class IssuanceRefused:
    why: str


@dataclass(frozen=True)
class IssuanceMismatch:
    """The CA's answer differs from the request."""

    why: Reason


@dataclass(frozen=True)
class NewCertificate:
    """An issued certificate that matches the request."""

    der: bytes
    serial: str
    issuer_hash: bytes


@dataclass(frozen=True, kw_only=True)
class Issuance:
    group: ClassVar[str] = "issuance"
    topics: ClassVar[tuple[str, ...]] = (Topic.RENEWALS.value,)
    kinds: ClassVar[tuple[type[Event], ...]] = (FeeSecured, RenewalRefused)
    if_interrupted: ClassVar[IfInterrupted] = IfInterrupted.ASK

    ca: CertificationAuthority
    policies: Policies
    common_name: Callable[[UnitOfWork, Renewal], str]

    @classmethod
    def of(cls, it: Installation) -> Issuance:
        return cls(ca=it.gateways.ca, policies=it.policies, common_name=common_name)

    def preload(self, events: Sequence[FeeSecured | RenewalRefused], work: UnitOfWork) -> None:
        work.renewals.load(event.renewal for event in events)
        known = [work.renewals.get(event.renewal) for event in events]
        work.certificates.load(renewal.certificate for renewal in known)
        work.customers.load(renewal.customer for renewal in known)

    def prepare(
        self, event: FeeSecured | RenewalRefused, work: UnitOfWork, *, outcome_unknown: bool
    ) -> IssueCertificate | Outcome:
        renewal = work.renewals.get(event.renewal)
        if isinstance(event, RenewalRefused):
            return self._left_behind(renewal, work)
        if renewal.state == RenewalState.FEE_HELD:
            stopped = renewals.why_stopped(work, renewal)
            if stopped is not None:
                renewals.refuse(work, renewal, stopped, self.policies)
                return Done()
            renewal = self._intended(work, renewal)
        if renewal.state != RenewalState.SENT_TO_CA:
            return Done()
        request = self._request(renewal, work)
        if request is None:
            return Reject(OutcomeReason.NO_REQUEST.why())
        return IssueCertificate(renewal.id, request, outcome_unknown)

    def _left_behind(self, renewal: Renewal, work: UnitOfWork) -> IssueCertificate | Outcome:
        """
        Staff may end a renewal whose answer is unknown: what the CA has made still gets its row
        (I3).
        """
        request = self._request(renewal, work)
        if renewal.new_certificate is not None or request is None:
            return Done()
        return IssueCertificate(renewal.id, request, inquire_first=True, inquire_only=True)

    def _request(self, renewal: Renewal, work: UnitOfWork) -> IssuanceRequest | None:
        if renewal.csr is None or renewal.not_before is None or renewal.not_after is None:
            return None
        return IssuanceRequest(
            request_id=f"{renewal.id}/issue",
            csr=renewal.csr,
            common_name=self.common_name(work, renewal),
            profile=self.policies.of(renewal.product).profile,
            not_before=renewal.not_before,
            not_after=renewal.not_after,
        )

    def _intended(self, work: UnitOfWork, renewal: Renewal) -> Renewal:
        """Record what will be requested from the CA before it is requested."""
        old = renewals.replaced(work, renewal)
        policy = self.policies.of(renewal.product)
        # A lost token is replaced at once, whenever that is: nothing waits or is carried on.
        counted_from = old.not_after if old and renewal.blank_token is None else None
        not_before, not_after = new_validity(policy, work.at, counted_from)
        return renewals.send_to_ca(work, renewal, not_before=not_before, not_after=not_after)

    def carry_out(
        self, order: IssueCertificate
    ) -> NewCertificate | IssuanceRefused | IssuanceMismatch | Outcome:
        try:
            answer = self._answer(order)
        except GatewayRefusedError as error:
            return _refused(error)
        if answer is None:
            return Done()
        if isinstance(answer, Waiting):
            return Retry(
                timedelta(minutes=1), DeferralReason.CA_ANSWERS_LATER.why(), spends_a_try=False
            )
        return _checked(answer.certificate, order.request)

    def _answer(self, order: IssueCertificate) -> Issued | Waiting | None:
        if order.inquire_first:
            found = self._recovered(order.request.request_id)
            if found is not None or order.inquire_only:
                return found
        return self.ca.issue(order.request)

    def _recovered(self, request_id: str) -> Issued | Waiting | None:
        try:
            return self.ca.recover(request_id)
        except GatewayRefusedError as error:  # of the inquiry: it may have been issued all the same
            raise GatewayUnsureError("the CA does not say what became of it") from error

    def preload_orders(self, orders: Sequence[IssueCertificate], work: UnitOfWork) -> None:
        work.renewals.load(order.renewal for order in orders)
        known = [work.renewals.get(order.renewal) for order in orders]
        work.certificates.load(renewal.certificate for renewal in known)
        work.will_need_ids(certificates, len(orders))

    def conclude(
        self,
        order: IssueCertificate,
        answer: NewCertificate | IssuanceRefused | IssuanceMismatch,
        work: UnitOfWork,
    ) -> Outcome:
        renewal = work.renewals.get(order.renewal)
        if isinstance(answer, IssuanceMismatch):
            kind = DecisionKind.CA_WRONG_ANSWER
            work.record_decision(renewal.certificate, kind, answer.why, renewal=renewal.id)
            return Reject(answer.why)
        if order.inquire_only and isinstance(answer, NewCertificate):
            return self._taken_back(answer, renewal, order.request, work)
        if renewal.state != RenewalState.SENT_TO_CA:
            return Done()
        if isinstance(answer, IssuanceRefused):
            why = CaReason.SAID.why(detail=answer.why)
            kind = DecisionKind.CA_REFUSED
            work.record_decision(renewal.certificate, kind, why, renewal=renewal.id)
            renewals.refuse(work, renewal, EndReason.DECLINED_BY_CA, self.policies)
        else:
            new = self._stored(answer, renewal, order.request, work)
            renewals.issue(work, renewal, new, self.policies)
        return Done()

    def _taken_back(
        self, new: NewCertificate, renewal: Renewal, request: IssuanceRequest, work: UnitOfWork
    ) -> Outcome:
        number = self._stored(new, renewal, request, work)
        work.renewals.change(renewal, new_certificate=number)
        certificate = work.certificates.get(number)
        work.certificates.change(certificate, changes=1)
        kind = DecisionKind.CA_ISSUED_IN_VAIN
        work.record_decision(renewal.certificate, kind, renewal=renewal.id)
        wish = ChangeRequested(certificate=number, change=Change.REVOKE, number=1)
        return Done(emit=(wish,))

    def _stored(
        self, new: NewCertificate, renewal: Renewal, request: IssuanceRequest, work: UnitOfWork
    ) -> int:
        old = renewals.replaced(work, renewal)
        number = renewal.certificate if old is None else work.new_ids(certificates, 1)[0]
        add(
            work,
            Certificate(
                id=number,
                customer=renewal.customer,
                product=renewal.product,
                slot=renewal.slot,
                token_serial=renewal.blank_token or (old.token_serial if old else None),
                issuer_hash=new.issuer_hash,
                serial=new.serial,
                spki_sha256=renewal.spki_sha256 or b"",
                certificate_sha256=hashlib.sha256(new.der).digest(),
                not_before=request.not_before,
                not_after=request.not_after,
                state=CertificateState.PENDING.value,
                renewal=renewal.id,
                der_sealed=work.cipher.seal(new.der, "certificates.der", number),
                announced_at=None,
                left_at=None,
                told=None,
                remind_at=None,
                changes=0,
                version=1,
            ),
        )
        return number


def _refused(error: GatewayRefusedError) -> IssuanceRefused | Outcome:
    """What speaks of a moment is tried again; what speaks of us is for staff, not the customer."""
    match meaning_of(error.code):
        case Meaning.REFUSED:
            return IssuanceRefused(str(error))
        case Meaning.NOTHING:
            raise GatewayUnavailableError(str(error)) from error
        case _:
            return Reject(CaReason.REQUEST_FAULTY.why(detail=str(error)))


def _checked(der: bytes, request: IssuanceRequest) -> NewCertificate | IssuanceMismatch:
    """
    Accept an answer only if key, subject, validity and usages match the request.

    A mismatch is not revoked by the machine: it may be somebody else's good certificate.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        key = certificate.public_key().public_bytes(*form)
        usages = _usages(certificate)
    except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm):
        return IssuanceMismatch(CaReason.ANSWERED_NO_CERTIFICATE.why())
    asked = x509.load_der_x509_csr(request.csr).public_key().public_bytes(*form)
    if key != asked:
        serial = f"{certificate.serial_number:x}"
        return IssuanceMismatch(CaReason.ANSWERED_OTHER_KEY.why(serial=serial))
    if not usages:
        return IssuanceMismatch(CaReason.ANSWERED_OTHER_USAGE.why())
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    if [name.value for name in names] != [request.common_name]:
        return IssuanceMismatch(CaReason.ANSWERED_OTHER_SUBJECT.why())
    if (certificate.not_valid_before_utc, certificate.not_valid_after_utc) != (
        request.not_before,
        request.not_after,
    ):
        return IssuanceMismatch(CaReason.ANSWERED_OTHER_VALIDITY.why())
    return NewCertificate(
        der=der,
        serial=f"{certificate.serial_number:x}",
        issuer_hash=hashlib.sha256(certificate.issuer.public_bytes()).digest(),
    )


def _usages(certificate: x509.Certificate) -> bool:
    """Whether it is for a customer's signatures, and not for signing certificates."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return usage.digital_signature and not usage.key_cert_sign


def common_name(work: UnitOfWork, renewal: Renewal) -> str:
    """The subject's name as our record has it: <ID>-00-<6 digits of the certificate's number>."""
    customer = work.customers.get(renewal.customer)
    number = work.cipher.open_text(customer.id_number_sealed, "customers.id_number", customer.id)
    return f"{number}-00-{renewal.certificate % 1_000_000:06d}"
