"""Carries the lines of this station's trail to the trail of the centre, however late."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from renewal.eventlog.port import LogUnavailableError
from schema.events import StationDeed

if TYPE_CHECKING:
    from pathlib import Path

    from token_station.screen.audit import Trail
    from token_station.station import Station

AT_MOST = 100  #: lines of one turn


class DeedsToTell:
    """
    The file beside the trail says up to which line it was told.

    A line that was told and not noted is told again: it is signed for its own moment, so that it
    is the same fact.
    """

    def __init__(self, trail: Trail, station: Station, noted: Path) -> None:
        self._trail = trail
        self._station = station
        self._noted = noted
        self._sent = self._read()

    def tell(self) -> None:
        """Say what has not been said; without the centre it waits."""
        with suppress(LogUnavailableError):
            for deed, chain in self._trail.behind(self._sent, AT_MOST):
                deed_event = StationDeed(
                    renewal=deed.renewal,
                    token_serial=deed.token,
                    number=deed.number,
                    who=deed.who,
                    what=deed.what,
                    note=deed.note,
                    chain=chain,
                )
                self._station.publish(deed_event, at=datetime.fromisoformat(deed.at))
                self._note(deed.number)

    def _read(self) -> int:
        try:
            return min(int(self._noted.read_text("ascii")), self._trail.count)
        except (OSError, ValueError):
            return 0  # told again from the first line on

    def _note(self, number: int) -> None:
        self._sent = number
        beside = self._noted.with_suffix(".new")
        beside.write_text(str(number), "ascii")
        os.replace(beside, self._noted)  # noqa: PTH105 - Path.replace does the same
