"""Has the CA issue the new certificate, once for a renewal."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from renewal import cycle
from renewal.errors import GatewayRefusedError
from renewal.gateways.ca.port import CertificationAuthority, Issued, Request, Waiting
from renewal.outcome import Done, IfInterrupted, Outcome, Reject, Retry
from renewal.rules.validity import new_validity
from renewal.store.rows import Certificate
from schema.events import (
    CertificateIssued,
    Change,
    ChangeRequested,
    Event,
    FeeSecured,
    RenewalRefused,
    Topic,
)
from schema.tables.people import certificates

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from renewal.cycle import Policies
    from renewal.store.rows import Renewal
    from renewal.store.work import Work


@dataclass(frozen=True)
class Order:
    renewal: str
    request: Request
    ask: bool
    only_ask: bool = False  #: the renewal is over: see what the CA has made, and ask for nothing


@dataclass(frozen=True)
class Refused:
    why: str


@dataclass(frozen=True)
class Wrong:
    """
    What the CA answered is not what was asked for.
    """

    why: str


@dataclass(frozen=True)
class New:
    """
    An issued certificate that is what was asked for.
    """

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
    common_name: Callable[[Work, Renewal], str]

    def preload(self, events: Sequence[FeeSecured | RenewalRefused], work: Work) -> None:
        work.renewals.load(event.renewal for event in events)
        known = [work.renewals.get(event.renewal) for event in events]
        work.certificates.load(renewal.certificate for renewal in known)
        work.customers.load(renewal.customer for renewal in known)

    def prepare(
        self, event: FeeSecured | RenewalRefused, work: Work, *, again: bool
    ) -> Order | Outcome:
        renewal = work.renewals.get(event.renewal)
        if isinstance(event, RenewalRefused):
            return self._left_behind(renewal, work)
        if renewal.state == "fee held":
            stopped = cycle.why_stopped(work.certificates.get(renewal.certificate))
            if stopped is not None:
                return Done(emit=cycle.refuse(work, renewal, stopped, self.policies))
            renewal = self._intended(work, renewal)
        if renewal.state != "sent to CA":
            return Done()
        request = self._request(renewal, work)
        if request is None:
            return Reject("there is no request on record to send")
        return Order(renewal.id, request, again)

    def _left_behind(self, renewal: Renewal, work: Work) -> Order | Outcome:
        """
        Staff may end a renewal whose answer nobody knows: what the CA has made gets its row (I3).
        """
        request = self._request(renewal, work)
        if renewal.new_certificate is not None or request is None:
            return Done()
        return Order(renewal.id, request, ask=True, only_ask=True)

    def _request(self, renewal: Renewal, work: Work) -> Request | None:
        if renewal.csr is None or renewal.not_before is None or renewal.not_after is None:
            return None
        return Request(
            request_id=f"{renewal.id}/issue",
            csr=renewal.csr,
            common_name=self.common_name(work, renewal),
            profile=self.policies.of(renewal.product).profile,
            not_before=renewal.not_before,
            not_after=renewal.not_after,
        )

    def _intended(self, work: Work, renewal: Renewal) -> Renewal:
        """
        What will be asked of the CA is on record before it is asked.
        """
        old = work.certificates.get(renewal.certificate)
        policy = self.policies.of(renewal.product)
        not_before, not_after = new_validity(policy, work.at, old.not_after)
        work.decide(old.id, "CA", "asked to issue", renewal=renewal.id)
        return work.renewals.change(
            renewal,
            state="sent to CA",
            moved_at=work.at,
            not_before=not_before,
            not_after=not_after,
        )

    def carry_out(self, order: Order) -> New | Refused | Wrong | Outcome:
        try:
            answer = self._answer(order)
        except GatewayRefusedError as error:
            return Refused(str(error))
        if answer is None:
            return Done()
        if isinstance(answer, Waiting):
            return Retry(timedelta(minutes=1), "the CA answers later", spends_a_try=False)
        return _checked(answer.certificate, order.request)

    def _answer(self, order: Order) -> Issued | Waiting | None:
        if order.ask:
            found = self.ca.recover(order.request.request_id)
            if found is not None or order.only_ask:
                return found
        return self.ca.issue(order.request)

    def preload_orders(self, orders: Sequence[Order], work: Work) -> None:
        work.renewals.load(order.renewal for order in orders)
        known = [work.renewals.get(order.renewal) for order in orders]
        work.certificates.load(renewal.certificate for renewal in known)
        work.will_need_ids(certificates, len(orders))

    def conclude(self, order: Order, answer: New | Refused | Wrong, work: Work) -> Outcome:
        renewal = work.renewals.get(order.renewal)
        if isinstance(answer, Wrong):
            work.decide(renewal.certificate, "CA", "wrong answer", answer.why, renewal=renewal.id)
            return Reject(answer.why)
        if order.only_ask and isinstance(answer, New):
            return self._taken_back(answer, renewal, order.request, work)
        if renewal.state != "sent to CA":
            return Done()
        if isinstance(answer, Refused):
            work.decide(renewal.certificate, "CA", "refused", answer.why, renewal=renewal.id)
            return Done(emit=cycle.refuse(work, renewal, "declined by ca", self.policies))
        new = self._stored(answer, renewal, order.request, work)
        renewal = work.renewals.change(
            renewal, state="issued", moved_at=work.at, new_certificate=new
        )
        work.decide(renewal.certificate, "CA", "issued", renewal=renewal.id)
        stopped = cycle.why_stopped(work.certificates.get(renewal.certificate))
        if stopped is not None:  # it has a row, and the refusal takes it back at the CA
            return Done(emit=cycle.refuse(work, renewal, stopped, self.policies))
        return Done(emit=(CertificateIssued(renewal=renewal.id, certificate=new),))

    def _taken_back(self, new: New, renewal: Renewal, request: Request, work: Work) -> Outcome:
        number = self._stored(new, renewal, request, work)
        work.renewals.change(renewal, new_certificate=number)
        certificate = work.certificates.get(number)
        work.certificates.change(certificate, changes=1)
        work.decide(renewal.certificate, "CA", "issued in vain", renewal=renewal.id)
        wish = ChangeRequested(certificate=number, change=Change.REVOKE, number=1)
        return Done(emit=(wish,))

    def _stored(self, new: New, renewal: Renewal, request: Request, work: Work) -> int:
        old = work.certificates.get(renewal.certificate)
        (number,) = work.new_ids(certificates, 1)
        work.certificates.put(
            Certificate(
                id=number,
                customer=renewal.customer,
                product=renewal.product,
                slot=renewal.slot,
                token_serial=old.token_serial,
                issuer_hash=new.issuer_hash,
                serial=new.serial,
                spki_sha256=renewal.spki_sha256 or b"",
                certificate_sha256=hashlib.sha256(new.der).digest(),
                not_before=request.not_before,
                not_after=request.not_after,
                state="pending",
                renewal=renewal.id,
                der_sealed=work.vault.seal(new.der, "certificates.der"),
                announced_at=None,
                left_at=None,
                told=None,
                remind_at=None,
                changes=0,
                version=1,
            )
        )
        return number


def _checked(der: bytes, request: Request) -> New | Wrong:
    """
    Accept an answer only if key, subject, validity and usages are as asked.

    A wrong one is not taken back by the machine: it may be somebody else's good certificate.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        key = certificate.public_key().public_bytes(*form)
        usages = _usages(certificate)
    except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm):
        return Wrong("the CA has answered with what is no certificate")
    asked = x509.load_der_x509_csr(request.csr).public_key().public_bytes(*form)
    if key != asked:
        serial = f"{certificate.serial_number:x}"
        return Wrong(f"the CA has certified another key than the one asked for: serial {serial}")
    if not usages:
        return Wrong("the CA has certified another usage than a customer's signature")
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    if [name.value for name in names] != [request.common_name]:
        return Wrong("the CA has certified another subject than the one asked for")
    if (certificate.not_valid_before_utc, certificate.not_valid_after_utc) != (
        request.not_before,
        request.not_after,
    ):
        return Wrong("the CA has certified another validity than the one asked for")
    return New(
        der=der,
        serial=f"{certificate.serial_number:x}",
        issuer_hash=hashlib.sha256(certificate.issuer.public_bytes()).digest(),
    )


def _usages(certificate: x509.Certificate) -> bool:
    """
    Whether it is for a customer's signatures, and not for signing certificates.
    """
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return usage.digital_signature and not usage.key_cert_sign
