"""Makes a small bank on disk for tests of the command: three products, a customer each."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from renewal.clock import TAIPEI, VirtualClock
from renewal.rules.taipei import day_of, end_of
from renewal.store.rows import Certificate, Customer, Enrolment
from token_station import manners
from token_station.simulated_card import personalise
from xuqi.command import xuqi
from xuqi.desk import Desk
from xuqi.house import build
from xuqi.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from renewal.delivery import Delivery
    from renewal.store.work import Work
    from token_station.simulated_card import SimulatedCard
    from xuqi.house import House

MONDAY = datetime(2026, 3, 2, 10, tzinfo=TAIPEI).astimezone(UTC)
DAYS_LEFT = 18
YEAR = timedelta(days=364)
PIN, PUK = "123456", "12345678"
TOKEN = "029dc2d0"  # noqa: S105 - a serial
BROWSER, CORPORATE, CARD = 1, 2, 3  #: certificates, and their customers
ANOTHER_CARD = 4
PRODUCTS = {
    BROWSER: "securities-browser",
    CORPORATE: "corporate-token",
    CARD: "cooperative-card",
    ANOTHER_CARD: "cooperative-card",
}


@dataclass
class Bank:
    """
    One installation and the command on it; its consumers run when they are told to.
    """

    home: Path
    clock: VirtualClock
    house: House
    end: datetime  #: of every certificate
    environment: dict[str, str] = field(default_factory=dict)
    _deliveries: list[Delivery] = field(default_factory=list)

    def run(self, *args: str, typed: str = "", lang: str = "en") -> Result:
        """
        What somebody who types the command sees.
        """
        desk = Desk(home=self.home, clock=self.clock, environment=self.environment)
        return CliRunner().invoke(
            xuqi, ["--lang", lang, *args], obj=desk, input=typed, catch_exceptions=False
        )

    def json(self, *args: str) -> Any:  # noqa: ANN401 - whatever the command prints
        result = self.run(*args, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def rows(self, *args: str) -> list[Any]:
        result = self.run(*args, "--json")
        assert result.exit_code == 0, result.output
        return [json.loads(line) for line in result.stdout.splitlines()]

    def drain(self) -> None:
        """
        Let every consumer do what there is to do.
        """
        self._deliveries = self._deliveries or [
            self.house.delivery(consumer) for consumer in self.house.consumers()
        ]
        while sum(delivery.run_once() for delivery in self._deliveries):
            pass

    def rest(self) -> None:
        """
        Give the consumers' places up, for another process to take.
        """
        for delivery in self._deliveries:
            delivery.reader.close()
        self._deliveries = []

    def last_code(self) -> str:
        lines = (self.home / "outside" / "sms.jsonl").read_text().splitlines()
        found = re.search(r"(?<!\d)\d{4,8}(?!\d)", json.loads(lines[-1])["body"])
        assert found is not None
        return found[0]

    def card(self, number: int, *, make: manners.Manners = manners.P) -> SimulatedCard:
        """
        A token with the customer's certificate on it, which is put on file.
        """
        kept: list[bytes] = []

        def certify(spki: bytes) -> bytes:
            kept.append(self._seeded(spki, number))
            return kept[-1]

        serial = f"{TOKEN[:-1]}{number}"
        card = personalise(
            self.home / "cards" / f"{serial}.json",
            serial=serial,
            pin=PIN,
            puk=PUK,
            management_key=self.house.keys.tokens.value,
            manners=make,
            certify=certify,
        )
        with self.house.store.work() as work:
            _put(work, number, kept[0], self.end, token=serial)
        return card

    def browser(self, number: int = BROWSER) -> None:
        key = ec.generate_private_key(ec.SECP256R1()).public_key()
        spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        with self.house.store.work() as work:
            _put(work, number, self._seeded(spki, number), self.end, token=None)

    def _seeded(self, spki: bytes, number: int) -> bytes:
        name = f"A12345678{number}-00-000001"
        ca: Any = self.house.outside.ca
        der: bytes = ca.seed(spki, name, "signing", self.end - YEAR, self.end)
        return der


def _put(work: Work, number: int, der: bytes, end: datetime, *, token: str | None) -> None:
    seal, certificate = work.vault.seal, x509.load_der_x509_certificate(der)
    product = PRODUCTS[number]
    work.customers.put(
        Customer(
            id=number,
            reference_hash=b"reference %d" % number,
            id_number_sealed=seal(f"A12345678{number}", "customers.id_number"),
            id_number_hash=b"number %d" % number,
            name_sealed=seal("王小明", "customers.name"),
            mobile_sealed=seal(f"+88691234567{number}", "customers.mobile"),
            mobile_hash=b"mobile %d" % number,
            mail_sealed=seal(f"customer{number}@example.com", "customers.mail"),
            mail_hash=b"mail %d" % number,
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
            product=product,
            customer_class=3,
            operator="administrator",
            branch="001",
            account_sealed=seal(f"0000{number}", "enrolments.account"),
            version=1,
        )
    )
    work.certificates.put(
        Certificate(
            id=number,
            customer=number,
            product=product,
            slot=f"{product}:{token or number}",
            token_serial=token,
            issuer_hash=b"issuer",
            serial=f"{certificate.serial_number:x}",
            spki_sha256=b"",
            certificate_sha256=hashlib.sha256(der).digest(),
            not_before=end - YEAR,
            not_after=end,
            state="active",
            renewal=None,
            der_sealed=seal(der, "certificates.der"),
            announced_at=None,
            left_at=None,
            told=None,
            remind_at=work.at,
            changes=0,
            version=1,
        )
    )


@contextmanager
def opened(
    home: Path,
    at: datetime = MONDAY,
    **settings: Any,  # noqa: ANN401 - fields of Settings
) -> Iterator[Bank]:
    clock = VirtualClock(at)
    house = build(Settings(home=home, **settings), clock=clock)
    bank = Bank(home, clock, house, end=end_of(day_of(at + timedelta(days=DAYS_LEFT))))
    try:
        yield bank
    finally:
        bank.rest()
        house.store.close()


def request_for(key: ec.EllipticCurvePrivateKey) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, SHA256()).public_bytes(Encoding.DER)


def command_line(*args: str) -> list[str]:
    return [sys.executable, "-m", "xuqi", *args]


def surroundings(home: Path, **more: str) -> dict[str, str]:
    """
    The environment of a real process on that home.
    """
    usual = {name: it for name, it in os.environ.items() if not name.startswith("XUQI_")}
    return {**usual, "XUQI_HOME": str(home), "LANG": "en_US.UTF-8", **more}
