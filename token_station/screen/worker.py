"""Runs the station behind its screen, and knows what each reader shows now."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from renewal.errors import XuqiError
from renewal.eventlog.port import LogUnavailableError
from token_station.reader_views import ReaderStatus

if TYPE_CHECKING:
    from token_station.reader_views import ReaderView
    from token_station.screen.deeds import DeedsToTell
    from token_station.screen.person import PersonAtScreen
    from token_station.station import Station

log = logging.getLogger(__name__)

TURN_EVERY = 0.3  #: seconds
AT_LEAST_EVERY = 5.0  #: seconds between two looks at real readers: an event is only a hint
#: What stays on the screen until the next PIN, although the reader shows something newer.
KEPT = frozenset(
    {
        ReaderStatus.PIN_WRONG,
        ReaderStatus.PIN_UNFIT,
        ReaderStatus.PIN_BLOCKED,
        ReaderStatus.LAST_TRY,
        ReaderStatus.DECLINED,
    }
)


NOT_HEARD = LogUnavailableError("what is on record has not reached the centre")


class Worker:
    """One thread that takes jobs and works on tokens; pages read what it has seen, and wake it."""

    def __init__(
        self, station: Station, person: PersonAtScreen, deeds: DeedsToTell | None = None
    ) -> None:
        self.station = station
        self.person = person
        self._deeds = deeds
        self.is_connected = True  #: to the centre, as the last turn found
        self._seen: tuple[ReaderView, ...] = ()
        self._outcomes: dict[str, ReaderView] = {}  # by renewal
        self._version = 0
        self._over = False
        self._changed = threading.Condition()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="station", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._wake.set()
        self._thread.join()

    def wake(self) -> None:
        self._wake.set()

    # -- what pages read -----------------------------------------------------

    @property
    def version(self) -> int:
        return self._version

    @property
    def seen(self) -> tuple[ReaderView, ...]:
        return self._seen

    def at(self, renewal: str) -> ReaderView | None:
        """The reader that has the token of that renewal."""
        return next((one for one in self._seen if one.renewal == renewal), None)

    def reader_of(self, serial: str) -> str | None:
        return next((one.reader for one in self._seen if one.token_serial == serial), None)

    def outcome(self, renewal: str) -> ReaderView | None:
        """What came of the last PIN, if it went wrong."""
        return self._outcomes.get(renewal)

    def wait(self, version: int, seconds: float) -> int:
        """Return the version once it is not that one any more, or after so long."""
        with self._changed:
            self._changed.wait_for(lambda: self._version != version or self._over, seconds)
            return self._version

    def release_waiters(self) -> None:
        """Let no page wait any longer: the screen is about to close."""
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def offer_pin(self, renewal: str, pin: str) -> None:
        self._outcomes.pop(renewal, None)
        self.person.offer(renewal, pin)
        self.wake()

    # -- the thread ----------------------------------------------------------

    def _run(self) -> None:
        looked_at, version = 0.0, -1
        while not self._stop.is_set():
            woken = self._wake.is_set()
            self._wake.clear()
            news, now = self._take(), time.monotonic()
            changed, version = self._attached_version() != version, self._attached_version()
            if news or woken or changed or now - looked_at >= self._look_every():
                self._work()
                looked_at = now
            self._wake.wait(TURN_EVERY)

    def _attached_version(self) -> int:
        return int(getattr(self.station.readers, "version", 0))

    def _look_every(self) -> float:
        """Real readers say when something has changed, and other programs use them, too."""
        return AT_LEAST_EVERY if hasattr(self.station.readers, "version") else TURN_EVERY

    def _take(self) -> int:
        taken = 0
        try:
            while more := self.station.take():
                taken += more
        except XuqiError as error:
            self._tell_connected(error)
        else:
            self._tell_connected(None if self.station.is_heard else NOT_HEARD)
        return taken

    def _work(self) -> None:
        try:
            if self._deeds is not None:
                self._deeds.tell()
            self._show(tuple(self.station.work()))
        except XuqiError as error:  # what is on record is said once the log is reached again
            self._tell_connected(error)

    def _show(self, seen: tuple[ReaderView, ...]) -> None:
        for one in seen:
            if one.renewal and one.status in KEPT:
                self._outcomes[one.renewal] = one
            elif one.status is ReaderStatus.DONE:
                self._outcomes.pop(one.renewal, None)
        with self._changed:
            if seen != self._seen:
                self._seen = seen
                self._version += 1
                self._changed.notify_all()

    def _tell_connected(self, error: XuqiError | None) -> None:
        with self._changed:
            if self.is_connected == (error is None):
                return
            self.is_connected = error is None
            self._version += 1
            self._changed.notify_all()
        if error is None:
            log.info("centre reached again")
        else:
            log.warning("centre not reached, the work goes on", extra={"why": str(error)})
