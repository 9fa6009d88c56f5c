"""Makes tokens, and the station that they are renewed at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from renewal.gateways.activity_log import ActivityLog
from renewal.rules.station_link import centre_key, public_of
from renewal.sealing import branch_key
from tests.scenario.rows import BRANCH
from token_station.journal import Journal
from token_station.simulator.card import NewCard, SimulatedCard, personalise
from token_station.simulator.card_profiles import JAVACARD, NATIVE, CardProfile
from token_station.station import Station
from xuqi.station_keys import enrol_own, station_identity

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from renewal.clock import Clock
    from renewal.db.engine import Store
    from renewal.rules.statements import StationIdentity
    from renewal.secret import Secret
    from token_station.journal import JournalEntry
    from token_station.operators import Operator
    from token_station.simulator.reader import SimulatedReader
    from xuqi.bootstrap import App

#: Six digits would stand in a certificate in hexadecimal by chance, once in some hundred runs.
PIN, PUK = "13579024", "24681357"


def token_serial_of(certificate: int) -> str:
    """The serial of a token, by the number of the certificate on it: 029dc2d0 for 2."""
    return f"{0x029DC2D0 + certificate - 2:08x}"


def manners_of(certificate: int) -> CardProfile:
    """Tokens and cards answer as one of the two kinds do, by turns."""
    return NATIVE if certificate % 2 else JAVACARD


@dataclass(kw_only=True)
class TokenMaker:
    """Makes the tokens of one home; what they do is written to its ``outside/cards.jsonl``."""

    home: Path
    clock: Clock
    management_key: Secret

    def path(self, serial: str) -> Path:
        return self.home / "cards" / f"{serial}.json"

    def make(
        self,
        serial: str,
        certify: Callable[[bytes], bytes],
        *,
        manners: CardProfile = JAVACARD,
        pin: str = PIN,
        at: datetime | None = None,
    ) -> SimulatedCard:
        return personalise(
            self.path(serial),
            NewCard(
                serial=serial,
                pin=pin,
                puk=PUK,
                management_key=self.management_key.value,
            ),
            manners=manners,
            certify=certify,
            ledger=self._ledger(),
            at=None if at is None else at.isoformat(timespec="microseconds"),
        )

    def find(self, serial: str, manners: CardProfile) -> SimulatedCard:
        """The token as it was left."""
        return SimulatedCard(self.path(serial), manners, self._ledger())

    def _ledger(self) -> ActivityLog:
        return ActivityLog(self.home / "outside" / "cards.jsonl", self.clock)


@dataclass
class Patient:
    """A person at the station who knows the PIN and never releases the last try."""

    knows: str = PIN

    def pin(self, job: JournalEntry, tries_left: int | None) -> str | None:
        del job, tries_left
        return self.knows

    def releases_last_try(self, job: JournalEntry) -> bool:
        del job
        return False


def enrolled(store: Store, home: Path, branch: str) -> StationIdentity:
    """The key of the branch's station in that home, which the centre knows."""
    identity = station_identity(home, branch)
    enrol_own(store, identity)
    return identity


def station_of(
    app: App,
    readers: list[SimulatedReader],
    *,
    operator: Operator,
    branch: str = BRANCH,
    journal: Path | None = None,
    probe: Callable[[str], None] = lambda _point: None,
) -> Station:
    """The station of a branch of this bank."""
    home = app.settings.home
    return Station(
        branch=branch,
        log=app.log,
        incoming=app.log.reader(f"station.{branch}", [f"stations.{branch}"]),
        journal=Journal(journal or home / "station" / f"{branch}.jsonl"),
        readers=readers,
        operator=operator,
        identity=enrolled(app.store, home, branch),
        key=branch_key(app.keys.stations, branch),
        centre=public_of(centre_key(app.keys.stations)),
        management_key=app.keys.tokens,
        clock=app.clock,
        probe=probe,
    )
