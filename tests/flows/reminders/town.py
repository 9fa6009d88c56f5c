"""A town of customers with certificates, carriers that fail on demand, and a clock set at will."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from consumers.reminders import Reminders
from consumers.sending import Carriers
from producers.messages import reported
from renewal import cycle
from renewal.cycle import Policies
from renewal.delivery import Delivery
from renewal.errors import GatewayUnavailableError, GatewayUnsureError
from renewal.eventlog.embedded import EmbeddedLog
from renewal.gateways.mail.mailbox import LocalMail
from renewal.gateways.sms.mailbox import LocalSms
from renewal.rules.quiet import TaiwanCalendar
from renewal.rules.taipei import TAIPEI
from renewal.store.engine import Store
from renewal.store.rows import Certificate, Customer, Message, Renewal
from scheduler import jobs, reports
from schema.policy import load_policies
from schema.tables import metadata
from templates.voice import Voice
from tests.stores import VAULT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from renewal.gateways.mail.port import Mail
    from renewal.gateways.sms.mailbox import Outcome
    from renewal.gateways.sms.port import Report, Sms

POLICIES = Policies(load_policies())
BROWSER, TOKEN, CARD = "securities-browser", "corporate-token", "cooperative-card"
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def taipei(text: str) -> datetime:
    """
    A moment as it is written in Taipei: ``2026-03-02 09:00``.
    """
    return datetime.fromisoformat(text).replace(tzinfo=TAIPEI)


class FreeClock:
    """
    A clock that is set at will, also back.
    """

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._lock = threading.Lock()

    def now(self) -> datetime:
        with self._lock:
            self._now += timedelta(microseconds=1)
            return self._now

    def set(self, moment: datetime) -> None:
        with self._lock:
            self._now = moment


@dataclass
class Post:
    """
    A mail carrier that fails on demand; it keeps what it took in a mailbox.
    """

    box: LocalMail
    fault: Callable[[Mail], str | None] = lambda _mail: None

    def send(self, mail: Mail) -> str:
        fault = self.fault(mail)
        if fault == "unavailable":
            raise GatewayUnavailableError("the mail server is away")
        carrier_id = self.box.send(mail)
        if fault == "lost":
            raise GatewayUnsureError("the answer was lost")
        return carrier_id

    def find(self, mail: Mail, *, since: datetime) -> str | None:
        return self.box.find(mail, since=since)


@dataclass
class Town:
    home: Path
    clock: FreeClock
    store: Store
    sms_fault: Callable[[Sms], Outcome | None] = lambda _sms: None
    mail_fault: Callable[[Mail], str | None] = lambda _mail: None
    policies: Policies = field(default_factory=lambda: POLICIES)
    probe: Callable[[str], None] = lambda _point: None

    def __post_init__(self) -> None:
        self.sms = LocalSms(
            self.home / "sms.jsonl",
            self.clock,
            outcome=lambda sms: self.sms_fault(sms),  # noqa: PLW0108 - it changes
        )
        self.mail = Post(
            LocalMail(self.home / "mail.jsonl", self.clock),
            lambda mail: self.mail_fault(mail),  # noqa: PLW0108 - it changes
        )
        self.delivery = self._delivery()

    def _delivery(self) -> Delivery:
        consumer = Reminders(
            carriers=Carriers(self.sms, self.mail),
            voice=Voice(),
            policies=self.policies,
            calendar=TaiwanCalendar(),
            store=self.store,
        )
        reader = EmbeddedLog(self.store).reader(consumer.group, consumer.topics)
        return Delivery(consumer, reader, self.store, probe=self._probe)

    def _probe(self, point: str) -> None:
        self.probe(point)

    def restart(self) -> None:
        """
        Forget what only the process knew.
        """
        self.delivery.reader.close()
        self.delivery = self._delivery()

    def close(self) -> None:
        self.delivery.reader.close()
        self.sms.close()
        self.store.close()

    # --- who lives there ------------------------------------------------------------------------

    def add(
        self,
        number: int,
        ends: datetime,
        *,
        product: str = BROWSER,
        customer: int | None = None,
        told: int | None = None,
        look: datetime | None = None,
        **contact: Any,  # noqa: ANN401 - as _customer has them
    ) -> int:
        """
        A certificate, and its customer unless known. ``look``: when it is first looked at.
        """
        owner = customer or number
        with self.store.work() as work:
            if work.customers.find(owner) is None:
                work.customers.put(_customer(owner, **contact))
            work.certificates.put(
                _certificate(number, owner, product, ends, told=told, look=look or self.clock.now())
            )
        return number

    def change(self, number: int, **fields: object) -> None:
        with self.store.work() as work:
            work.certificates.change(work.certificates.get(number), **fields)

    def change_customer(self, number: int, **fields: object) -> None:
        with self.store.work() as work:
            work.customers.change(work.customers.get(number), **fields)

    def suspend(self, number: int) -> None:
        self.change(number, state="suspended", remind_at=None)

    def resume(self, number: int) -> None:
        with self.store.work() as work:
            row = work.certificates.change(work.certificates.get(number), state="active")
            cycle.schedule_reminder(work, row, self.policies)

    def got_a_notice(self, customer: int, at: datetime) -> None:
        """
        A receipt by text, say, from another consumer.
        """
        with self.store.work() as work:
            work.messages.put(
                Message(
                    id="N1",
                    kind="receipt",
                    customer=customer,
                    channel="sms",
                    state="delivered",
                    owed_at=at,
                    claimed_at=at,
                    handed_at=at,
                    ended_at=at,
                    carrier_id="1",
                    code="",
                    text_hash=b"",
                    instead_of=None,
                    renewal=None,
                    version=1,
                )
            )

    def request(self, number: int) -> str:
        with self.store.work() as work:
            asked = cycle.request(work, work.certificates.get(number), self.policies, branch=None)
            assert isinstance(asked, Renewal), asked
            return asked.id

    def abandon(self, renewal: str) -> None:
        with self.store.work() as work:
            row = work.renewals.get(renewal)
            for event in cycle.abandon(work, row, "declined by the customer", self.policies):
                work.emit(event)

    # --- time -----------------------------------------------------------------------------------

    def at(self, moment: datetime | str) -> None:
        """
        Set the clock, and let scheduler and consumer do what there is to do.
        """
        self.clock.set(taipei(moment) if isinstance(moment, str) else moment)
        self.turn()

    def turn(self) -> None:
        jobs.scan(self.store, self.policies)
        jobs.leave(self.store, self.policies)
        jobs.remind(self.store, self.policies)
        self.drain()

    def drain(self) -> None:
        while self.delivery.run_once():
            pass

    def until(self, moment: datetime | str, *, every: timedelta = HOUR) -> None:
        """
        Let time pass, hour by hour.
        """
        end = taipei(moment) if isinstance(moment, str) else moment
        while self.clock.now() + every < end:
            self.at(self.clock.now() + every)
        self.at(end)

    def hear_reports(self, *, ask_after: timedelta = timedelta(minutes=15)) -> None:
        reports.ask(self.store, self.sms, ask_after=ask_after)
        self.drain()

    def report(self, ref: str, report: Report, code: str = "") -> bool:
        with self.store.work() as work:
            return reported(work, ref, report, code)

    # --- what came of it ------------------------------------------------------------------------

    def ledger(self, name: str) -> list[dict[str, Any]]:
        path = self.home / f"{name}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]

    def sent(self) -> list[tuple[str, str]]:
        """
        (channel, when in Taipei), in the order of time.
        """
        rows = [(row["at"], name) for name in ("sms", "mail") for row in self.ledger(name)]
        return [(name, _local(at)) for at, name in sorted(rows)]

    def texts(self) -> list[str]:
        return [row["body"] for row in self.ledger("sms")]

    def letters(self) -> list[str]:
        return [row["body"] for row in self.ledger("mail")]

    def certificate(self, number: int) -> Certificate:
        with self.store.look() as look:
            return look.certificates.get(number)

    def customer(self, number: int) -> Customer:
        with self.store.look() as look:
            return look.customers.get(number)

    def rows(self, query: str, **named: object) -> list[tuple[Any, ...]]:
        with self.store.look() as look:
            return [tuple(row) for row in look.connection.execute(sa.text(query), named)]

    def decisions(self, number: int) -> list[tuple[str, str]]:
        found = self.rows(
            "SELECT what, why FROM decisions WHERE certificate = :c AND about = 'reminder'"
            " ORDER BY id",
            c=number,
        )
        return [(what, why) for what, why in found]

    def dead(self) -> list[str]:
        return [why for (why,) in self.rows("SELECT why FROM dead_letters")]


def _local(at: str) -> str:
    return f"{datetime.fromisoformat(at).astimezone(TAIPEI):%Y-%m-%d %H:%M}"


def make_tables(url: str) -> None:
    store = Store(url, clock=FreeClock(taipei("2026-01-01 00:00")), vault=VAULT)
    metadata.create_all(store.engine)
    store.close()


def open_town(home: Path, now: datetime | str) -> Town:
    """
    A town in a folder that holds a database with its tables.
    """
    clock = FreeClock(taipei(now) if isinstance(now, str) else now)
    store = Store(f"sqlite:///{home}/store.db", clock=clock, vault=VAULT)
    return Town(home, clock, store)


def _customer(
    number: int,
    *,
    mobile: bool = True,
    mail: bool = True,
    opted_out: bool = False,
    locale: str = "zh-TW",
) -> Customer:
    return Customer(
        id=number,
        reference_hash=b"r%d" % number,
        id_number_sealed=VAULT.seal("A123456789", "customers.id_number"),
        id_number_hash=b"i%d" % number,
        name_sealed=VAULT.seal("王小明", "customers.name"),
        mobile_sealed=VAULT.seal(f"+8869{number:08d}", "customers.mobile") if mobile else None,
        mobile_hash=b"m%d" % number if mobile else None,
        mail_sealed=VAULT.seal(f"c{number}@example.tw", "customers.mail") if mail else None,
        mail_hash=b"a%d" % number if mail else None,
        mobile_bad=None,
        mail_bad=None,
        locale=locale,
        opted_out=opted_out,
        contact_version=1,
        version=1,
    )


def _certificate(
    number: int,
    owner: int,
    product: str,
    ends: datetime,
    *,
    told: int | None,
    look: datetime,
) -> Certificate:
    return Certificate(
        id=number,
        customer=owner,
        product=product,
        slot=f"{product}:{number}",
        token_serial=None,
        issuer_hash=b"issuer",
        serial=f"{number:032x}",
        spki_sha256=b"%d" % number,
        certificate_sha256=b"%d" % number,
        not_before=ends - 365 * DAY,
        not_after=ends,
        state="active",
        renewal=None,
        der_sealed=b"",
        announced_at=None,
        left_at=None,
        told=told,
        remind_at=look,
        changes=0,
        version=1,
    )
