"""What happens at a branch: who comes, which token they bring, and what they type."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from cryptography import x509

from renewal.errors import NotNowError
from simulation.bank import Pulled
from simulation.people import Trait
from simulation.sample import PUK, card_manners
from simulation.times import DAY, daytime
from token_station.piv.session import open_token
from token_station.reader_views import ReaderStatus
from token_station.simulator.card import NewCard, SimulatedCard, personalise
from token_station.simulator.reader import SimulatedReader

if TYPE_CHECKING:
    from pathlib import Path

    from simulation.bank import Counter
    from simulation.people import Holding, SimulatedCustomer
    from simulation.story import Simulation

DECLINED_AFTER = 3  #: visits
#: Nothing that is tried again at this visit would help.
OVER = frozenset(
    {
        ReaderStatus.DONE,
        ReaderStatus.DECLINED,
        ReaderStatus.PIN_BLOCKED,
        ReaderStatus.LAST_TRY,
        ReaderStatus.OTHER_TOKEN,
    }
)
WITHOUT_PIN = frozenset(
    {
        ReaderStatus.LAST_TRY,
        ReaderStatus.PIN_BLOCKED,
        ReaderStatus.WAITS_FOR_PIN,
        ReaderStatus.PIN_WRONG,
    }
)


@dataclass
class SimulatedBranch:
    """One branch, and whoever stands at its counter."""

    story: Simulation
    branch: str
    counter: Counter = field(init=False)
    _next: int = 0
    _spare: Path | None = None

    def __post_init__(self) -> None:
        self.counter = self.story.bank.counter(self.branch, self._type_pin)

    def _type_pin(self, token: str, tries_left: int | None) -> str | None:
        person, holding = self.story.holder_of(token)
        if tries_left == 1:
            return None  # nobody releases the last try
        typed = holding.pins.pop(0) if holding.pins else holding.pin
        self.story.note(person, holding, "gave_pin", "ok" if typed == holding.pin else "wrong")
        return typed

    def visit(self, person: SimulatedCustomer, holding: Holding) -> None:
        """Ask for the renewal at the counter, and put the token into a reader."""
        story = self.story
        if not story.ask(person, holding, self.branch):
            return
        if person.has(Trait.TWICE):
            story.ask(person, holding, self.branch)
        if person.has(Trait.DECLINES) and holding.tries == 0:
            holding.tries += 1
            story.decline(person, holding)
            return
        if person.has(Trait.MISTYPES) and not holding.pins:
            holding.pins = ["000000"]
        if person.has(Trait.FORGOT_PIN):
            holding.pins = ["000000", "111111", "222222", "333333", "444444"]
        if person.has(Trait.WRONG_TOKEN) and holding.tries == 0:
            self._bring_wrong(person, holding)
        story.soon(timedelta(minutes=2), lambda: self.bring(person, holding, 1))

    def _bring_wrong(self, person: SimulatedCustomer, holding: Holding) -> None:
        story = self.story
        if self._spare is None:
            self._spare = story.app.settings.home / "cards" / f"0000{self.branch}0.json"
            personalise(
                self._spare,
                NewCard(
                    serial=f"0000{self.branch}0",
                    pin="123456",
                    puk=PUK,
                    management_key=story.app.keys.tokens.value,
                ),
                manners=card_manners(holding),
                certify=lambda _spki: holding.der,  # whatever: it is another bank's
                ledger=story.cards,
            )
        story.work()
        self.counter.insert(0, self._spare)
        shown = self.counter.look()[0].status
        story.note(person, holding, "brought_token", shown.value)
        self.counter.pull(0)

    def bring(self, person: SimulatedCustomer, holding: Holding, visit: int) -> None:
        """The token goes into a reader; the station works while it is in there."""
        story, reader = self.story, self._next
        self._next = 1 - self._next
        pulled = None
        if person.has(Trait.PULLS) and visit <= 2:  # noqa: PLR2004
            n = person.chance.randint(1, 40)
            pulled = Pulled(n, after=person.chance.random() >= 0.5)  # noqa: PLR2004
        self.counter.insert(reader, story.card_of(holding), pulled)
        story.note(person, holding, "brought_token")
        shown = self._work(holding)
        if not self.counter.pull(reader):
            story.note(person, holding, "pulled_token")
        if shown is ReaderStatus.DONE:
            self._done(person, holding)
        elif shown in WITHOUT_PIN:
            self._gives_up(person, holding)
        elif shown is not ReaderStatus.OTHER_TOKEN and visit < DECLINED_AFTER * 2:
            story.soon(timedelta(minutes=10), lambda: self.bring(person, holding, visit + 1))

    def _work(self, holding: Holding) -> ReaderStatus:
        shown = ReaderStatus.EMPTY
        for _ in range(12):
            self.story.work()
            seen = [one for one in self.counter.look() if one.token_serial == holding.token]
            if not seen:
                break
            shown = seen[0].status
            if shown in OVER:
                break
            self.story.clock.advance_to(self.story.clock.now() + timedelta(seconds=5))
        self.story.work()
        return shown

    def _done(self, person: SimulatedCustomer, holding: Holding) -> None:
        story = self.story
        with story.app.store.snapshot() as look:
            renewal = look.renewals.get(holding.renewal)
            new = look.certificates.get(renewal.new_certificate)
            der = look.cipher.open(new.der_sealed, "certificates.der", new.id)
        serial = f"{x509.load_der_x509_certificate(der).serial_number:x}"
        story.note(person, holding, "received", serial=serial)
        story.renewed(holding, der, None)
        story.note(person, holding, "proved")
        story.soon(timedelta(minutes=1), lambda: story.use(person, holding))
        if person.has(Trait.TWICE):
            story.soon(timedelta(minutes=30), lambda: story.ask(person, holding, self.branch))

    def _gives_up(self, person: SimulatedCustomer, holding: Holding) -> None:
        """Without the PIN nothing goes on: the branch unblocks the token, another day."""
        story = self.story
        moment = story.clock.now()
        try:
            story.app.centre.decline(holding.renewal)
        except NotNowError as error:
            story.note(person, holding, "declined", str(error), at=moment)
            return
        story.note(person, holding, "declined", at=moment)
        holding.pins = []
        holding.tries += 1
        holding.locked = True
        if holding.tries < DECLINED_AFTER:
            story.at(
                daytime(story.clock.now() + 2 * DAY, 0.4), lambda: self._unblocked(person, holding)
            )

    def _unblocked(self, person: SimulatedCustomer, holding: Holding) -> None:
        reader = SimulatedReader("the branch's own")
        path = self.story.card_of(holding)
        reader.insert(SimulatedCard(path, card_manners(holding), self.story.cards))
        session = open_token(reader, self.story.app.keys.tokens.value)
        session.unblock_pin(PUK, holding.pin)
        reader.pull()
        holding.locked = False
        person.traits = person.traits - {Trait.FORGOT_PIN}
        self.story.start(person, holding)


def open_branches(story: Simulation) -> None:
    """Let the story's customers be served at both branches of the bank."""
    story.branches = {name: SimulatedBranch(story, name) for name in ("001", "002")}
