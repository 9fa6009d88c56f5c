"""A small house with one certificate of each product, and a world outside that fails on demand."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import TYPE_CHECKING, Any, ClassVar

import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from centre.actions import Sent
from renewal.clock import TAIPEI, VirtualClock
from renewal.errors import GatewayRefusedError, GatewayUnavailableError, GatewayUnsureError
from renewal.gateways.bank.embedded import EmbeddedBank
from renewal.gateways.ca.embedded import EmbeddedCa
from renewal.gateways.ca.port import Can, Issued, Reason, Request, Status
from renewal.gateways.ledger import OutsideLedger
from renewal.gateways.mail.mailbox import LocalMail
from renewal.gateways.sms.mailbox import LocalSms
from renewal.sealing import branch_key
from renewal.store.rows import Certificate, Customer, Enrolment, Payment, Renewal
from token_station.journal import Journal
from token_station.manners import C, P
from token_station.simulated_card import SimulatedCard, personalise
from token_station.simulated_reader import SimulatedReader
from token_station.station import Seen, Station
from xuqi.demo.client import BrowserKey
from xuqi.house import Outside, build
from xuqi.settings import Settings, read_keys

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from centre.actions import Centre
    from renewal.gateways.bank.port import Booking
    from renewal.gateways.sms.mailbox import Outcome
    from renewal.gateways.sms.port import Sms
    from token_station.journal import Entry
    from xuqi.house import House

BROWSER, TOKEN, CARD = 1, 2, 3  #: the certificates, and their customers
PRODUCTS = {BROWSER: "securities-browser", TOKEN: "corporate-token", CARD: "cooperative-card"}
TOKEN_SERIALS = {TOKEN: "029dc2d0", CARD: "029dc2d1"}
MANNERS = {TOKEN: P, CARD: C}
OPERATORS = {BROWSER: (2, "only user"), TOKEN: (3, "administrator"), CARD: (3, "administrator")}

START = datetime(2026, 3, 2, 2, tzinfo=UTC)  #: a Monday, 10:00 in Taipei
END = datetime(2026, 3, 20, 23, 59, 59, tzinfo=TAIPEI).astimezone(UTC)  #: of every certificate
PIN, PUK = "135790", "24681357"
BRANCH = "001"
SESSION = "the customer's session"
TERMS = "憑證更新約定條款 2026-01".encode()
OPENING_BALANCE = 100_000


def name_of(customer: int) -> str:
    return f"王小明{customer}號"


def mobile_of(customer: int) -> str:
    return f"+88691234567{customer}"


def mail_of(customer: int) -> str:
    return f"wang.siaoming{customer}@example.com.tw"


def id_number_of(customer: int) -> str:
    return f"A12345678{customer}"


def account_of(customer: int) -> str:
    return f"00812345670{customer}"


@dataclass
class Weather:
    """
    What goes wrong outside. Each field is asked at each call; ``None``: nothing.
    """

    #: unavailable (not done) | lost (done, and nobody heard of it) | refused
    bank: Callable[[Booking], Any] = lambda _booking: None
    #: as for the bank; by the operation: issue | revoke | suspend | resume
    ca: Callable[[str, str], str | None] = lambda _op, _request_id: None
    sms: Callable[[Sms], Outcome | None] = lambda _sms: None
    #: what the CA answers instead of the certificate that it has issued
    forged: Callable[[Request, bytes], bytes] = lambda _request, der: der


@dataclass
class CaInWeather:
    """
    The embedded CA behind a line that is down, loses answers or changes them.
    """

    can: ClassVar[Can] = EmbeddedCa.can

    ca: EmbeddedCa
    weather: Weather

    def issue(self, request: Request) -> Issued:
        fault = self._before("issue", request.request_id)
        issued = self.ca.issue(request)
        self._after(fault)
        return Issued(certificate=self.weather.forged(request, issued.certificate))

    def recover(self, request_id: str) -> Issued | None:
        return self.ca.recover(request_id)

    def revoke(self, serial: int, reason: Reason, *, request_id: str) -> None:
        fault = self._before("revoke", request_id)
        self.ca.revoke(serial, reason, request_id=request_id)
        self._after(fault)

    def suspend(self, serial: int, *, request_id: str) -> None:
        fault = self._before("suspend", request_id)
        self.ca.suspend(serial, request_id=request_id)
        self._after(fault)

    def resume(self, serial: int, *, request_id: str) -> None:
        fault = self._before("resume", request_id)
        self.ca.resume(serial, request_id=request_id)
        self._after(fault)

    def status(self, serial: int) -> Status:
        return self.ca.status(serial)

    def _before(self, op: str, request_id: str) -> str | None:
        fault = self.weather.ca(op, request_id)
        if fault == "unavailable":
            raise GatewayUnavailableError("the CA cannot be reached")
        if fault == "refused":
            raise GatewayRefusedError("the CA does not want to", code="badRequest")
        return fault

    def _after(self, fault: str | None) -> None:
        if fault == "lost":
            raise GatewayUnsureError("the CA's answer was lost")


@dataclass
class Patient:
    """
    A person at the station who knows the PIN and never releases the last try.
    """

    knows: str = PIN

    def pin(self, job: Entry, tries_left: int | None) -> str | None:
        del job, tries_left
        return self.knows

    def releases_last_try(self, job: Entry) -> bool:
        del job
        return False


@dataclass
class World:
    """
    The house with customers 1 (browser), 2 (token, prepaid) and 3 (card, hold), each with one
    certificate of the same number that ends on 20 March; it is 2 March.
    """

    home: Path
    house: House
    clock: VirtualClock
    weather: Weather
    ca: EmbeddedCa
    bank: EmbeddedBank
    old_keys: dict[int, BrowserKey] = field(default_factory=dict)
    cards: dict[int, SimulatedCard] = field(default_factory=dict)

    # --- the customers' doing -------------------------------------------------------------------

    @property
    def centre(self) -> Centre:
        return self.house.centre

    def drain(self) -> None:
        """
        Deliver until nothing is due any more, at this hour.
        """
        self.drain_to(*(consumer.group for consumer in self.house.consumers()))

    def drain_to(self, *groups: str) -> None:
        """
        The same for these consumers alone.
        """
        chosen = [consumer for consumer in self.house.consumers() if consumer.group in groups]
        deliveries = [self.house.delivery(consumer) for consumer in chosen]
        try:
            while sum(delivery.run_once() for delivery in deliveries):
                pass
        finally:
            for delivery in deliveries:
                delivery.reader.close()

    def drain_over(
        self, span: timedelta = timedelta(days=1), step: timedelta | None = None
    ) -> None:
        """
        Deliver while the clock goes on, so that everything parked gets its turns.
        """
        until = self.clock.now() + span
        step = step or span / 24
        while self.clock.now() < until:
            self.drain()
            self.clock.advance_to(self.clock.now() + step)
        self.drain()

    def wait(self, **span: float) -> None:
        self.clock.advance_to(self.clock.now() + timedelta(**span))

    def code(
        self, *, certificate: int = BROWSER, action: str = "renew", session: str = SESSION
    ) -> tuple[Sent, str]:
        """
        Ask for a code, and read it on the phone.
        """
        sent = self.centre.send_code(certificate, action=action, session=session)
        assert isinstance(sent, Sent), sent
        self.drain()
        return sent, self.texted()[-1]

    def texted(self) -> list[str]:
        """
        The codes on the phones, the newest last.
        """
        rules = self.house.policies.of(PRODUCTS[BROWSER]).confirm.code
        code = re.compile(rf"(?<!\d)\d{{{rules.digits if rules else 0}}}(?!\d)")
        sent = (line for line in self.outside("sms") if line["ref"].startswith("K"))
        bodies = [line["body"] for line in sent]
        return [found[0] for body in bodies if (found := code.findall(body))]

    def confirmed(self, key: BrowserKey | None = None) -> tuple[Renewal, BrowserKey]:
        """
        The browser's renewal, requested and confirmed by code; nothing of it is delivered yet.
        """
        key = key or BrowserKey.new()
        renewal = self.requested(BROWSER)
        sent, code = self.code()
        answer = self.centre.confirm(
            renewal.id,
            challenge=sent.challenge,
            code=code,
            session=SESSION,
            csr=key.request(),
            terms=TERMS,
        )
        assert answer.said == "right", answer
        return self.renewal(renewal.id), key

    def issued(self) -> tuple[Renewal, BrowserKey]:
        """
        The browser's renewal, issued and not yet collected.
        """
        renewal, key = self.confirmed()
        self.drain()
        renewal = self.renewal(renewal.id)
        assert renewal.state == "issued", renewal.state
        return renewal, key

    def requested(self, certificate: int) -> Renewal:
        branch = None if certificate == BROWSER else BRANCH
        renewal = self.centre.request(certificate, branch=branch)
        assert isinstance(renewal, Renewal), renewal
        return renewal

    def paid(self) -> Payment:
        payment = self.centre.pay(TOKEN)
        assert isinstance(payment, Payment), payment
        self.drain()
        with self.house.store.look() as look:
            return look.payments.get(payment.id)

    # --- the branch -----------------------------------------------------------------------------

    def station(self, *certificates: int, pin: str = PIN, branch: str = BRANCH) -> Station:
        """
        A station with the tokens of these certificates in its readers.
        """
        readers = [SimulatedReader(f"Reader {number}") for number in certificates]
        for reader, number in zip(readers, certificates, strict=True):
            reader.insert(self.cards[number])
        return Station(
            branch=branch,
            log=self.house.log,
            incoming=self.house.log.reader(f"station.{branch}", [f"stations.{branch}"]),
            journal=Journal(self.home / "station" / f"{branch}.jsonl"),
            readers=readers,
            person=Patient(pin),
            key=branch_key(self.house.keys.stations, branch),
            management_key=self.house.keys.tokens,
            clock=self.clock,
        )

    def at_the_branch(self, station: Station, rounds: int = 4) -> list[list[Seen]]:
        """
        Let station and house talk until the tokens are written.
        """
        seen = []
        for _ in range(rounds):
            self.drain()
            station.take()
            seen.append(station.work())
        self.drain()
        return seen

    # --- what is on record ----------------------------------------------------------------------

    def renewal(self, key: str) -> Renewal:
        with self.house.store.look() as look:
            return look.renewals.get(key)

    def certificate(self, number: int) -> Certificate:
        with self.house.store.look() as look:
            return look.certificates.get(number)

    def der(self, number: int) -> bytes:
        with self.house.store.look() as look:
            return look.vault.open(look.certificates.get(number).der_sealed, "certificates.der")

    def status_at_ca(self, number: int) -> Status:
        return self.ca.status(int(self.certificate(number).serial, 16))

    def rows(self, query: str, **named: object) -> list[tuple[Any, ...]]:
        """
        Look into the database behind everybody's back.
        """
        with self.house.store.look() as look:
            return [tuple(row) for row in look.connection.execute(sa.text(query), named)]

    def decisions(self, certificate: int, about: str) -> list[tuple[str, str]]:
        found = self.rows(
            "SELECT what, why FROM decisions WHERE certificate = :c AND about = :a ORDER BY id",
            c=certificate,
            a=about,
        )
        return [(what, why) for what, why in found]

    def dead(self) -> list[tuple[str, str]]:
        found = self.rows("SELECT consumer, why FROM dead_letters WHERE state = 'open' ORDER BY id")
        return [(consumer, why) for consumer, why in found]

    def outside(self, ledger: str) -> list[dict[str, Any]]:
        """
        What the world outside has written down: sms, mail, bank, ca or cards.
        """
        path = self.home / "outside" / f"{ledger}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def booked(self) -> list[tuple[str, str]]:
        """
        What the bank has really done: (operation, id), each once.
        """
        done = [line for line in self.outside("bank") if line["answer"] in {"ok", "lost"}]
        return [(line["op"], line["id"]) for line in done]

    def at_the_bank(self, certificate: int) -> tuple[int, int]:
        """
        The customer's balance and what of it is available, in whole dollars.
        """
        account = account_of(certificate)
        return self.bank.balance(account), self.bank.available(account)

    def close(self) -> None:
        self.ca.close()
        self.house.store.close()
        self.bank.close()


def open_world(
    home: Path,
    *,
    weather: Weather | None = None,
    policies: Path | None = None,
    like: World | None = None,
    log_url: str = "embedded:",
    store_url: str = "",
) -> World:
    """
    Open a house in the folder with its three customers; ``like``: as that one, closed, was left.
    """
    if like is not None:
        shutil.copytree(like.home, home)
    clock = VirtualClock(START)
    settings = Settings(home=home, policies=policies, log_url=log_url, store_url=store_url)
    keys, weather = read_keys(settings), weather or Weather()
    outside = home / "outside"
    ca = EmbeddedCa(home / "ca", clock, keys.ca, ledger=OutsideLedger(outside / "ca.jsonl", clock))
    bank = EmbeddedBank(
        outside / "bank.jsonl",
        clock,
        opening=lambda account: 0 if account.startswith("empty") else OPENING_BALANCE,
        fault=lambda booking: weather.bank(booking),  # noqa: PLW0108 - the weather changes
    )
    house = build(
        settings,
        clock=clock,
        outside=Outside(
            sms=LocalSms(
                outside / "sms.jsonl",
                clock,
                outcome=lambda sms: weather.sms(sms),  # noqa: PLW0108 - the weather changes
            ),
            mail=LocalMail(outside / "mail.jsonl", clock),
            ca=CaInWeather(ca, weather),
            bank=bank,
        ),
    )
    world = World(home=home, house=house, clock=clock, weather=weather, ca=ca, bank=bank)
    if like is None:
        _settle(world)
    else:
        world.old_keys = dict(like.old_keys)
        world.cards = {number: _same_card(world, number) for number in TOKEN_SERIALS}
    return world


def policies_with(folder: Path, old: str, new: str) -> Path:
    """
    The sample policies with one thing said otherwise, in a folder of their own.
    """
    folder.mkdir()
    for file in files("schema").joinpath("policies").iterdir():
        if file.name.endswith(".toml"):
            (folder / file.name).write_text(file.read_text().replace(old, new))
    return folder


def _same_card(world: World, number: int) -> SimulatedCard:
    ledger = OutsideLedger(world.home / "outside" / "cards.jsonl", world.clock)
    return SimulatedCard(_card_path(world, number), MANNERS[number], ledger)


def _card_path(world: World, number: int) -> Path:
    return world.home / "cards" / f"{TOKEN_SERIALS[number]}.json"


def _settle(world: World) -> None:
    key = BrowserKey.new()
    world.old_keys[BROWSER] = key
    ders = {BROWSER: _seeded(world, BROWSER, key.spki)}
    for number, manners in MANNERS.items():

        def certify(spki: bytes, number: int = number) -> bytes:
            ders[number] = _seeded(world, number, spki)
            return ders[number]

        world.cards[number] = personalise(
            _card_path(world, number),
            serial=TOKEN_SERIALS[number],
            pin=PIN,
            puk=PUK,
            management_key=world.house.keys.tokens.value,
            manners=manners,
            certify=certify,
            ledger=OutsideLedger(world.home / "outside" / "cards.jsonl", world.clock),
        )
    with world.house.store.work() as work:
        for number, der in sorted(ders.items()):
            work.customers.put(customer(world, number))
            work.enrolments.put(enrolment(world, number))
            work.certificates.put(certificate(world, number, der))


def _seeded(world: World, number: int, spki: bytes) -> bytes:
    name = f"{id_number_of(number)}-00-{number:06d}"
    return world.ca.seed(spki, name, "signing", END - timedelta(days=364), END)


def customer(world: World, number: int) -> Customer:
    vault = world.house.store.vault
    return Customer(
        id=number,
        reference_hash=vault.hash(f"customer {number}", "customers.reference"),
        id_number_sealed=vault.seal(id_number_of(number), "customers.id_number"),
        id_number_hash=vault.hash(id_number_of(number), "customers.id_number"),
        name_sealed=vault.seal(name_of(number), "customers.name"),
        mobile_sealed=vault.seal(mobile_of(number), "customers.mobile"),
        mobile_hash=vault.hash(mobile_of(number), "customers.mobile"),
        mail_sealed=vault.seal(mail_of(number), "customers.mail"),
        mail_hash=vault.hash(mail_of(number), "customers.mail"),
        mobile_bad=None,
        mail_bad=None,
        locale="zh-TW",
        opted_out=False,
        contact_version=1,
        version=1,
    )


def enrolment(world: World, number: int) -> Enrolment:
    customer_class, operator = OPERATORS[number]
    return Enrolment(
        customer=number,
        product=PRODUCTS[number],
        customer_class=customer_class,
        operator=operator,
        branch=BRANCH,
        account_sealed=world.house.store.vault.seal(account_of(number), "enrolments.account"),
        version=1,
    )


def certificate(world: World, number: int, der: bytes) -> Certificate:
    read = x509.load_der_x509_certificate(der)
    serial = TOKEN_SERIALS.get(number)
    return Certificate(
        id=number,
        customer=number,
        product=PRODUCTS[number],
        slot=f"{PRODUCTS[number]}:{serial or number}",
        token_serial=serial,
        issuer_hash=hashlib.sha256(read.issuer.public_bytes()).digest(),
        serial=f"{read.serial_number:x}",
        spki_sha256=hashlib.sha256(_spki(read)).digest(),
        certificate_sha256=hashlib.sha256(der).digest(),
        not_before=read.not_valid_before_utc,
        not_after=read.not_valid_after_utc,
        state="active",
        renewal=None,
        der_sealed=world.house.store.vault.seal(der, "certificates.der"),
        announced_at=None,
        left_at=None,
        told=None,
        remind_at=world.clock.now(),
        changes=0,
        version=1,
    )


def _spki(read: x509.Certificate) -> bytes:
    return read.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
