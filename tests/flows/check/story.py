"""One certificate of each product renewed from end to end, one left alone and one under way."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from renewal.clock import VirtualClock
from renewal.gateways.ca.embedded import EmbeddedCa
from renewal.rules.taipei import TAIPEI
from renewal.sealing import branch_key
from renewal.store.rows import Certificate, Customer, Enrolment, Renewal
from scheduler import jobs
from schema.tables.people import certificates
from token_station import manners
from token_station.journal import Journal
from token_station.simulated_card import SimulatedCard, personalise
from token_station.simulated_reader import SimulatedReader
from token_station.station import Station
from xuqi.house import House, build
from xuqi.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from renewal.store.work import Work

NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)  #: Monday, 10:00 in Taipei
END = datetime(2026, 3, 20, 23, 59, 59, tzinfo=TAIPEI).astimezone(UTC)
BEGIN = END - timedelta(days=364)
PIN = "123456"
#: The renewed ones are 1 to 3 and become 6 to 8; nothing is done with 4; 5 is being renewed.
PRODUCTS = {
    1: ("securities-browser", "user", None),
    2: ("corporate-token", "administrator", "029dc2d0"),
    3: ("cooperative-card", "administrator", "029dc2d1"),
    4: ("securities-browser", "user", None),
    5: ("securities-browser", "user", None),
}


class Teller:
    """
    Enters the customer's PIN, and never the last try.
    """

    def pin(self, _job: object, _left: int | None) -> str:
        return PIN

    def releases_last_try(self, _job: object) -> bool:
        return False


class Story:
    """
    What happened, up to a quiet moment: everything is settled.
    """

    def __init__(self, home: Path, *, store_url: str = "") -> None:
        self.home = home
        self.house = build(Settings(home=home, store_url=store_url), clock=VirtualClock(NOW))
        self._deliveries = [self.house.delivery(consumer) for consumer in self.house.consumers()]
        self._readers = [delivery.reader for delivery in self._deliveries]
        self._cards: dict[int, SimulatedCard] = {}

    def tell(self) -> House:
        with self.house.store.work() as work:
            for number in work.new_ids(certificates, len(PRODUCTS)):  # PostgreSQL counts them
                self._take_in(work, number)
        jobs.scan(self.house.store, self.house.policies)
        jobs.remind(self.house.store, self.house.policies)
        self._drain()
        self._renew_in_the_browser(1)
        self.house.centre.pay(2)
        self._drain()
        self._renew_at_the_branch(2, 3)
        _requested(self.house.centre.request(5))
        self._drain()
        for reader in self._readers:
            reader.close()
        return self.house

    def _drain(self) -> None:
        while sum(delivery.run_once() for delivery in self._deliveries):
            pass

    # --- the bank as it is ----------------------------------------------------------------------

    def _take_in(self, work: Work, number: int) -> None:
        product, operator, token = PRODUCTS[number]
        der = self._certified(number, token)
        certificate = x509.load_der_x509_certificate(der)
        work.customers.put(_customer(work, number))
        work.enrolments.put(
            Enrolment(
                customer=number,
                product=product,
                customer_class=3,
                operator=operator,
                branch="001",
                account_sealed=work.vault.seal(f"0000{number}", "enrolments.account"),
                version=1,
            )
        )
        key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        work.certificates.put(
            Certificate(
                id=number,
                customer=number,
                product=product,
                slot=f"{product}:{token or number}",
                token_serial=token,
                issuer_hash=hashlib.sha256(certificate.issuer.public_bytes()).digest(),
                serial=f"{certificate.serial_number:x}",
                spki_sha256=hashlib.sha256(key).digest(),
                certificate_sha256=hashlib.sha256(der).digest(),
                not_before=BEGIN,
                not_after=END,
                state="active",
                renewal=None,
                der_sealed=work.vault.seal(der, "certificates.der"),
                announced_at=None,
                left_at=None,
                told=None,
                remind_at=NOW,
                changes=0,
                version=1,
            )
        )

    def _certified(self, number: int, token: str | None) -> bytes:
        ca = self.house.outside.ca
        assert isinstance(ca, EmbeddedCa)
        made: list[bytes] = []

        def certify(key: bytes) -> bytes:
            name = f"A12345678{number}-00-{number:06d}"
            made.append(ca.seed(key, name, "signing", BEGIN, END))
            return made[-1]

        if token is None:
            return certify(
                ec.generate_private_key(ec.SECP256R1())
                .public_key()
                .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            )
        self._cards[number] = personalise(
            self.home / f"{token}.json",
            serial=token,
            pin=PIN,
            puk="12345678",
            management_key=self.house.keys.tokens.value,
            manners=manners.P if number % 2 else manners.C,
            certify=certify,
        )
        return made[-1]

    # --- what its customers do ------------------------------------------------------------------

    def _renew_in_the_browser(self, certificate: int) -> None:
        centre, key = self.house.centre, ec.generate_private_key(ec.SECP256R1())
        renewal = _requested(centre.request(certificate))
        sent = centre.send_code(certificate, action="renew", session="s")
        self._drain()
        request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        centre.confirm(
            renewal.id,
            challenge=getattr(sent, "challenge", ""),
            code=self._code(),
            session="s",
            csr=request.sign(key, hashes.SHA256()).public_bytes(Encoding.DER),
            terms=b"the terms",
        )
        self._drain()
        centre.collect(renewal.id)
        with self.house.store.look() as look:
            challenge = look.renewals.get(renewal.id).challenge
        centre.prove(renewal.id, key.sign(challenge, ec.ECDSA(hashes.SHA256())))
        self._drain()

    def _code(self) -> str:
        last = (self.home / "outside" / "sms.jsonl").read_text().splitlines()[-1]
        found = re.search(r"(?<!\d)\d{4}(?!\d)", json.loads(last)["body"])
        assert found
        return found[0]

    def _renew_at_the_branch(self, *numbers: int) -> None:
        readers = [SimulatedReader(f"reader of {number}") for number in numbers]
        incoming = self.house.log.reader("station.001", ["stations.001"])
        self._readers.append(incoming)
        station = Station(
            branch="001",
            log=self.house.log,
            incoming=incoming,
            journal=Journal(self.home / "station.jsonl"),
            readers=readers,
            person=Teller(),
            key=branch_key(self.house.keys.stations, "001"),
            management_key=self.house.keys.tokens,
            clock=self.house.clock,
        )
        for number in numbers:
            _requested(self.house.centre.request(number, branch="001"))
        self._drain()
        station.take()
        for reader, number in zip(readers, numbers, strict=True):
            reader.insert(self._cards[number])
        for _ in range(4):
            station.work()
            self._drain()
            station.take()


def _requested(answer: object) -> Renewal:
    assert isinstance(answer, Renewal)
    return answer


def _customer(work: Work, number: int) -> Customer:
    vault = work.vault
    texts = {
        "id_number": f"A12345678{number}",
        "mobile": f"+88691234567{number}",
        "mail": f"a{number}@example.com",
    }
    sealed = {f"{of}_sealed": vault.seal(text, f"customers.{of}") for of, text in texts.items()}
    hashed = {f"{of}_hash": vault.hash(text, f"customers.{of}") for of, text in texts.items()}
    return Customer(
        id=number,
        reference_hash=vault.hash(str(number), "customers.reference"),
        name_sealed=vault.seal("王小明", "customers.name"),
        mobile_bad=None,
        mail_bad=None,
        locale="zh-TW",
        opted_out=False,
        contact_version=1,
        version=1,
        **sealed,
        **hashed,
    )
