"""Prepares a blank PIV token: its serial, management key, unblocking code and first PIN."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from renewal.rules.token_keys import puk_of_token
from schema.reasons import TokenReason
from token_station.errors import (
    CardError,
    MalformedAnswerError,
    NoSerialError,
    NotAuthorizedError,
    NotBlankError,
    PukWrongError,
    ReadBackError,
    UnsupportedError,
)
from token_station.piv.apdu import OK, CardChannel, Command, inside, tlv
from token_station.piv.authenticity import Authenticity
from token_station.piv.data_objects import chuid_for, serial_in
from token_station.piv.key_slots import CHUID, certificate_object
from token_station.piv.management import authenticate, set_key
from token_station.piv.pins import judge_puk, new_pin_field, puk_field

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from token_station.trust_anchors import TrustAnchors

#: Places whose certificate says that somebody uses the token. What is in 9E is the card's own, and
#: proves a blank one genuine (NIST SP 800-73-4 part 1, 3.3.4).
IN_USE = ("9A", "9C", "9D")
PIN, PUK = 0x80, 0x81
NOT_FOUND = 0x6A82
GET_METADATA = 0xF7


@dataclass(frozen=True, kw_only=True)
class FactorySettings:
    """What a maker's tokens have before anybody has set it (as YubiKeys and PivApplet do)."""

    puk: str = field(default="12345678", repr=False)
    management_key: bytes = field(
        default=bytes.fromhex("010203040506070801020304050607080102030405060708"), repr=False
    )


FACTORY = FactorySettings()


@dataclass(frozen=True, kw_only=True)
class BlankToken:
    """
    One blank token and the serial that it is to have. Every step may be repeated: what was done
    before is found out, and costs no try for good.
    """

    channel: CardChannel
    serial: str
    own_key: bytes = field(repr=False)  #: its management key from now on
    factory: FactorySettings = FACTORY

    @property
    def puk(self) -> str:
        """The unblocking code that it gets: who knows the management key can work it out again."""
        return puk_of_token(self.own_key)

    def authenticity(self, anchors: TrustAnchors, now: datetime) -> Authenticity:
        return Authenticity(channel=self.channel, serial=self.serial, anchors=anchors, now=now)

    def refuse_used(self) -> None:
        """
        Look for whatever says that the token is somebody's; nothing is tried that has a counter.

        Raises:
            NotBlankError: it holds a serial, a certificate or a key, or another management key.
        """
        found = self._serial()
        if found not in {None, self.serial}:
            raise NotBlankError(reason=TokenReason.NOT_BLANK_SERIAL.why(serial=found or ""))
        for key_slot in IN_USE:
            if self._read(certificate_object(key_slot)):
                raise NotBlankError(reason=TokenReason.NOT_BLANK_CERTIFICATE.why(slot=key_slot))
            if (
                self.channel.send(Command(ins=GET_METADATA, p2=int(key_slot, 16), answers=True))[1]
                == OK
            ):
                raise NotBlankError(reason=TokenReason.NOT_BLANK_KEY.why(slot=key_slot))
        try:
            authenticate(self.channel, self.factory.management_key)
        except NotAuthorizedError as error:
            raise NotBlankError(reason=TokenReason.NOT_BLANK_MANAGEMENT_KEY) from error

    def give_serial(self) -> None:
        """
        Write the card holder unique identifier, unless it has told this serial before.

        Raises:
            UnsupportedError: a PIV token can have no such serial.
            ReadBackError, NotAuthorizedError, CardRemovedError
        """
        if self._serial() == self.serial:
            return
        try:
            chuid = chuid_for(self.serial)
        except ValueError as error:  # as somebody has typed it at the centre
            raise UnsupportedError(str(error)) from error
        self._authenticated()
        data = tlv(0x5C, CHUID.to_bytes(3, "big")) + tlv(0x53, chuid)
        command = Command(ins=0xDB, p1=0x3F, p2=0xFF, data=data)
        self.channel.expect(command, "write the serial")
        if self._serial() != self.serial:
            raise ReadBackError("the token does not tell the serial that was written")

    def set_management_key(self) -> None:
        """
        Put the token's own management key in the place of the maker's.

        Raises:
            UnsupportedError: it takes no other one, and would stay open to everybody.
            NotAuthorizedError, CardRemovedError
        """
        algorithm = self._authenticated()
        set_key(self.channel, algorithm, self.own_key)
        authenticate(self.channel, self.own_key)

    def set_puk(self, *, attempt: int = 1, last_try_released: bool = False) -> None:
        """
        Put the token's own unblocking code in the place of the maker's.

        At the first attempt the maker's alone can be in force. At a later one an answer was lost:
        one guess is followed by the other, and the right one fills the counter up again.

        Raises:
            PukBlockedError, PukWrongError: neither of the two is in force.
        """
        codes = (self.factory.puk, self.puk)
        first, second = codes if attempt % 2 else reversed(codes)
        try:
            self._change_puk(first)
        except PukWrongError as error:
            if attempt == 1 or (error.left <= 1 and not last_try_released):
                raise
            self._change_puk(second)

    def has_serial(self) -> bool:
        """Say whether the token tells the serial that it is to have."""
        return self._serial() == self.serial

    def set_pin(self, pin: str) -> None:
        """
        Set the first PIN by the unblocking code, whatever the PIN was: no try of it is spent.

        Raises:
            BadPinFormatError, PukWrongError, PukBlockedError, CardRemovedError
        """
        fields = puk_field(self.puk) + new_pin_field(pin)
        judge_puk(self.channel.send(Command(ins=0x2C, p2=PIN, data=fields))[1])

    def _change_puk(self, old: str) -> None:
        data = puk_field(old) + puk_field(self.puk)
        judge_puk(self.channel.send(Command(ins=0x24, p2=PUK, data=data))[1])

    def _authenticated(self) -> int:
        """By its own key, which it has after a step that was interrupted, else by the maker's."""
        return first_that_fits(
            lambda key: authenticate(self.channel, key),
            (self.own_key, self.factory.management_key),
        )

    def _serial(self) -> str | None:
        chuid = self._read(CHUID)
        if not chuid:
            return None
        try:
            return serial_in(chuid)
        except NoSerialError:
            return None  # a GUID of zeros: it has none yet

    def _read(self, tag: int) -> bytes | None:
        data = tlv(0x5C, tag.to_bytes(3, "big"))
        command = Command(ins=0xCB, p1=0x3F, p2=0xFF, data=data, answers=True)
        answer, status = self.channel.send(command)
        if status == NOT_FOUND or (status == OK and not answer):
            return None
        if status != OK:
            raise CardError("read an object", status)
        return inside(answer, 0x53) or None


def first_that_fits(attempt: Callable[[bytes], int], keys: tuple[bytes, ...]) -> int:
    """
    Raises:
        NotAuthorizedError: none of the keys is the token's.
    """
    for key in keys[:-1]:
        try:
            return attempt(key)
        except (NotAuthorizedError, MalformedAnswerError):
            continue
    return attempt(keys[-1])
