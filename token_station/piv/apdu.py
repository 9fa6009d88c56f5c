"""Sends whole commands to a card and collects whole answers (ISO 7816-4)."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from token_station.errors import CardError, MalformedAnswerError
from token_station.port import SharedTransport, Transport

if TYPE_CHECKING:
    from collections.abc import Iterator

OK = 0x9000
STATUS_BITS = 16
PART = 255  #: bytes of data in one short command
CHAINED = 0x10  #: class byte of every part of a command but the last
MOST_PARTS = 128  #: of one answer: 32 KiB, no object of a PIV card comes near it
MORE, LENGTH_CORRECTED = 0x61, 0x6C  #: first byte of the status words (ISO 7816-4, table 5)
LONG = 0x80  #: a length byte from here on tells how many bytes tell the length
TWO_BYTE_TAG = 0x1F
LONGEST_LENGTH = 4  #: bytes that tell a length; some makers write lengths in four
FILLING = frozenset((0x00, 0xFF))  #: before, between and after TLVs (ISO 7816-4, 5.2.2)
_LAST = b"\xfe"  #: the error code, which old YubiKeys write without its length


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command with its whole data, however long; ``answers`` if it wants data back."""

    ins: int
    p1: int = 0x00
    p2: int = 0x00
    data: bytes = b""
    answers: bool = False

    def frames(self) -> list[bytes]:
        """
        Return the short command APDUs, chained (ISO 7816-4, 5.3.3).

        Extended length is never used: every card chains, not every reader passes long ones.
        """
        parts = [self.data[at : at + PART] for at in range(0, len(self.data), PART)] or [b""]
        head = bytes([self.ins, self.p1, self.p2])
        chained = [bytes([CHAINED]) + head + bytes([len(part)]) + part for part in parts[:-1]]
        body = bytes([len(parts[-1])]) + parts[-1] if parts[-1] else b""
        # Without data or an answer one zero byte stands for Lc: a bare header is not taken by
        # every reader.
        tail = b"\x00" if self.answers or not body else b""
        return [*chained, b"\x00" + head + body + tail]


class CardChannel:
    """One conversation with one card."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def exclusive(self) -> AbstractContextManager[None]:
        """Keep other programs' commands out, where there can be any."""
        if isinstance(self._transport, SharedTransport):
            return self._transport.exclusive()
        return nullcontext()

    @property
    def is_shared(self) -> bool:
        """Say whether other programs reach the card too."""
        return isinstance(self._transport, SharedTransport)

    def lent(self) -> AbstractContextManager[None]:
        """Let other programs at the card for a while."""
        if isinstance(self._transport, SharedTransport):
            return self._transport.lent()
        return nullcontext()

    def send(self, command: Command) -> tuple[bytes, int]:
        """
        Send all parts; return the whole answer and the last status word.

        Raises:
            CardRemovedError: the card is gone.
            MalformedAnswerError: the card never stops answering.
        """
        *parts, last = command.frames()
        for part in parts:
            answer, status = self._transmit(part)
            if status != OK:
                return answer, status
        answer, status = self._transmit(last)
        if status >> 8 == LENGTH_CORRECTED and command.answers:  # it was not done
            answer, status = self._transmit(last[:-1] + bytes([status & 0xFF]))
        return self._rest(answer, status)

    def expect(self, command: Command, doing: str) -> bytes:
        """
        Send, and return the answer of a command that can only succeed.

        Raises:
            CardError: it did not.
        """
        answer, status = self.send(command)
        if status != OK:
            raise CardError(doing, status)
        return answer

    def _rest(self, answer: bytes, status: int) -> tuple[bytes, int]:
        for _ in range(MOST_PARTS):
            if status >> 8 != MORE:
                return answer, status
            rest = bytes([0x00, 0xC0, 0x00, 0x00])
            more, status = self._transmit(rest + bytes([status & 0xFF]))
            if status >> 8 == LENGTH_CORRECTED:  # by T=0: nothing was given yet
                more, status = self._transmit(rest + bytes([status & 0xFF]))
            if status >> 8 == MORE and not more:
                raise MalformedAnswerError("the token announces more and sends nothing")
            answer += more
        raise MalformedAnswerError("the token's answer has no end")

    def _transmit(self, frame: bytes) -> tuple[bytes, int]:
        answer, status = self._transport.transmit(frame)
        if status.bit_length() > STATUS_BITS or status < 0:
            raise MalformedAnswerError("the token's status word has more than two bytes")
        return answer, status


def tlv(tag: int, value: bytes) -> bytes:
    """Encode one BER-TLV (ISO 7816-4, 5.2.2), lengths in their shortest form."""
    name = tag.to_bytes((tag.bit_length() + 7) // 8 or 1, "big")
    size = len(value)
    if size < LONG:
        return name + bytes([size]) + value
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return name + bytes([LONG | len(length)]) + length + value


def parse(data: bytes) -> dict[int, bytes]:
    """
    Decode a row of BER-TLVs; what fills it up is passed over.

    Raises:
        MalformedAnswerError: cut off, an unknown form of length, or one tag twice.
    """
    found: dict[int, bytes] = {}
    for tag, value in _elements(data):
        if tag in found:
            raise MalformedAnswerError(f"the token's answer has tag {tag:X} twice")
        found[tag] = value
    return found


def inside(data: bytes, *tags: int) -> bytes:
    """
    Return the value found by going down through the tags.

    Raises:
        MalformedAnswerError: one of them is missing.
    """
    for tag in tags:
        elements = parse(data)
        if tag not in elements:
            raise MalformedAnswerError(f"the token's answer lacks tag {tag:X}")
        data = elements[tag]
    return data


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        if data[at] in FILLING:
            at += 1
            continue
        if data[at:] == _LAST:
            return
        tag, at = _tag(data, at)
        size, at = _length(data, at)
        if at + size > len(data):
            raise MalformedAnswerError(f"tag {tag:X} of the token's answer is cut off")
        yield tag, data[at : at + size]
        at += size


def _tag(data: bytes, at: int) -> tuple[int, int]:
    if data[at] & TWO_BYTE_TAG != TWO_BYTE_TAG:
        return data[at], at + 1
    if at + 1 >= len(data) or data[at + 1] & LONG:  # PIV has no tag of three bytes
        raise MalformedAnswerError("a tag of the token's answer is cut off or too long")
    return data[at] << 8 | data[at + 1], at + 2


def _length(data: bytes, at: int) -> tuple[int, int]:
    first = data[at] if at < len(data) else LONG
    if first < LONG:
        return first, at + 1
    length = first & 0x7F
    if not 1 <= length <= LONGEST_LENGTH or at + 1 + length > len(data):
        raise MalformedAnswerError("a length in the token's answer is cut off or too long")
    return int.from_bytes(data[at + 1 : at + 1 + length], "big"), at + 1 + length
