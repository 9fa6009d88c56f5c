"""Tells what goes to and from a card without its secrets and without personal data."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from token_station.driver import SharedTransport

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from token_station.driver import Transport

#: Commands whose data may be shown. Everything else is blanked: PINs (20, 24, 2C), keys and
#: signatures (87), and certificates (DB), which carry an ID number.
SHOWN = frozenset({0xA4, 0xCB, 0x47})
HEADER = 5


class Traced:
    """
    A transport that tells ``sink`` one line a frame. Answers are told by their length alone.
    """

    def __init__(self, transport: Transport, sink: Callable[[str], None]) -> None:
        self._transport = transport
        self._sink = sink

    def exclusive(self) -> AbstractContextManager[None]:
        inner = self._transport
        return inner.exclusive() if isinstance(inner, SharedTransport) else nullcontext()

    def transmit(self, frame: bytes) -> tuple[bytes, int]:
        self._sink(f"> {_told(frame)}")
        answer, status = self._transport.transmit(frame)
        self._sink(f"< [{len(answer)} bytes] {status:04X}")
        return answer, status


def _told(frame: bytes) -> str:
    if frame[1:2] and frame[1] in SHOWN:
        return frame.hex(" ").upper()
    hidden = len(frame) - HEADER
    body = f" [{hidden} bytes blanked]" if hidden > 0 else ""
    return frame[:HEADER].hex(" ").upper() + body
