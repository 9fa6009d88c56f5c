"""Puts a simulated card into a virtual reader of a real PC/SC service (vsmartcard's vpcd)."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from token_station.errors import CardRemovedError

if TYPE_CHECKING:
    from token_station.simulator.card import SimulatedCard
    from token_station.simulator.reader import SimulatedReader

LENGTH = 2  #: bytes in front of each frame
#: A frame of one byte is no command for the card but for its power.
POWER_OFF, POWER_ON, RESET, GIVE_ATR = 0, 1, 2, 4
#: Of a YubiKey 5: OpenSC signs by elliptic curves only with cards that it knows by their ATR.
ATR = bytes.fromhex("3BFD1300008131FE158073C021C057597562694B657940")
CONNECT_WITHIN = 10.0  #: seconds


class VpcdSlot:
    """
    One slot of a virtual reader, which listens on a port of the loopback interface.

    The card lies in a simulated reader, whose faults work here, too: a card that it loses at a
    command leaves the real reader.
    """

    def __init__(self, port: int, reader: SimulatedReader) -> None:
        self._port = port
        self.reader = reader
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def insert(self, card: SimulatedCard) -> None:
        self.pull()
        self.reader.insert(card)
        self._socket = socket.create_connection(("127.0.0.1", self._port), CONNECT_WITHIN)
        self._socket.settimeout(None)
        self._thread = threading.Thread(
            target=self._serve, args=(self._socket,), name=f"card on {self._port}", daemon=True
        )
        self._thread.start()

    def pull(self) -> None:
        opened, self._socket = self._socket, None
        if opened is not None:
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
            opened.close()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        self.reader.pull()

    def _serve(self, opened: socket.socket) -> None:
        with suppress(OSError, CardRemovedError), opened:
            while (frame := _received(opened)) is not None:
                answer = self._answer(frame)
                if answer is not None:
                    opened.sendall(len(answer).to_bytes(LENGTH, "big") + answer)

    def _answer(self, frame: bytes) -> bytes | None:
        if len(frame) > 1:
            transport = self.reader.connect()
            if transport is None:
                raise CardRemovedError("the card was taken out")
            answer, status = transport.transmit(frame)
            return answer + status.to_bytes(2, "big")
        if frame[0] == GIVE_ATR:
            return ATR
        card = self.reader.card
        if card is not None and frame[0] in {POWER_OFF, POWER_ON, RESET}:
            card.reset()
        return None


def _received(opened: socket.socket) -> bytes | None:
    """Return the next frame; ``None`` once the service has hung up."""
    head = _exactly(opened, LENGTH)
    return _exactly(opened, int.from_bytes(head, "big")) if head else None


def _exactly(opened: socket.socket, size: int) -> bytes | None:
    data = b""
    while len(data) < size:
        # The service sends length and body apart: with a delayed acknowledgement (RFC 1122,
        # 4.2.3.2) each command would take 40 ms. The kernel takes the option back at will.
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        part = opened.recv(size - len(data))
        if not part:
            return None
        data += part
    return data
