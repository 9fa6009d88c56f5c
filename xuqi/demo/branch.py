"""What happens at a branch: who comes, which token they bring, and what they type."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509

from renewal.cycle import NotNowError
from renewal.rules.taipei import TAIPEI
from token_station.piv import open_token
from token_station.simulated_card import SimulatedCard, personalise
from token_station.simulated_reader import SimulatedReader
from token_station.station import Said
from xuqi.demo.bank import Pulled
from xuqi.demo.people import Trait
from xuqi.demo.sample import PUK, card_manners

if TYPE_CHECKING:
    from pathlib import Path

    from xuqi.demo.bank import Counter
    from xuqi.demo.people import Holding, Person
    from xuqi.demo.story import Story

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DECLINED_AFTER = 3  #: visits
#: Nothing that is tried again at this visit would help.
OVER = frozenset({Said.DONE, Said.DECLINED, Said.PIN_BLOCKED, Said.LAST_TRY, Said.OTHER_TOKEN})
WITHOUT_PIN = frozenset({Said.LAST_TRY, Said.PIN_BLOCKED, Said.WAITS_FOR_PIN, Said.PIN_WRONG})


@dataclass
class Branch:
    """
    One branch, and whoever stands at its counter.
    """

    story: Story
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

    def visit(self, person: Person, holding: Holding) -> None:
        """
        Ask for the renewal at the counter, and put the token into a reader.
        """
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

    def _bring_wrong(self, person: Person, holding: Holding) -> None:
        story = self.story
        if self._spare is None:
            self._spare = story.house.settings.home / "cards" / f"0000{self.branch}0.json"
            personalise(
                self._spare,
                serial=f"0000{self.branch}0",
                pin="123456",
                puk=PUK,
                management_key=story.house.keys.tokens.value,
                manners=card_manners(holding),
                certify=lambda _spki: holding.der,  # whatever: it is another bank's
                ledger=story.cards,
            )
        story.work()
        self.counter.insert(0, self._spare)
        said = self.counter.look()[0].said
        story.note(person, holding, "brought_token", said.value)
        self.counter.pull(0)

    def bring(self, person: Person, holding: Holding, visit: int) -> None:
        """
        The token goes into a reader; the station works while it is in there.
        """
        story, reader = self.story, self._next
        self._next = 1 - self._next
        pulled = None
        if person.has(Trait.PULLS) and visit <= 2:  # noqa: PLR2004
            n = person.chance.randint(1, 40)
            pulled = Pulled(n, after=person.chance.random() >= 0.5)  # noqa: PLR2004
        self.counter.insert(reader, story.card_of(holding), pulled)
        story.note(person, holding, "brought_token")
        said = self._work(holding)
        if not self.counter.pull(reader):
            story.note(person, holding, "pulled_token")
        if said is Said.DONE:
            self._done(person, holding)
        elif said in WITHOUT_PIN:
            self._gives_up(person, holding)
        elif said is not Said.OTHER_TOKEN and visit < DECLINED_AFTER * 2:
            story.soon(timedelta(minutes=10), lambda: self.bring(person, holding, visit + 1))

    def _work(self, holding: Holding) -> Said:
        said = Said.EMPTY
        for _ in range(12):
            self.story.work()
            seen = [one for one in self.counter.look() if one.token_serial == holding.token]
            if not seen:
                break
            said = seen[0].said
            if said in OVER:
                break
            self.story.clock.advance_to(self.story.clock.now() + timedelta(seconds=5))
        self.story.work()
        return said

    def _done(self, person: Person, holding: Holding) -> None:
        story = self.story
        with story.house.store.look() as look:
            renewal = look.renewals.get(holding.renewal)
            new = look.certificates.get(renewal.new_certificate)
            der = look.vault.open(new.der_sealed, "certificates.der")
        serial = f"{x509.load_der_x509_certificate(der).serial_number:x}"
        story.note(person, holding, "received", serial=serial)
        story.renewed(holding, der, None)
        story.note(person, holding, "proved")
        story.soon(timedelta(minutes=1), lambda: story.use(person, holding))
        if person.has(Trait.TWICE):
            story.soon(timedelta(minutes=30), lambda: story.ask(person, holding, self.branch))

    def _gives_up(self, person: Person, holding: Holding) -> None:
        """
        Without the PIN nothing goes on: the branch unblocks the token, another day.
        """
        story = self.story
        moment = story.clock.now()
        try:
            story.house.centre.decline(holding.renewal, "the PIN was not known")
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

    def _unblocked(self, person: Person, holding: Holding) -> None:
        reader = SimulatedReader("the branch's own")
        path = self.story.card_of(holding)
        reader.insert(SimulatedCard(path, card_manners(holding), self.story.cards))
        session = open_token(reader, self.story.house.keys.tokens.value)
        session.unblock_pin(PUK, holding.pin)
        reader.pull()
        holding.locked = False
        person.traits = person.traits - {Trait.FORGOT_PIN}
        self.story.start(person, holding)


def daytime(moment: datetime, part: float) -> datetime:
    """
    The same day, between 09:00 and 20:00 in Taipei.
    """
    local = moment.astimezone(TAIPEI)
    start = local.replace(hour=9, minute=0, second=0, microsecond=0)
    return (start + part * 11 * HOUR).astimezone(moment.tzinfo)
