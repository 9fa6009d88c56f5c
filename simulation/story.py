"""Runs the bank and its customers through the days of a virtual clock."""

from __future__ import annotations

import heapq
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Protocol

from cryptography import x509

from centre.actions import CodeNotSent, CodeResult
from renewal.errors import NotNowError
from renewal.rules.proof import confirmation
from schema.events import Change
from schema.policy import ConfirmBy, FeeHow, Storage
from schema.reasons import RefusalReason, TokenReason
from schema.taipei import TAIPEI
from simulation.client import TERMS, BrowserKey, verifies
from simulation.outside import CaView, Tail
from simulation.people import Holding, Pace, SimulatedCustomer, Trait
from simulation.sample import card_manners
from simulation.times import DAY, HOUR, daytime
from token_station.errors import TokenError
from token_station.piv.session import open_token
from token_station.simulator.card import SimulatedCard
from token_station.simulator.reader import SimulatedReader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from renewal.gateways.activity_log import ActivityLog
    from simulation.bank import MovedClock, SimulatedBank
    from xuqi.bootstrap import App

#: When the scheduler looks: at the day's beginning, when the quiet hours end, and now and then.
LOOKS_AT = frozenset({7, 9, 11, 14, 17, 20})
COLLEAGUES = 1_000_000  #: the number of whoever shares a customer's certificate, above theirs
NO_REMINDERS = "reminders"  #: what whoever has opted out declines


class CounterService(Protocol):
    """A branch, as its customers know it."""

    def visit(self, person: SimulatedCustomer, holding: Holding) -> None: ...


@dataclass
class Simulation:
    """A heap of what will happen next; the components run after each of it."""

    bank: SimulatedBank
    people: list[SimulatedCustomer]
    cards: ActivityLog
    saw: ActivityLog
    outside: CaView
    _heap: list[tuple[datetime, int, Callable[[], object]]] = field(default_factory=list)
    _number: count[int] = field(default_factory=count)
    _by_address: dict[str, SimulatedCustomer] = field(default_factory=dict)
    _by_token: dict[str, tuple[SimulatedCustomer, Holding]] = field(default_factory=dict)
    branches: Mapping[str, CounterService] = field(init=False)  #: as ``open_branches`` opens them
    app: App = field(init=False)
    clock: MovedClock = field(init=False)
    _codes: dict[str, str] = field(default_factory=dict)  # the newest code on each phone

    def __post_init__(self) -> None:
        self.app, self.clock = self.bank.app, self.bank.clock
        outside = self.app.settings.home / "outside"
        self._sms, self._mail = Tail(outside / "sms.jsonl"), Tail(outside / "mail.jsonl")
        for person in self.people:
            for address in filter(None, (person.mobile, person.mail)):
                self._by_address[address] = person
            for holding in person.holdings:
                if holding.token:
                    self._by_token[holding.token] = (person, holding)

    # --- time -----------------------------------------------------------------------------------

    def at(self, moment: datetime, happening: Callable[[], object]) -> None:
        heapq.heappush(self._heap, (moment, next(self._number), happening))

    def soon(self, after: timedelta, happening: Callable[[], object]) -> None:
        self.at(self.clock.now() + after, happening)

    def run(self, until: datetime, progress: Callable[[datetime], None]) -> None:
        """Let everything happen in its order until then."""
        start = self.clock.now()
        for hours in range(int((until - start) / HOUR)):
            moment = start + hours * HOUR
            if moment.astimezone(TAIPEI).hour in LOOKS_AT:
                self.at(moment, self.bank.tick)
        for person in self.people:
            self._first_plans(person)
        while self._heap and self._heap[0][0] <= until:
            moment, _, happening = heapq.heappop(self._heap)
            self._pass_time(moment)
            happening()
            self.work()
            if happening == self.bank.tick:
                progress(moment)
        self._pass_time(until)
        self.bank.tick()
        self.work()

    def _pass_time(self, moment: datetime) -> None:
        """Let the time pass until then; the bank tries again meanwhile what has waited for it."""
        while (due := self.bank.next_due) is not None and due < moment:
            self.clock.advance_to(due)
            self.work()
        self.clock.advance_to(moment)

    def work(self) -> None:
        """Let the bank do what there is to do, and the customers read what they got."""
        self.bank.work()
        self._read_messages()

    # --- what customers see ---------------------------------------------------------------------

    def note(
        self,
        person: SimulatedCustomer,
        holding: Holding,
        did: str,
        result: str = "ok",
        *,
        serial: str = "",
        at: datetime | None = None,
    ) -> None:
        """Write down what somebody did. ``at``: when, if the bank may have acted on it since."""
        self.saw.append(
            at=(at or self.clock.now()).isoformat(timespec="microseconds"),
            customer=person.number,
            certificate=serial or holding.serial,
            did=did,
            result=result,
            mobile=person.mobile,
            mail=person.mail,
            product=holding.product,
        )

    def _read_messages(self) -> None:
        for line in (*self._sms.new(), *self._mail.new()):
            person = self._by_address.get(str(line["to"]))
            if person is None:
                continue
            ref, body = str(line["ref"]), str(line["body"])
            if ref.startswith("K"):
                found = re.search(r"(?<!\d)(\d{4,8})(?!\d)", body)
                self._codes[person.mobile] = found.group(1) if found else ""
            elif ref.startswith("M"):
                for holding in person.holdings:
                    self._reminded(person, holding)

    # --- plans ----------------------------------------------------------------------------------

    def _first_plans(self, person: SimulatedCustomer) -> None:
        chance, start = person.chance, self.clock.now()
        if person.has(Trait.OPTED_OUT):
            self.note(person, person.holdings[0], "declined", NO_REMINDERS)
        for holding in person.holdings:
            self.at(start + chance.random() * 7 * DAY, partial(self._use_weekly, person, holding))
        first = person.holdings[0]
        if person.has(Trait.SUSPENDED_AND_RESUMED):
            self.at(start + 20 * DAY + 10 * HOUR, lambda: self._resume(first))
        unreminded = person.has(Trait.OPTED_OUT) or not (person.mobile or person.mail)
        if unreminded and chance.random() < 0.5:  # noqa: PLR2004 - they look at the calendar themselves
            self.at(
                daytime(first.not_after - 12 * DAY, chance.random()),
                lambda: self.start(person, first),
            )

    def _resume(self, holding: Holding) -> None:
        self.app.back_office.ask_change(
            holding.certificate, Change.RESUME, who="teller 17", why="the customer came by"
        )

    def _reminded(self, person: SimulatedCustomer, holding: Holding) -> None:
        """Plan to renew, each after their own manner, some days after a reminder."""
        holding.reminded += 1
        if holding.planned or holding.renewed or holding.pace is Pace.NEVER:
            return
        now, chance = self.clock.now(), person.chance
        if abs(holding.not_after - now) > 33 * DAY:
            return
        if holding.pace is Pace.SLOW and holding.reminded < 3:  # noqa: PLR2004
            return
        moment = now + chance.uniform(0.1, 4) * DAY
        if holding.pace is Pace.LATE:
            moment = max(moment, holding.not_after + chance.uniform(0.2, 8) * DAY)
        holding.planned = True
        self.at(daytime(moment, chance.random()), lambda: self.start(person, holding))

    def start(self, person: SimulatedCustomer, holding: Holding) -> None:
        """Begin a renewal: in the browser at home, or at the branch with the token."""
        if holding.renewed:
            return
        holding.planned = True
        policy = self.app.policies.of(holding.product)
        if policy.fee.how is FeeHow.PREPAID and not self._paid(person, holding):
            return
        if policy.storage is Storage.BROWSER and policy.confirm.by is ConfirmBy.CODE:
            self._ask(person, holding)
        else:
            self.branches[person.branch].visit(person, holding)

    def ask(self, person: SimulatedCustomer, holding: Holding, branch: str | None) -> bool:
        moment = self.clock.now()
        renewal = self.app.centre.request(holding.certificate, branch=branch)
        if isinstance(renewal, RefusalReason):
            self.note(person, holding, "asked", renewal.value, at=moment)
            return False
        self.note(person, holding, "asked", at=moment)
        holding.renewal = renewal.id
        return True

    def _paid(self, person: SimulatedCustomer, holding: Holding) -> bool:
        moment = self.clock.now()
        payment = self.app.centre.pay(holding.certificate)
        if isinstance(payment, CodeNotSent):
            already = payment.why.code is RefusalReason.ALREADY_PAID
            if not already:
                self.note(person, holding, "paid", payment.why.stored(), at=moment)
            return already
        self.work()
        with self.app.store.snapshot() as look:
            state = look.payments.get(payment.id).state
        self.note(person, holding, "paid", "ok" if state == "paid" else state, at=moment)
        if state == "asked":  # the bank will answer later
            self.soon(30 * timedelta(minutes=1), lambda: self.start(person, holding))
        return state == "paid"

    # --- a key in the browser -------------------------------------------------------------------

    def _ask(self, person: SimulatedCustomer, holding: Holding) -> None:
        if not self.ask(person, holding, None):
            return
        if person.has(Trait.TWICE):
            self.ask(person, holding, None)  # told: it is under way
        if person.has(Trait.DECLINES) and holding.tries == 0:
            holding.tries += 1
            self.soon(timedelta(minutes=3), lambda: self.decline(person, holding))
            return
        self._ask_code(person, holding)

    def decline(self, person: SimulatedCustomer, holding: Holding) -> None:
        moment = self.clock.now()
        try:
            self.app.centre.decline(holding.renewal)
        except NotNowError as error:
            self.note(person, holding, "declined", str(error), at=moment)
            return
        self.note(person, holding, "declined", at=moment)
        self.at(daytime(self.clock.now() + 2 * DAY, 0.3), lambda: self.start(person, holding))

    def _ask_code(self, person: SimulatedCustomer, holding: Holding) -> None:
        moment = self.clock.now()
        sent = self.app.centre.send_code(
            holding.certificate, action="renew", session=f"session {person.number}"
        )
        if isinstance(sent, CodeNotSent):
            self.note(person, holding, "asked", sent.why.stored(), at=moment)
            self._later(person, holding)
            return
        after = 75 if person.has(Trait.LATE_ANSWER) and holding.tries == 0 else 20
        self.work()
        self.soon(timedelta(seconds=after), lambda: self._enter(person, holding, sent.challenge))

    def _later(self, person: SimulatedCustomer, holding: Holding) -> None:
        """Come back tomorrow, a few times at most."""
        holding.tries += 1
        if holding.tries < 6:  # noqa: PLR2004
            self.at(
                daytime(self.clock.now() + DAY, person.chance.random()),
                lambda: self._ask_code(person, holding),
            )

    def _enter(self, person: SimulatedCustomer, holding: Holding, challenge: str) -> None:
        code = self._codes.get(person.mobile, "")
        guesses = [code]
        if person.has(Trait.GUESSES) and holding.tries == 0:
            guesses = ["0000", "1111", "2222", code]
        key = BrowserKey.new()
        csr = key.request()
        with self.app.store.snapshot() as look:
            asked = confirmation(holding.renewal, look.renewals.get(holding.renewal).challenge, csr)
        approval = holding.key.approval(asked, holding.der) if holding.key else None
        for guess in guesses:
            moment = self.clock.now()
            try:
                answer = self.app.centre.confirm(
                    holding.renewal,
                    challenge=challenge,
                    code=guess,
                    session=f"session {person.number}",
                    csr=csr,
                    approval=approval,
                    terms=TERMS.encode(),
                )
            except NotNowError as error:
                self.note(person, holding, "coded", str(error), at=moment)
                return
            right = answer.result is CodeResult.RIGHT
            self.note(person, holding, "coded", "ok" if right else answer.result, at=moment)
            if right:
                self.note(person, holding, "agreed", at=moment)
                holding.key, old = key, holding.key
                self.work()
                self._wait(person, holding, key, old)
                return
        holding.tries += 1
        if holding.tries < 6:  # noqa: PLR2004
            self.soon(timedelta(minutes=2), lambda: self._ask_code(person, holding))

    def _wait(
        self, person: SimulatedCustomer, holding: Holding, key: BrowserKey, old: BrowserKey | None
    ) -> None:
        """
        The page asks now and then whether the certificate is there; until then the old key stays.
        """
        holding.key = old
        if person.has(Trait.FORGETS) and holding.tries < 1:
            holding.tries += 1  # the browser is closed; after the reminders they come back
            self.soon(9 * DAY, lambda: self._collect(person, holding, key, 0))
            return
        self.soon(timedelta(seconds=8), lambda: self._collect(person, holding, key, 0))

    def _collect(
        self, person: SimulatedCustomer, holding: Holding, key: BrowserKey, looks: int
    ) -> None:
        der = self.app.centre.collect(holding.renewal)
        if der is None:
            with self.app.store.snapshot() as look:
                ended = look.renewals.get(holding.renewal).state in {"refused", "abandoned"}
            if not ended and looks < 200:  # noqa: PLR2004
                self.soon(
                    timedelta(minutes=1), lambda: self._collect(person, holding, key, looks + 1)
                )
            return
        serial = f"{x509.load_der_x509_certificate(der).serial_number:x}"
        self.note(person, holding, "received", serial=serial)
        with self.app.store.snapshot() as look:
            challenge = look.renewals.get(holding.renewal).challenge
        moment = self.clock.now()
        self.app.centre.prove(holding.renewal, key.sign(challenge))
        self.renewed(holding, der, key)
        self.note(person, holding, "proved", at=moment)
        if person.number % 20 == 0:
            key.backup(der, f"pw{person.number}")  # one in twenty for real: its derivation is slow
        self.note(person, holding, "backed_up")
        self.work()
        self.soon(timedelta(minutes=1), lambda: self.use(person, holding))
        if person.has(Trait.TWICE):
            self.soon(timedelta(minutes=30), lambda: self.ask(person, holding, None))

    def renewed(self, holding: Holding, der: bytes, key: BrowserKey | None) -> None:
        with self.app.store.snapshot() as look:
            number = look.renewals.get(holding.renewal).new_certificate
        holding.older, holding.der = holding.der, der
        new = x509.load_der_x509_certificate(der)
        holding.serial = f"{new.serial_number:x}"
        holding.not_before, holding.not_after = new.not_valid_before_utc, new.not_valid_after_utc
        holding.key, holding.certificate = key, number or 0
        holding.renewed, holding.reminded = True, 0

    # --- signing --------------------------------------------------------------------------------

    def _use_weekly(self, person: SimulatedCustomer, holding: Holding) -> None:
        self.use(person, holding)
        self.soon(6.5 * DAY, lambda: self._use_weekly(person, holding))

    def use(self, person: SimulatedCustomer, holding: Holding) -> None:
        """Sign something, if there is a certificate in force; check it as its receiver would."""
        der = None if holding.locked else self._in_force(holding)
        if der is None:
            return
        serial = f"{x509.load_der_x509_certificate(der).serial_number:x}"
        order = f"order of {person.number} at {self.clock.now().isoformat()}".encode()
        try:
            signature = self._signed(holding, der, order)
        except TokenError as error:
            self.note(person, holding, "used", str(error), serial=serial)
            return
        why = self.outside.why_not(serial, self.clock.now())
        if not why and not verifies(der, order, signature):
            why = "the signature does not verify"
        self.note(person, holding, "used", why or "ok", serial=serial)
        if person.has(Trait.SHARED):  # a colleague at the same keyboard, reached by nobody
            self.saw.append(
                customer=COLLEAGUES + person.number,
                certificate=serial,
                did="used",
                result=why or "ok",
                mobile="",
                mail="",
                product=holding.product,
            )

    def _in_force(self, holding: Holding) -> bytes | None:
        """
        The newest certificate that is valid now; one stopped by a person's wish is not in force.
        """
        now = self.clock.now()
        first = f"{x509.load_der_x509_certificate(holding.der).serial_number:x}"
        if not holding.renewed and self.outside.why_not(first, now) in {"suspended", "revoked"}:
            return None
        for der in filter(None, (holding.der, holding.older if holding.token else b"")):
            certificate = x509.load_der_x509_certificate(der)
            if certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
                return der
        return None

    def _signed(self, holding: Holding, der: bytes, order: bytes) -> bytes:
        if holding.key is not None:
            return holding.key.sign(order)
        reader = SimulatedReader("the customer's own")
        reader.insert(SimulatedCard(self.card_of(holding), card_manners(holding), self.cards))
        try:
            session = open_token(reader, self.app.keys.tokens.value)
            for one in session.certificates():
                if one.der == der:
                    return session.sign(one.key_slot, order, pin=holding.pin)
        finally:
            reader.pull()
        raise TokenError(reason=TokenReason.NOT_ON_TOKEN.why())

    def card_of(self, holding: Holding) -> Path:
        if holding.card is None:
            raise TokenError(reason=TokenReason.NO_READER.why())
        return holding.card

    def holder_of(self, token: str) -> tuple[SimulatedCustomer, Holding]:
        return self._by_token[token]
