"""Builds a station's screen: readers, worker, clerks, trail, pages."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from token_station.screen.app import station_app
from token_station.screen.audit import Trail
from token_station.screen.clerks import Clerks
from token_station.screen.deeds import DeedsToTell
from token_station.screen.person import PersonAtScreen
from token_station.screen.worker import Worker
from xuqi.bank import open_bank
from xuqi.serving import http

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from renewal.clock import Clock
    from token_station.station import Station
    from xuqi.settings import Settings

#: The screen is for whoever sits at this computer, and for nobody on the network.
HOST = "127.0.0.1"


def clerks_of(settings: Settings, clock: Clock) -> Clerks:
    return Clerks(settings.home / "station" / "clerks.json", clock)


def trail_of(settings: Settings, clock: Clock) -> Trail:
    return Trail(settings.home / "station" / f"{settings.branch}.audit.jsonl", clock)


@contextmanager
def served_screen(
    settings: Settings,
    clock: Clock,
    opened: Callable[[PersonAtScreen], AbstractContextManager[Station]],
    *,
    port: int,
) -> Iterator[int]:
    """
    The pages of a station, which ``opened`` makes for the person at the screen; yield their port.

    Raises:
        AddressError, XuqiError
    """
    person = PersonAtScreen()
    with opened(person) as station:
        trail = trail_of(settings, clock)
        noted = settings.home / "station" / f"{settings.branch}.audit.told"
        worker = Worker(station, person, DeedsToTell(trail, station, noted))
        app = station_app(
            worker,
            clerks_of(settings, clock),
            trail,
            clock,
            bank=open_bank(settings).details,
        )
        worker.start()
        try:
            with http.listening(app, HOST, port, setting="--port") as found:
                try:
                    yield found
                finally:
                    worker.release_waiters()
        finally:
            worker.stop()
