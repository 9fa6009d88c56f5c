"""One bank in one folder: a test moves its clock, and makes what is outside fail on demand."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from consumers.registry import CONSUMERS
from renewal.clock import VirtualClock
from renewal.db.synchronous import Synchronous
from renewal.delivery.runner import no_probe
from renewal.gateways.bank.embedded.adapter import EmbeddedBank
from renewal.gateways.ca.embedded.adapter import EmbeddedCa
from renewal.rules.policies import Policies
from scheduler import delivery_receipts, jobs
from schema.policy import load_policies
from schema.taipei import TAIPEI
from tests.scenario.acts import Acts
from tests.scenario.intake import Intake
from tests.scenario.outside import CaInWeather, Outside, Weather
from tests.scenario.records import Records
from tests.scenario.stores import make_tables
from tests.scenario.tokens import TokenMaker
from xuqi.bootstrap import bootstrap
from xuqi.key_files import read_keys
from xuqi.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from renewal.delivery import ConsumerRunner
    from simulation.client import BrowserKey
    from token_station.simulator.card import SimulatedCard
    from xuqi.bootstrap import App

START = datetime(2026, 3, 2, 2, tzinfo=UTC)  #: a Monday, 10:00 in Taipei
HOUR = timedelta(hours=1)
POLICIES = Policies(load_policies())  #: the three samples


@dataclass
class Scenario(Records, Intake, Acts):
    """
    Made by ``opened``. It begins without customers: ``take_in`` gives it some, and
    :func:`tests.scenario.sample.open_sample` is one with a customer of each product.

    The parts of it: what is on record (``records``), who is taken in (``intake``), what customers
    and stations do (``acts``), and here what time and the consumers do.
    """

    home: Path
    app: App
    clock: VirtualClock
    weather: Weather = field(default_factory=Weather)
    groups: tuple[str, ...] | None = None  #: the consumers that are there; all of them
    probe: Callable[[str], None] = no_probe  #: of the consumers that were started
    old_keys: dict[int, BrowserKey] = field(default_factory=dict)  #: of the first certificates
    keys: list[BrowserKey] = field(default_factory=list)  #: of all certificates in a browser
    cards: dict[int, SimulatedCard] = field(default_factory=dict)  #: by certificate
    closing: ExitStack = field(default_factory=ExitStack)
    _started: list[ConsumerRunner] = field(default_factory=list)

    @property
    def ca(self) -> EmbeddedCa:
        gateway = self.app.gateways.ca
        ca = gateway.ca if isinstance(gateway, CaInWeather) else gateway
        assert isinstance(ca, EmbeddedCa)
        return ca

    @property
    def bank(self) -> EmbeddedBank:
        bank = self.app.gateways.bank
        assert isinstance(bank, EmbeddedBank)
        return bank

    @property
    def tokens(self) -> TokenMaker:
        key = self.app.keys.tokens
        return TokenMaker(home=self.home, clock=self.clock, management_key=key)

    # --- the consumers --------------------------------------------------------------------------

    def drain(self) -> None:
        """Deliver until nothing is due any more, at this hour."""
        if self._started:
            _run(self._started)
        else:
            self.drain_to(*(self.groups or CONSUMERS))

    def drain_to(self, *groups: str) -> None:
        """The same for these consumers alone, which live no longer than that."""
        runners = self._runners(groups)
        try:
            _run(runners)
        finally:
            _close(runners)

    def start(self) -> None:
        """Let the consumers live on, and what they remember with them, as in one process."""
        self._started = self._runners(self.groups or tuple(CONSUMERS))

    def restart(self) -> None:
        """Forget what only the process knew."""
        self.rest()
        self.start()

    def rest(self) -> None:
        """Give the consumers' places up, for another process to take."""
        _close(self._started)
        self._started = []

    def runner_of(self, group: str) -> ConsumerRunner:
        return next(one for one in self._started if one.consumer.group == group)

    def _runners(self, groups: tuple[str, ...]) -> list[ConsumerRunner]:
        return [
            self.app.runner(consumer, probe=self._probe) for consumer in self.app.consumers(groups)
        ]

    def _probe(self, point: str) -> None:
        self.probe(point)

    # --- time -----------------------------------------------------------------------------------

    def wait(self, **span: float) -> None:
        self.clock.advance_to(self.clock.now() + timedelta(**span))

    def drain_over(
        self, span: timedelta = timedelta(days=1), step: timedelta | None = None
    ) -> None:
        """Deliver while the clock goes on, so that everything parked gets its turns."""
        until = self.clock.now() + span
        step = step or span / 24
        while self.clock.now() < until:
            self.drain()
            self.clock.advance_to(self.clock.now() + step)
        self.drain()

    def at(self, moment: datetime | str) -> None:
        """Go to that moment, and let scheduler and consumers do what there is to do."""
        self.go_to(moment)
        self.turn()

    def go_to(self, moment: datetime | str) -> None:
        """Nothing happens on the way. Back, too: then the clock was set."""
        self.clock.advance_to(taipei(moment))
        if taipei(moment) < self.clock.now():
            self.clock.set(taipei(moment))

    def until(self, moment: datetime | str, *, every: timedelta = HOUR) -> None:
        """Let time pass, hour by hour."""
        end = taipei(moment)
        while self.clock.now() + every < end:
            self.at(self.clock.now() + every)
        self.at(end)

    def turn(self) -> None:
        """The scheduler tells and reminds, and everything follows from it at this hour."""
        for job in (jobs.scan, jobs.leave, jobs.remind):
            job(self.store, self.policies)
        self.drain()

    def hear_reports(self, *, ask_after: timedelta = timedelta(minutes=15)) -> None:
        """Ask the carrier what became of its messages."""
        delivery_receipts.ask(self.store, self.app.gateways.sms, ask_after=ask_after)
        self.drain()

    @classmethod
    def opened(
        cls,
        home: Path,
        *,
        at: datetime | str = START,
        clock: VirtualClock | None = None,
        weather: Weather | None = None,
        as_settings_say: bool = False,
        groups: tuple[str, ...] | None = None,
        like: Scenario | None = None,
        **settings: Any,  # noqa: ANN401 - fields of Settings
    ) -> Self:
        """
        Open a bank in the folder.

        ``as_settings_say``: with the gateways that the settings name, and no weather. ``groups``:
        with these consumers alone. ``like``: as that one, closed, was left; else it has no
        customers yet.
        """
        usual: dict[str, Any] = {"home": home, "synchronous": Synchronous.NORMAL}
        chosen = Settings(**(usual | settings))
        if like is not None:
            shutil.copytree(like.home, home)
        ca_key = read_keys(chosen).ca  # before there is a store: a home in use has its keys
        if chosen.database_file is not None and not chosen.is_used:
            make_tables(chosen.store)
        clock, weather, closing = (
            clock or VirtualClock(taipei(at)),
            weather or Weather(),
            ExitStack(),
        )
        outside = Outside(
            home=home, clock=clock, ca_key=ca_key, weather=weather, closing=closing.callback
        )
        gateways = None if as_settings_say else outside.gateways()
        app = bootstrap(chosen, clock=clock, outside=gateways)
        made = cls(home, app, clock, weather, groups=groups, closing=closing)
        if like is not None:
            made.old_keys, made.keys = dict(like.old_keys), list(like.keys)
            made.cards = made._same_cards(like)
        return made

    def _same_cards(self, like: Scenario) -> dict[int, SimulatedCard]:
        return {
            number: self.tokens.find(card.serial, card._manners)
            for number, card in like.cards.items()
        }

    def close(self) -> None:
        self.rest()
        self.closing.close()
        self.store.close()


def _run(runners: list[ConsumerRunner]) -> None:
    while sum(runner.run_once() for runner in runners):
        pass


def _close(runners: list[ConsumerRunner]) -> None:
    for runner in runners:
        runner.reader.close()


def taipei(moment: datetime | str) -> datetime:
    """A moment as it is written in Taipei: ``2026-03-02 09:00``."""
    if isinstance(moment, datetime):
        return moment
    return datetime.fromisoformat(moment).replace(tzinfo=TAIPEI)
