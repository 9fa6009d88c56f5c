"""Parses commands as a card does, with its status words (ISO 7816-4)."""

from __future__ import annotations

from dataclasses import dataclass

OK = 0x9000
WRONG_LENGTH = 0x6700
NOT_ALLOWED = 0x6982
BLOCKED = 0x6983
BAD_DATA = 0x6A80
NOT_FOUND = 0x6A82
WRONG_P1P2 = 0x6A86
NO_KEY = 0x6A88
NO_SUCH_COMMAND = 0x6D00
NO_SUCH_CLASS = 0x6E00
TRIES_LEFT = 0x63C0  #: its last digit is the number

HEADER = 4  #: bytes: CLA INS P1 P2
SELECT, GET_RESPONSE = 0xA4, 0xC0


class CardRefusal(Exception):  # noqa: N818 - no error of ours: the card's answer
    """The card's answer is a status word alone."""

    def __init__(self, status: int) -> None:
        super().__init__(f"{status:04X}")
        self.status = status


@dataclass(frozen=True)
class ReceivedCommand:
    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes

    @property
    def head(self) -> tuple[int, int, int]:
        return self.ins, self.p1, self.p2

    @classmethod
    def read(cls, frame: bytes) -> ReceivedCommand:
        """Read a short command APDU of any of the four cases (ISO 7816-3, 12.1)."""
        if len(frame) < HEADER:
            raise CardRefusal(WRONG_LENGTH)
        body = frame[HEADER:]
        size = body[0] if len(body) > 1 else 0
        if len(body) > 1 and (size == 0 or len(body) not in {1 + size, 2 + size}):
            raise CardRefusal(WRONG_LENGTH)  # extended length, or cut off
        cla, ins, p1, p2 = frame[:HEADER]
        return cls(cla, ins, p1, p2, body[1 : 1 + size])
