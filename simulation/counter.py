"""A branch's station in this process, with two readers of simulated cards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from renewal.rules.station_link import centre_key, public_of
from renewal.sealing import branch_key
from schema.events import Topic
from token_station.journal import Journal
from token_station.simulator.reader import SimulatedReader
from token_station.station import Station
from xuqi.simulated_readers import card_of
from xuqi.station_keys import station_identity

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from renewal.clock import Clock
    from renewal.eventlog.port import EventLog
    from renewal.gateways.activity_log import ActivityLog
    from renewal.keys import Keys
    from simulation.bank import Pulled, TypePin
    from token_station.journal import JournalEntry
    from token_station.reader_views import ReaderView


@dataclass(frozen=True)
class AtTheCounter:
    """Whoever stands there types a PIN, and releases no last try."""

    type_pin: TypePin

    def pin(self, job: JournalEntry, tries_left: int | None) -> str | None:
        return self.type_pin(job.token_serial or "", tries_left)

    def releases_last_try(self, job: JournalEntry) -> bool:
        del job
        return False


class OwnCounter:
    """Its journal outlives it: after a crash the next one goes on from there."""

    def __init__(
        self,
        *,
        log: EventLog,
        clock: Clock,
        keys: Keys,
        home: Path,
        branch: str,
        cards: ActivityLog,
        type_pin: TypePin,
    ) -> None:
        self._cards = cards
        self._readers = [SimulatedReader(f"{branch} left"), SimulatedReader(f"{branch} right")]
        topic = f"{Topic.STATIONS.value}.{branch}"
        self.station = Station(
            branch=branch,
            log=log,
            incoming=log.reader(f"station.{branch}", (topic,)),
            journal=Journal(home / "stations" / f"{branch}.jsonl"),
            readers=self._readers,
            operator=AtTheCounter(type_pin),
            identity=station_identity(home, branch),
            key=branch_key(keys.stations, branch),
            centre=public_of(centre_key(keys.stations)),
            management_key=keys.tokens,
            clock=clock,
        )

    def insert(self, reader: int, card: Path, pulled: Pulled | None = None) -> None:
        reader_now = self._readers[reader]
        reader_now.insert(card_of(card, self._cards))
        if pulled is not None:
            (reader_now.pull_after if pulled.after else reader_now.pull_before)(pulled.command)

    def look(self) -> Sequence[ReaderView]:
        self.station.take()
        return self.station.work()

    def pull(self, reader: int) -> bool:
        reader_now = self._readers[reader]
        there = reader_now.card is not None
        reader_now.pull()
        return there
