"""Opens the sample bank: its customers, their certificates at the CA, their tokens."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from cryptography import x509

from renewal.db.rows import Certificate, Customer, Enrolment
from renewal.gateways.ca.embedded.adapter import EmbeddedCa, Seed
from renewal.lifecycle.certificates import schedule_reminder
from renewal.rules import csr as csr_rules
from schema.events import RevocationReason
from schema.policy import Slot, Storage
from schema.tables.people import certificates
from simulation.client import BrowserKey
from simulation.people import Holding, SimulatedCustomer, Trait
from token_station.simulator import card_profiles
from token_station.simulator.card import NewCard, personalise

if TYPE_CHECKING:
    from pathlib import Path

    from renewal.db.unit_of_work import UnitOfWork
    from renewal.gateways.activity_log import ActivityLog
    from xuqi.bootstrap import App

PUK = "12345678"
PAGE = 500


def open_bank(app: App, people: list[SimulatedCustomer], cards: ActivityLog) -> None:
    """Make every certificate as it was made in its time, and take it into the store."""
    ca = app.gateways.ca
    if not isinstance(ca, EmbeddedCa):
        raise TypeError("the sample bank is opened on the embedded CA")
    with app.store.transaction() as work:
        held = sum(len(person.holdings) for person in people)
        numbers = iter(work.new_ids(certificates, held))
    for person in people:
        for holding in person.holdings:
            holding.certificate = next(numbers)
            _give_key(app, ca, person, holding, cards)
    for first in range(0, len(people), PAGE):
        with app.store.transaction() as work:
            for person in people[first : first + PAGE]:
                _take_in(app, work, person)
    _suspend_and_revoke(app, ca, people)


def _give_key(
    app: App, ca: EmbeddedCa, person: SimulatedCustomer, holding: Holding, cards: ActivityLog
) -> None:
    if app.policies.of(holding.product).storage is Storage.BROWSER:
        holding.key = BrowserKey.new()
        holding.der = _certified(ca, person, holding, holding.key.spki)
    else:
        _give_token(app, ca, person, holding, cards)
    holding.serial = f"{x509.load_der_x509_certificate(holding.der).serial_number:x}"


def _certified(ca: EmbeddedCa, person: SimulatedCustomer, holding: Holding, spki: bytes) -> bytes:
    name = f"{person.id_number}-00-{holding.certificate % 1_000_000:06d}"
    [der] = ca.seed_many(
        [
            Seed(
                key=spki,
                common_name=name,
                profile="signing",
                not_before=holding.not_before,
                not_after=holding.not_after,
            )
        ]
    )
    return der


def _give_token(
    app: App, ca: EmbeddedCa, person: SimulatedCustomer, holding: Holding, cards: ActivityLog
) -> None:
    def certify(spki: bytes) -> bytes:
        holding.der = _certified(ca, person, holding, spki)
        return holding.der

    holding.token = f"{0x029D0000 + holding.certificate:08x}"
    holding.pin = f"{person.chance.randint(100_000, 999_999)}"
    holding.card = card_file(app.settings.home, holding.token)
    personalise(
        holding.card,
        NewCard(
            serial=holding.token,
            pin=holding.pin,
            puk=PUK,
            management_key=app.keys.tokens.value,
        ),
        manners=card_manners(holding),
        certify=certify,
        ledger=cards,
        at=holding.not_before.isoformat(timespec="microseconds"),
    )


def card_file(home: Path, token: str) -> Path:
    return home / "cards" / f"{token}.json"


def card_manners(holding: Holding) -> card_profiles.CardProfile:
    """Both makes of card are among the customers."""
    return card_profiles.JAVACARD if holding.certificate % 2 else card_profiles.NATIVE


def _take_in(app: App, work: UnitOfWork, person: SimulatedCustomer) -> None:
    vault = work.cipher
    seal, look_up = vault.seal, vault.hash
    work.customers.put(
        Customer(
            id=person.number,
            reference_hash=look_up(str(person.number), "customers.reference"),
            id_number_sealed=seal(person.id_number, "customers.id_number", person.number),
            id_number_hash=look_up(person.id_number, "customers.id_number"),
            name_sealed=seal(person.name, "customers.name", person.number),
            mobile_sealed=seal(person.mobile, "customers.mobile", person.number)
            if person.mobile
            else None,
            mobile_hash=look_up(person.mobile, "customers.mobile") if person.mobile else None,
            mail_sealed=seal(person.mail, "customers.mail", person.number) if person.mail else None,
            mail_hash=look_up(person.mail, "customers.mail") if person.mail else None,
            mobile_bad=None,
            mail_bad=None,
            locale=person.locale,
            opted_out=person.has(Trait.OPTED_OUT),
            contact_version=1,
            version=1,
        )
    )
    for holding in person.holdings:
        work.enrolments.put(
            Enrolment(
                customer=person.number,
                product=holding.product,
                customer_class=person.customer_class,
                operator=person.operator,
                branch=person.branch,
                account_sealed=seal(
                    person.account, "enrolments.account", f"{person.number}/{holding.product}"
                ),
                version=1,
            )
        )
        _take_certificate(app, work, person, holding)


def _take_certificate(
    app: App, work: UnitOfWork, person: SimulatedCustomer, holding: Holding
) -> None:
    policy = app.policies.of(holding.product)
    certificate = x509.load_der_x509_certificate(holding.der)
    owner = f"c{person.number}" if policy.slot is Slot.CUSTOMER else f"t{holding.token}"
    state = "active"
    if person.holdings[0] is holding:
        if person.has(Trait.SUSPENDED) or person.has(Trait.SUSPENDED_AND_RESUMED):
            state = "suspended"
        elif person.has(Trait.REVOKED):
            state = "revoked"
    row = work.certificates.put(
        Certificate(
            id=holding.certificate,
            customer=person.number,
            product=holding.product,
            slot=f"{holding.product}:{owner}",
            token_serial=holding.token or None,
            issuer_hash=hashlib.sha256(certificate.issuer.public_bytes()).digest(),
            serial=holding.serial,
            spki_sha256=csr_rules.spki_sha256(certificate),
            certificate_sha256=hashlib.sha256(holding.der).digest(),
            not_before=holding.not_before,
            not_after=holding.not_after,
            state=state,
            renewal=None,
            der_sealed=work.cipher.seal(holding.der, "certificates.der", holding.certificate),
            announced_at=None,
            left_at=None,
            told=None,
            remind_at=None,
            changes=0,
            version=1,
        )
    )
    if state == "active":
        schedule_reminder(work, row, app.policies)


def _suspend_and_revoke(app: App, ca: EmbeddedCa, people: list[SimulatedCustomer]) -> None:
    del app
    for person in people:
        serial = int(person.holdings[0].serial, 16)
        if person.has(Trait.SUSPENDED) or person.has(Trait.SUSPENDED_AND_RESUMED):
            ca.suspend(serial, request_id=f"C{person.holdings[0].certificate:08d}-00/suspend")
        if person.has(Trait.REVOKED):
            ca.revoke(
                serial,
                RevocationReason.CESSATION_OF_OPERATION,
                request_id=f"C{person.holdings[0].certificate:08d}-00/revoke",
            )
