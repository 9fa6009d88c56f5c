"""The simulated cards of an installation in their readers, and the station that works with them."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from renewal.errors import XuqiError
from renewal.gateways.ledger import OutsideLedger
from renewal.sealing import branch_key
from schema.events import Topic
from token_station import manners
from token_station.journal import Journal
from token_station.places import KEY_HISTORY
from token_station.simulated_card import SimulatedCard
from token_station.simulated_reader import SimulatedReader
from token_station.station import Station

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from renewal.clock import Clock
    from renewal.eventlog.port import EventLog
    from renewal.keys import Keys
    from token_station.station import Person
    from xuqi.settings import Settings


def card_files(home: Path) -> list[Path]:
    return sorted((home / "cards").glob("*.json"))


@contextmanager
def simulated_readers(home: Path, clock: Clock) -> Iterator[list[SimulatedReader]]:
    """
    One reader for each card in ``<home>/cards``; the cards are pulled in the end.

    Raises:
        XuqiError: a file holds no card.
    """
    files = card_files(home)
    if not files:
        yield []
        return
    ledger = OutsideLedger(home / "outside" / "cards.jsonl", clock)
    readers = []
    try:
        for path in files:
            card = card_of(path, ledger)
            reader = SimulatedReader(path.stem)
            reader.insert(card)
            readers.append(reader)
        yield readers
    finally:
        for reader in readers:
            reader.pull()
        ledger.close()


def card_of(path: Path, ledger: OutsideLedger) -> SimulatedCard:
    """
    Raises:
        XuqiError: the file holds no card.
    """
    try:
        memory = json.loads(path.read_text("ascii"))
        # The file does not name the card's make, but only one of the two writes this object.
        make = manners.P if f"{KEY_HISTORY:06X}" in memory["objects"] else manners.C
        return SimulatedCard(path, make, ledger)
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise XuqiError(
            f"{path}: no simulated card ({type(error).__name__}): move it away"
        ) from error


@contextmanager
def opened_station(
    settings: Settings, keys: Keys, clock: Clock, log: EventLog, person: Person
) -> Iterator[Station]:
    """
    The station of the settings' branch; whoever opens it holds its ``StationPlace``.
    """
    branch = settings.branch
    topic = f"{Topic.STATIONS.value}.{branch}"
    incoming = log.reader(f"station.{branch}", [topic])
    journal = Journal(settings.home / "station" / f"{branch}.jsonl")
    try:
        with simulated_readers(settings.home, clock) as readers:
            yield Station(
                branch=branch,
                log=log,
                incoming=incoming,
                journal=journal,
                readers=readers,
                person=person,
                key=branch_key(keys.stations, branch),
                management_key=keys.tokens,
                clock=clock,
            )
    finally:
        incoming.close()
        journal.close()
