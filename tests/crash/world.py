"""A small bank that does the main job from files alone: it can be killed and started again."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from renewal.db.encryption import FieldCipher
from renewal.delivery import inbox
from renewal.eventlog.embedded import EmbeddedLog
from renewal.gateways.activity_log import ActivityLog
from renewal.gateways.bank.embedded.adapter import EmbeddedBank
from renewal.gateways.ca.embedded.adapter import EmbeddedCa
from renewal.gateways.mail.mailbox import LocalMail
from renewal.gateways.sms.mailbox import LocalSms
from renewal.lifecycle.certificates import schedule_reminder
from renewal.rules.contact_hours import TaiwanCalendar
from renewal.rules.policies import Policies
from scheduler import jobs
from schema.policy import Slot, Storage, load_policies
from schema.taipei import day_of, end_of
from simulation.shared_clock import SharedClock
from templates.bank_file import sample_bank
from tests.crash.customers import CUSTOMERS, PIN, Person, Side, pem, spki
from tests.crash.killer import Answering, Killer, WatchedStore
from tests.scenario import rows
from tests.scenario.rows import BRANCH, YEAR
from tests.scenario.stores import make_tables
from tests.scenario.tokens import TokenMaker, manners_of, station_of
from token_station.simulator.reader import SimulatedReader
from xuqi.bank import Bank
from xuqi.bootstrap import App, Gateways
from xuqi.key_files import read_keys
from xuqi.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from renewal.db.unit_of_work import UnitOfWork
    from schema.policy import Policy
    from token_station.simulator.card import SimulatedCard
    from token_station.station import Station

START = datetime(2026, 3, 2, 2, tzinfo=UTC)  #: a Monday, 10:00 in Taipei
#: On these something passes, or nothing has for long; after the last nothing may be open any more.
DAYS = (0, 2, 4, 11, 15, 17, 18, 21, 24)
STARTING = timedelta(seconds=5)  #: is how long a process is away
HALF_AN_HOUR = timedelta(minutes=30)
#: Made once, before any process is forked: they open nothing.
POLICIES = Policies(load_policies())
BANK = Bank(details=sample_bank())


def issuer_hash(der: bytes) -> bytes:
    issuer = x509.load_der_x509_certificate(der).issuer
    return hashlib.sha256(issuer.public_bytes()).digest()


def warm() -> None:
    """Do what is slow and leaves nothing open, before any process is forked."""
    environment = BANK.renderer()._environment
    for name in environment.list_templates(filter_func=lambda name: "zh-TW" in name):
        environment.get_template(name)
    TaiwanCalendar().is_business_day(START.date())


class World:
    """
    The bank, the outside, the branch and the customers, opened upon what lies in one folder.

    It is built of the scenario's rows, tokens and station, and is no Scenario: its store, gateways
    and clock are ones that a killed process leaves behind, and its customers act by themselves.
    """

    def __init__(self, home: Path, killer: Killer, *, guesser: bool = False) -> None:
        self.home, self.killer = home, killer
        self.clock = SharedClock(home / "clock")  # goes on where the killed process has left it
        self.clock.advance_to(self.clock.now() + STARTING)
        settings = Settings(home=home)
        keys = read_keys(settings, {})
        vault = FieldCipher({1: keys.columns})
        store = WatchedStore.opened(settings.store, clock=self.clock, vault=vault, killer=killer)
        self.tokens = TokenMaker(home=home, clock=self.clock, management_key=keys.tokens)
        self.saw = ActivityLog(home / "outside" / "customers.jsonl", self.clock)
        self.ca = EmbeddedCa(
            home / "ca",
            self.clock,
            keys.ca,
            ledger=ActivityLog(home / "outside" / "ca.jsonl", self.clock),
        )
        self.app = App(
            settings=settings,
            clock=self.clock,
            keys=keys,
            store=store,
            log=EmbeddedLog(store),
            policies=POLICIES,
            gateways=self._outside(),
            bank=BANK,
            renderer=BANK.renderer(),
            calendar=BANK.calendar(),
        )
        self.deliveries = [
            self.app.runner(consumer, probe=killer.of(consumer.group))
            for consumer in self.app.consumers()
        ]
        self.readers = [SimulatedReader(name) for name in ("left", "middle", "right")]
        self.station = self._station()
        self.sides = [Side(self, person) for person in CUSTOMERS]
        if guesser:
            self.sides[-1].wants = "to guess"
        self._seen = -1

    branch = BRANCH

    def _outside(self) -> Gateways:
        outside, killer = self.home / "outside", self.killer
        sms = LocalSms(outside / "sms.jsonl", self.clock)
        mail = LocalMail(outside / "mail.jsonl", self.clock)
        bank = EmbeddedBank(outside / "bank.jsonl", self.clock, opening=lambda _account: 100_000)
        gateways: dict[str, Any] = {
            "sms": Answering(sms, killer, "SMS", "send"),
            "mail": Answering(mail, killer, "mail", "send"),
            "bank": Answering(bank, killer, "bank", "book"),
            "ca": Answering(self.ca, killer, "CA", "issue", "revoke"),
        }
        return Gateways(**gateways)

    def _station(self) -> Station:
        return station_of(
            self.app,
            self.readers,
            operator=self,
            journal=self.home / "station.jsonl",
            probe=self.killer.of("station"),
        )

    # --- what happens ---------------------------------------------------------------------------

    def live(self) -> None:
        """Go on from whatever is on record, to the last day."""
        for day in DAYS:
            morning = START + timedelta(days=day)
            if self.clock.now() > morning + timedelta(hours=12):
                continue
            self._wait_for(morning)
            self._settle(customers=False)
            self._wait_for(morning + HALF_AN_HOUR)
            self._settle(customers=True)
            for side in self.sides:
                self.pull(side.person)
                side.use()
            self.clock.advance_to(morning + timedelta(hours=13))

    def _wait_for(self, moment: datetime) -> None:
        self.clock.advance_to(moment)
        self._jobs()

    def _settle(self, *, customers: bool) -> None:
        """Let everybody act until there is nothing left to do, now or within some minutes."""
        while True:
            acted = customers and self._customers()
            self._station_works()
            if self._drain() or acted:
                continue
            due = self._next_due()
            if due is None or due > self.clock.now() + HALF_AN_HOUR / 2:
                return
            self.clock.advance_to(due)

    def _customers(self) -> bool:
        return sum(side.go_on() for side in self.sides) > 0

    def _jobs(self) -> None:
        store, watching = self.app.store, self.killer.watching
        with watching("scan"):
            jobs.scan(store, POLICIES)
        with watching("remind"):
            jobs.remind(store, POLICIES)
        with watching("leave"):
            jobs.leave(store, POLICIES)
        with watching("tend"):
            jobs.tend(store, POLICIES)

    def _station_works(self) -> None:
        with self.killer.watching("station's log"):
            self.station.take()
            self.station.work()
        for side in self.sides:
            job = self.station.journal.job(side.knows.get("renewal", ""))
            if side.wants == "to decline" and job is not None and job.csr is not None:
                self.pull(side.person)

    def _drain(self) -> bool:
        seen, self._seen = self._seen, self.app.store.changes
        if seen == self._seen and self._next_due() is None:
            return False
        any_at_all = False
        while sum(delivery.run_once() for delivery in self.deliveries):
            any_at_all = True
        self._seen = self.app.store.changes
        return any_at_all

    def _next_due(self) -> datetime | None:
        with self.app.store.snapshot() as look:
            groups = [delivery.consumer.group for delivery in self.deliveries]
            moments = [inbox.next_due(look, group) for group in groups]
        return min((moment for moment in moments if moment is not None), default=None)

    # --- at the branch --------------------------------------------------------------------------

    def card(self, person: Person) -> SimulatedCard:
        return self.tokens.find(person.token, manners_of(person.number))

    def insert(self, person: Person) -> None:
        free = next(reader for reader in self.readers if reader.card is None)
        free.insert(self.card(person))

    def is_in_reader(self, person: Person) -> bool:
        return any(reader.card and reader.card.serial == person.token for reader in self.readers)

    def pull(self, person: Person) -> None:
        for reader in self.readers:
            if reader.card is not None and reader.card.serial == person.token:
                reader.pull()

    def pin(self, job: Any, _tries_left: int | None) -> str | None:  # noqa: ANN401 - an Entry
        for side in self.sides:
            if side.person.token == job.token_serial:
                side.note("gave_pin")
        return PIN

    def releases_last_try(self, _job: object) -> bool:
        return False

    # --- what anybody sees ----------------------------------------------------------------------

    def policy(self, person: Person) -> Policy:
        return POLICIES.of(person.product)

    def outside(self, name: str) -> list[dict[str, Any]]:
        return lines(self.home / "outside" / f"{name}.jsonl")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


# --- the first day ------------------------------------------------------------------------------


def found(home: Path) -> None:
    """Make the bank as it is on its first morning."""
    settings = Settings(home=home)
    (home / "customers").mkdir(parents=True)
    clock = SharedClock(home / "clock")
    clock.advance_to(START)
    keys = read_keys(settings, {})
    vault = FieldCipher({1: keys.columns})
    make_tables(settings.store)
    store = WatchedStore.opened(settings.store, clock=clock, vault=vault, killer=Killer())
    ca_ledger = ActivityLog(home / "outside" / "ca.jsonl", clock)
    ca = EmbeddedCa(home / "ca", clock, keys.ca, ledger=ca_ledger)
    tokens = TokenMaker(home=home, clock=clock, management_key=keys.tokens)
    for person in CUSTOMERS:
        der, key = _first_certificate(person, ca, tokens)
        first = {"certificates": [der.hex()], "keys": [key]}
        (home / "customers" / f"{person.number}.json").write_text(json.dumps(first))
        with store.transaction() as work:
            _take_in(work, person, der)
    ca.close()
    store.close()


def _ends(person: Person) -> datetime:
    return end_of(day_of(START) + timedelta(days=person.days))


def _first_certificate(person: Person, ca: EmbeddedCa, tokens: TokenMaker) -> tuple[bytes, str]:
    end = _ends(person)
    certified: list[bytes] = []

    def certify(key: bytes) -> bytes:
        name = f"A12345678{person.number}-00-{person.number:06d}"
        certified.append(ca.seed(key, name, "signing", end - YEAR, end))
        return certified[0]

    if POLICIES.of(person.product).storage is Storage.BROWSER:
        key = ec.generate_private_key(ec.SECP256R1())
        return certify(spki(key)), pem(key)
    tokens.make(person.token, certify, manners=manners_of(person.number), pin=PIN, at=end - YEAR)
    return certified[0], ""


def _take_in(work: UnitOfWork, person: Person, der: bytes) -> None:
    number, product, cipher = person.number, person.product, work.cipher
    reach = {"mobile": person.mobile, "mail": person.mail}
    work.customers.put(rows.customer(cipher, number, name="王小明", **reach))
    work.enrolments.put(rows.enrolment(cipher, number, product, operator=person.role))
    in_browser = POLICIES.of(product).slot is Slot.CUSTOMER
    row = work.certificates.put(
        rows.issued_certificate(
            cipher,
            number,
            product,
            der,
            slot=f"{product}:{number}",
            token_serial=None if in_browser else person.token,
        )
    )
    schedule_reminder(work, row, POLICIES)
