"""A bank whose outside systems take no time: customers, certificates and open renewals."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from renewal.db.rows import Certificate, Customer, Enrolment, Renewal
from renewal.gateways.bank.null import NullBank
from renewal.gateways.ca.null import NullCa
from renewal.gateways.ca.port import IssuanceRequest, Issued
from renewal.gateways.mail.null import NullMail
from renewal.gateways.sms.null import NullSms
from renewal.lifecycle.renewals import activate
from renewal.rules import csr as csr_rules
from renewal.rules import fee
from schema.events import RenewalConfirmed, RenewalRequested, RevocationReason
from schema.tables.people import certificates
from xuqi.bootstrap import Gateways, bootstrap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from renewal.db.unit_of_work import UnitOfWork
    from renewal.gateways.sms.port import SmsGateway
    from xuqi.bootstrap import App
    from xuqi.settings import Settings

PRODUCTS = ("securities-browser", "cooperative-card")
PAGE = 500
_NAME = x509.Name([])


@dataclass(frozen=True)
class Asked:
    """A renewal that its customer has asked for, and what is theirs alone: the key."""

    renewal: str
    key: ec.EllipticCurvePrivateKey
    challenge: bytes
    csr: bytes

    def signature(self) -> bytes:
        return self.key.sign(self.challenge, ec.ECDSA(SHA256()))


class AnyCa(NullCa):
    """Revokes also what a null CA in another process has issued."""

    def revoke(self, serial: int, reason: RevocationReason, *, request_id: str) -> None:
        pass


def prepared(number: int) -> Asked:
    """What the customer of that certificate does at home."""
    key = ec.generate_private_key(ec.SECP256R1())
    challenge = hashlib.sha256(str(number).encode()).digest()
    return Asked(f"R{number:08d}-01", key, challenge, _csr(key))


def opened(settings: Settings, sms: SmsGateway | None = None) -> App:
    """A house as it is served, with all its guarantees; only what is outside costs nothing."""
    outside = Gateways(sms=sms or NullSms(), mail=NullMail(), ca=AnyCa(), bank=NullBank())
    return bootstrap(settings, outside=outside)


def take_in(app: App, first: int, count: int) -> None:
    """
    So many customers with an account, an address of each kind and a certificate that ends soon.
    """
    for numbers in _pages(first, count):
        with app.store.transaction() as work:
            assert list(work.new_ids(certificates, len(numbers))) == list(numbers)
            for number in numbers:
                customer(work, number)
                certificate(app, work, number)


def ask(app: App, first: int, count: int, by: Callable[[int], Asked] = prepared) -> list[Asked]:
    """A confirmed renewal of each of these certificates, and its facts on the log."""
    asked = []
    for numbers in _pages(first, count):
        with app.store.transaction() as work:
            work.certificates.load(numbers)
            asked += [_renewal(app, work, number, by(number)) for number in numbers]
    return asked


def prove(app: App, asked: list[Asked], signatures: list[bytes]) -> None:
    """Each customer proves that they hold the new key: the signature is verified, as always."""
    for start in range(0, len(asked), PAGE):
        with app.store.transaction() as work:
            page = asked[start : start + PAGE]
            work.renewals.load(one.renewal for one in page)
            known = [work.renewals.get(one.renewal) for one in page]
            work.certificates.load(row.certificate for row in known)
            work.certificates.load(row.new_certificate for row in known)
            for row, signature in zip(known, signatures[start : start + PAGE], strict=True):
                activate(work, row, signature, app.policies)


def _pages(first: int, count: int) -> Iterator[range]:
    for start in range(first, first + count, PAGE):
        yield range(start, min(start + PAGE, first + count))


def _product(number: int) -> str:
    return PRODUCTS[number % len(PRODUCTS)]


def customer(work: UnitOfWork, number: int) -> None:
    """A customer with an address of each kind and an account."""
    seal, digest = work.cipher.seal, work.cipher.hash
    id_number, mail, mobile = f"A{number:09d}", f"c{number}@example.com", f"+8869{number:08d}"
    work.customers.put(
        Customer(
            id=number,
            reference_hash=digest(f"C{number}", "customers.reference"),
            id_number_sealed=seal(id_number, "customers.id_number", number),
            id_number_hash=digest(id_number, "customers.id_number"),
            name_sealed=seal("王小明", "customers.name", number),
            mobile_sealed=seal(mobile, "customers.mobile", number),
            mobile_hash=digest(mobile, "customers.mobile"),
            mail_sealed=seal(mail, "customers.mail", number),
            mail_hash=digest(mail, "customers.mail"),
            mobile_bad=None,
            mail_bad=None,
            locale="zh-TW",
            opted_out=False,
            contact_version=1,
            version=1,
        )
    )
    work.enrolments.put(
        Enrolment(
            customer=number,
            product=_product(number),
            customer_class=2,
            operator="user",
            branch="001",
            account_sealed=seal(
                f"{number:014d}", "enrolments.account", f"{number}/{_product(number)}"
            ),
            version=1,
        )
    )


def certificate(app: App, work: UnitOfWork, number: int) -> None:
    product = _product(number)
    not_after = _soon()
    key = ec.generate_private_key(ec.SECP256R1())
    request = IssuanceRequest(
        request_id=f"first/{number}",
        csr=_csr(key),
        common_name=f"A{number:09d}-00-{number % 1_000_000:06d}",
        profile=app.policies.of(product).profile,
        not_before=not_after - timedelta(days=365),
        not_after=not_after,
    )
    issued = app.gateways.ca.issue(request)
    assert isinstance(issued, Issued), "this CA never lets one wait"
    der = issued.certificate
    made = x509.load_der_x509_certificate(der)
    work.certificates.put(
        Certificate(
            id=number,
            customer=number,
            product=product,
            slot=f"{product}:c{number}",
            token_serial=None,
            issuer_hash=hashlib.sha256(made.issuer.public_bytes()).digest(),
            serial=f"{made.serial_number:x}",
            spki_sha256=csr_rules.spki_sha256(made),
            certificate_sha256=hashlib.sha256(der).digest(),
            not_before=request.not_before,
            not_after=not_after,
            state="active",
            renewal=None,
            der_sealed=work.cipher.seal(der, "certificates.der", number),
            announced_at=None,
            left_at=None,
            told=None,
            remind_at=None,
            changes=0,
            version=1,
        )
    )


def _renewal(app: App, work: UnitOfWork, number: int, asked: Asked) -> Asked:
    old = work.certificates.get(number)
    policy = app.policies.of(old.product)
    amount = fee.amount_at(work.at, policy)
    work.renewals.put(
        Renewal(
            id=asked.renewal,
            certificate=number,
            customer=number,
            product=old.product,
            slot=old.slot,
            state="confirmed",
            branch=None,
            requested_at=work.at,
            moved_at=work.at,
            terms_sha256=None,
            csr=asked.csr,
            spki_sha256=csr_rules.check_request(asked.csr),
            proof=None,
            challenge=asked.challenge,
            new_certificate=None,
            not_before=None,
            not_after=None,
            fee_amount=amount,
            fee_state="quoted" if amount else "none",
            fee_account_sealed=None,
            old_state="untouched",
            why=None,
            collected_told=None,
            version=1,
        )
    )
    work.emit(
        RenewalRequested(
            renewal=asked.renewal, certificate=number, product=old.product, branch=None
        )
    )
    work.emit(RenewalConfirmed(renewal=asked.renewal))
    return asked


def _csr(key: ec.EllipticCurvePrivateKey) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(_NAME)
    return builder.sign(key, SHA256()).public_bytes(Encoding.DER)


def _soon() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=10)
