"""A small bank that does the main job from files alone: it can be killed and started again."""

from __future__ import annotations

import hashlib
import json
import mmap
import struct
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec

from renewal import cycle
from renewal.eventlog.embedded import EmbeddedLog
from renewal.gateways.bank.embedded import EmbeddedBank
from renewal.gateways.ca.embedded import EmbeddedCa
from renewal.gateways.ledger import OutsideLedger
from renewal.gateways.mail.mailbox import LocalMail
from renewal.gateways.sms.mailbox import LocalSms
from renewal.rules.quiet import TaiwanCalendar
from renewal.rules.taipei import day_of, end_of
from renewal.sealing import branch_key
from renewal.store import inbox
from renewal.store.rows import Certificate, Customer, Enrolment
from renewal.store.vault import Vault
from scheduler import jobs
from schema.policy import Slot, Storage, load_policies
from schema.tables import metadata
from templates.voice import Voice
from tests.crash.customers import CUSTOMERS, PIN, Person, Side, pem, serial_of, spki
from tests.crash.killer import Answering, Killer, WatchedStore
from token_station.journal import Journal
from token_station.manners import C, Manners, P
from token_station.simulated_card import SimulatedCard, personalise
from token_station.simulated_reader import SimulatedReader
from token_station.station import Station
from xuqi.house import House, Outside
from xuqi.settings import Settings, read_keys

if TYPE_CHECKING:
    from pathlib import Path

    from renewal.store.work import Work
    from schema.policy import Policy

BRANCH = "001"
START = datetime(2026, 3, 2, 2, tzinfo=UTC)  #: a Monday, 10:00 in Taipei
#: On these something passes, or nothing has for long; after the last nothing may be open any more.
DAYS = (0, 2, 4, 11, 15, 17, 18, 21, 24)
STARTING = timedelta(seconds=5)  #: is how long a process is away
HALF_AN_HOUR = timedelta(minutes=30)
PUK = "12345678"
#: Made once, before any process is forked: they open nothing.
POLICIES = cycle.Policies(load_policies())
VOICE = Voice()


def warm() -> None:
    """
    Do what is slow and leaves nothing open, before any process is forked.
    """
    environment = VOICE._environment
    for name in environment.list_templates(filter_func=lambda name: "zh-TW" in name):
        environment.get_template(name)
    TaiwanCalendar().is_business_day(START.date())


class FileClock:
    """
    A virtual clock that goes on where the killed process has left it.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(struct.pack("<q", 0))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 8)

    def now(self) -> datetime:
        ticks = self._ticks() + 1
        self._set(ticks)
        return START + timedelta(microseconds=ticks)

    def advance_to(self, moment: datetime) -> None:
        self._set(max(self._ticks(), (moment - START) // timedelta(microseconds=1)))

    def _ticks(self) -> int:
        [ticks] = struct.unpack("<q", self._memory[:8])
        return int(ticks)

    def _set(self, ticks: int) -> None:
        self._memory[:8] = struct.pack("<q", ticks)


class World:
    """
    The house, the outside, the branch and the customers, opened upon what lies in one folder.
    """

    def __init__(self, home: Path, killer: Killer, *, guesser: bool = False) -> None:
        self.home, self.killer = home, killer
        self.clock = FileClock(home / "clock")
        self.clock.advance_to(self.clock.now() + STARTING)
        settings = Settings(home=home)
        keys = read_keys(settings, {})
        vault = Vault({1: keys.columns})
        store = WatchedStore.opened(settings.store, clock=self.clock, vault=vault, killer=killer)
        self.cards = OutsideLedger(home / "outside" / "cards.jsonl", self.clock)
        self.saw = OutsideLedger(home / "outside" / "customers.jsonl", self.clock)
        self.ca = EmbeddedCa(
            home / "ca",
            self.clock,
            keys.ca,
            ledger=OutsideLedger(home / "outside" / "ca.jsonl", self.clock),
        )
        self.house = House(
            settings=settings,
            clock=self.clock,
            keys=keys,
            store=store,
            log=EmbeddedLog(store),
            policies=POLICIES,
            outside=self._outside(),
            voice=VOICE,
        )
        self.deliveries = [
            self.house.delivery(consumer, probe=killer.of(consumer.group))
            for consumer in self.house.consumers()
        ]
        self.readers = [SimulatedReader(name) for name in ("left", "middle", "right")]
        self.station = self._station()
        self.sides = [Side(self, person) for person in CUSTOMERS]
        if guesser:
            self.sides[-1].wants = "to guess"
        self._seen = -1

    branch = BRANCH

    def _outside(self) -> Outside:
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
        return Outside(**gateways)

    def _station(self) -> Station:
        house = self.house
        return Station(
            branch=BRANCH,
            log=house.log,
            incoming=house.log.reader(f"station.{BRANCH}", (f"stations.{BRANCH}",)),
            journal=Journal(self.home / "station.jsonl"),
            readers=self.readers,
            person=self,
            key=branch_key(house.keys.stations, BRANCH),
            management_key=house.keys.tokens,
            clock=self.clock,
            probe=self.killer.of("station"),
        )

    # --- what happens ---------------------------------------------------------------------------

    def live(self) -> None:
        """
        Go on from whatever is on record, to the last day.
        """
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
        """
        Let everybody act until there is nothing left to do, now or within some minutes.
        """
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
        store, watching = self.house.store, self.killer.watching
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
        seen, self._seen = self._seen, self.house.store.changes
        if seen == self._seen and self._next_due() is None:
            return False
        any_at_all = False
        while sum(delivery.run_once() for delivery in self.deliveries):
            any_at_all = True
        self._seen = self.house.store.changes
        return any_at_all

    def _next_due(self) -> datetime | None:
        with self.house.store.look() as look:
            groups = [delivery.consumer.group for delivery in self.deliveries]
            moments = [inbox.next_due(look, group) for group in groups]
        return min((moment for moment in moments if moment is not None), default=None)

    # --- at the branch --------------------------------------------------------------------------

    def card(self, person: Person) -> SimulatedCard:
        return SimulatedCard(self._card_file(person), manners_of(person), self.cards)

    def _card_file(self, person: Person) -> Path:
        return self.home / "cards" / f"{person.token}.json"

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


def manners_of(person: Person) -> Manners:
    return P if person.number % 2 else C


# --- the first day ------------------------------------------------------------------------------


def found(home: Path) -> None:
    """
    Make the bank as it is on its first morning.
    """
    settings = Settings(home=home)
    (home / "customers").mkdir(parents=True)
    clock = FileClock(home / "clock")
    keys = read_keys(settings, {})
    vault = Vault({1: keys.columns})
    store = WatchedStore.opened(settings.store, clock=clock, vault=vault, killer=Killer())
    metadata.create_all(store.engine)
    ca_ledger = OutsideLedger(home / "outside" / "ca.jsonl", clock)
    ca = EmbeddedCa(home / "ca", clock, keys.ca, ledger=ca_ledger)
    cards = OutsideLedger(home / "outside" / "cards.jsonl", clock)
    for person in CUSTOMERS:
        der, key = _first_certificate(home, person, ca, cards, keys.tokens.value)
        first = {"certificates": [der.hex()], "keys": [key]}
        (home / "customers" / f"{person.number}.json").write_text(json.dumps(first))
        with store.work() as work:
            _take_in(work, person, der)
    ca.close()
    store.close()


def _ends(person: Person) -> datetime:
    return end_of(day_of(START) + timedelta(days=person.days))


def _first_certificate(
    home: Path, person: Person, ca: EmbeddedCa, cards: OutsideLedger, management_key: bytes
) -> tuple[bytes, str]:
    end = _ends(person)
    begin = end - timedelta(days=364)
    certified: list[bytes] = []

    def certify(key: bytes) -> bytes:
        name = f"A12345678{person.number}-00-{person.number:06d}"
        certified.append(ca.seed(key, name, "signing", begin, end))
        return certified[0]

    if POLICIES.of(person.product).storage is Storage.BROWSER:
        key = ec.generate_private_key(ec.SECP256R1())
        return certify(spki(key)), pem(key)
    personalise(
        home / "cards" / f"{person.token}.json",
        serial=person.token,
        pin=PIN,
        puk=PUK,
        management_key=management_key,
        manners=manners_of(person),
        certify=certify,
        ledger=cards,
        at=begin.isoformat(timespec="microseconds"),
    )
    return certified[0], ""


def _take_in(work: Work, person: Person, der: bytes) -> None:
    seal, n = work.vault.seal, str(person.number).encode()
    work.customers.put(
        Customer(
            id=person.number,
            reference_hash=n,
            id_number_sealed=seal(f"A12345678{person.number}", "customers.id_number"),
            id_number_hash=n,
            name_sealed=seal("王小明", "customers.name"),
            mobile_sealed=seal(person.mobile, "customers.mobile") if person.mobile else None,
            mobile_hash=n,
            mail_sealed=seal(person.mail, "customers.mail") if person.mail else None,
            mail_hash=n,
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
            customer=person.number,
            product=person.product,
            customer_class=3,
            operator=person.role,
            branch=BRANCH,
            account_sealed=seal(f"0000{person.number}", "enrolments.account"),
            version=1,
        )
    )
    in_browser = POLICIES.of(person.product).slot is Slot.CUSTOMER
    row = work.certificates.put(
        Certificate(
            id=person.number,
            customer=person.number,
            product=person.product,
            slot=f"{person.product}:{person.number}",
            token_serial=None if in_browser else person.token,
            issuer_hash=b"the embedded CA",
            serial=serial_of(der),
            spki_sha256=n,
            certificate_sha256=hashlib.sha256(der).digest(),
            not_before=_ends(person) - timedelta(days=364),
            not_after=_ends(person),
            state="active",
            renewal=None,
            der_sealed=work.vault.seal(der, "certificates.der"),
            announced_at=None,
            left_at=None,
            told=None,
            remind_at=None,
            changes=0,
            version=1,
        )
    )
    cycle.schedule_reminder(work, row, POLICIES)
