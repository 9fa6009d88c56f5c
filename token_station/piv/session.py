"""A session with one PIV token (NIST SP 800-73-4)."""

from __future__ import annotations

import hashlib
import secrets
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from renewal.rules.token_keys import WriteKeys
from schema.reasons import TokenReason
from token_station.errors import (
    CannotMakeKeyError,
    CardError,
    CardRemovedError,
    KeyMismatchError,
    LastTryError,
    MalformedAnswerError,
    NoFreeKeySlotError,
    NoSerialError,
    NotAuthorizedError,
    NoWriteKeyError,
    OtherCardError,
    PukBlockedError,
    PukWrongError,
    ReadBackError,
    UnsupportedError,
)
from token_station.piv.apdu import OK, CardChannel, Command, inside, parse, tlv
from token_station.piv.authenticity import Authenticity
from token_station.piv.data_objects import certificate_container, certificate_in, serial_in
from token_station.piv.enrolment import BlankToken
from token_station.piv.key_slots import CHUID, SIGNING, certificate_object
from token_station.piv.keys import (
    ALGORITHMS,
    P256,
    RSA_BITS,
    CardKey,
    check_certificate,
    key_from_card,
    key_from_spki,
    key_of_certificate,
)
from token_station.piv.management import authenticate, set_key
from token_station.piv.pins import (
    guard_last_try,
    judge_pin,
    judge_puk,
    new_pin_field,
    pin_field,
    puk_field,
    tries_told,
)
from token_station.piv.recovery import SignedSample, p256_key, rsa_key
from token_station.port import TokenCertificate, TokenInfo, TokenReader, Transport

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime

    from token_station.trust_anchors import TrustAnchors

AID = bytes.fromhex("A000000308")
PIN = 0x80  #: key reference of the application PIN
NOT_FOUND = 0x6A82
NOT_ALLOWED = 0x6982
BARE = (b"\x70", b"\x30")
#: How cards say that there is no key of that kind to sign with (6A88 is the standard's word).
NO_SUCH_KEY = frozenset({0x6A80, NOT_FOUND, 0x6A86, 0x6A88})
#: How cards say that they make no key of that kind, today or later.
NO_SUCH_KIND = frozenset({0x6A80, 0x6A81, 0x6A86, 0x6D00})
#: Kinds of keys that are not used here, and may be somebody's (SP 800-78-5, table 6-2).
OTHER_KINDS = {0x14: 48, 0x06: 128, 0x05: 384}  #: PIV's number to the bytes of a block
RSA_BASE_BITS = 600  #: its third power is less than any modulus of 2048 bits


def open_token(reader: TokenReader, management_key: bytes | WriteKeys) -> PivSession:
    """
    Open the token that is in the reader now.

    Raises:
        CardRemovedError: there is none.
        UnsupportedError: it is not a PIV token, or has no serial.
    """
    transport = reader.connect()
    if transport is None:
        raise CardRemovedError(f"there is no token in the reader {reader.name}")
    return PivSession(transport, management_key)


def open_blank(reader: TokenReader, serial: str, own_key: bytes) -> BlankToken:
    """
    Open the token in the reader to prepare it, whether it has a serial or not.

    Raises:
        CardRemovedError: there is none.
        UnsupportedError: it is not a PIV token.
    """
    transport = reader.connect()
    if transport is None:
        raise CardRemovedError(f"there is no token in the reader {reader.name}")
    channel = CardChannel(transport)
    select(channel)
    return BlankToken(channel=channel, serial=serial, own_key=own_key)


class PivSession:
    """
    One visit to one token, known by its serial; dead once the token is pulled.

    It keeps no PIN, and shows neither a PIN nor the management key.
    """

    def __init__(self, transport: Transport, management_key: bytes | WriteKeys) -> None:
        self._channel = CardChannel(transport)
        self._write_keys = management_key
        self._authorized = False
        self._keys: dict[str, CardKey] = {}  # made or remembered in this session
        self._seen: dict[str, bytes] = {}  # certificates read in this session
        self._kept: frozenset[str] = frozenset()
        self._tells_keys = True  # until it refuses
        self._puk_left: int | None = None
        select(self._channel)
        self._serial = self._read_serial()

    def __repr__(self) -> str:
        return f"PivSession({self._serial})"

    @property
    def serial(self) -> str:
        return self._serial

    def info(self) -> TokenInfo:
        return TokenInfo(
            kind="PIV", serial=self._serial, tries_left=self.tries_left(), key_slots=SIGNING
        )

    def assert_serial(self, serial: str) -> None:
        """
        Read the serial again and compare.

        Raises:
            OtherCardError: it is another token.
        """
        found = self._read_serial()
        if found != serial or found != self._serial:
            raise OtherCardError(f"token {serial} is expected, token {found} is in the reader")

    def authenticity(self, anchors: TrustAnchors, now: datetime) -> Authenticity:
        return Authenticity(channel=self._channel, serial=self._serial, anchors=anchors, now=now)

    @contextmanager
    def lent(self) -> Iterator[None]:
        """
        Let other programs use the token while a person is asked.

        Raises:
            CardRemovedError, OtherCardError: it is not there any more afterwards.
        """
        with self._channel.lent():
            yield
        if self._channel.is_shared:
            self._authorized = False
            select(self._channel)
            self.assert_serial(self._serial)

    def certificates(self) -> tuple[TokenCertificate, ...]:
        """
        Return what the places for signing hold, in their order; what is there and is no
        certificate is left out.
        """
        read = ((key_slot, self._readable(key_slot)) for key_slot in SIGNING)
        return tuple(TokenCertificate(key_slot=key_slot, der=der) for key_slot, der in read if der)

    def unreadable(self) -> tuple[str, ...]:
        """
        Return the places for signing that hold something, and no certificate that can be read.
        """
        return tuple(key_slot for key_slot in SIGNING if self._readable(key_slot) == b"")

    # -- PIN ---------------------------------------------------------------

    def tries_left(self) -> int | None:
        """
        Return the tries that the PIN has left; ``None`` if the token does not tell, which it
        never does while the PIN is verified.
        """
        status = self._pin_status()
        return None if status == OK else tries_told(status, None)

    def verify_pin(self, pin: str, *, last_try_released: bool = False) -> None:
        """
        Try the PIN once.

        Raises:
            PinWrongError, PinBlockedError, LastTryError, BadPinFormatError, CardRemovedError.
        """
        field = pin_field(pin)
        left = self._guarded_tries(released=last_try_released)
        _, status = self._channel.send(Command(ins=0x20, p2=PIN, data=field))
        judge_pin(status, left, "verify the PIN")

    def change_pin(self, old: str, new: str, *, last_try_released: bool = False) -> None:
        """
        Replace the PIN; both are checked for length and characters before the token sees them.

        Raises:
            PinWrongError, PinBlockedError, LastTryError, BadPinFormatError, CardRemovedError.
        """
        fields = pin_field(old) + new_pin_field(new)
        left = self._guarded_tries(released=last_try_released)
        _, status = self._channel.send(Command(ins=0x24, p2=PIN, data=fields))
        judge_pin(status, left, "change the PIN")

    def unblock_pin(self, puk: str, new: str, *, last_try_released: bool = False) -> None:
        """
        Set a new PIN with the unblocking code, which is tried once.

        A PIV card cannot be asked for the tries of its unblocking code: only what it told in
        this session is known.

        Raises:
            PukWrongError, PukBlockedError, LastTryError, BadPinFormatError, CardRemovedError.
        """
        fields = puk_field(puk) + new_pin_field(new)
        if self._puk_left == 0:
            raise PukBlockedError("the unblocking code is blocked: the token must be exchanged")
        if self._puk_left == 1 and not last_try_released:
            raise LastTryError("one try of the unblocking code is left and nobody has released it")
        _, status = self._channel.send(Command(ins=0x2C, p2=PIN, data=fields))
        try:
            judge_puk(status)
        except PukWrongError as error:
            self._puk_left = error.left
            raise
        self._puk_left = None

    def set_first_pin(self, pin: str) -> None:
        """
        Set the PIN by the unblocking code that preparing has given to the token.

        Raises:
            BadPinFormatError, PukWrongError, PukBlockedError, CardRemovedError
        """
        keys = self._write_keys
        own = keys.own(self._serial) if isinstance(keys, WriteKeys) else keys
        if own is None:
            raise NoWriteKeyError(reason=TokenReason.NO_WRITE_KEY)
        BlankToken(channel=self._channel, serial=self._serial, own_key=own).set_pin(pin)

    def remember_puk_tries(self, left: int | None) -> None:
        """Tell the session what the token said of its unblocking code in an earlier one."""
        self._puk_left = left

    # -- keys --------------------------------------------------------------

    def authorize_write(self) -> None:
        """
        Authenticate with the management key, once in a session.

        Raises:
            NotAuthorizedError
        """
        if not self._authorized:
            self._authenticate()
            self._authorized = True

    def _authenticate(self) -> int:
        """
        By the common key, else by the token's own: a wrong one spends nothing, for the management
        key has no tries (NIST SP 800-73-4 part 2, 3.2.4).

        Raises:
            NoWriteKeyError: the token may have the common key, which is not here.
        """
        keys = self._write_keys
        if not isinstance(keys, WriteKeys):
            return authenticate(self._channel, keys)
        fitting = keys.fitting(self._serial)
        if not fitting:
            raise NoWriteKeyError(reason=TokenReason.NO_WRITE_KEY)
        for key in fitting[:-1]:
            with suppress(NotAuthorizedError):
                return authenticate(self._channel, key)
        try:
            return authenticate(self._channel, fitting[-1])
        except NotAuthorizedError as error:
            if keys.common is not None:
                raise
            raise NoWriteKeyError(reason=TokenReason.NO_WRITE_KEY) from error

    def take_over(self) -> None:
        """
        Give a token of the common key its own one, which is derived from its serial.

        Return once the token has authenticated with it. A power cut leaves the one or the other,
        and both are tried.

        Raises:
            NotAuthorizedError: it knows neither.
            UnsupportedError: it takes no other key.
        """
        keys = self._write_keys
        if not isinstance(keys, WriteKeys):
            raise UnsupportedError("there is no key to derive the token's from")
        own, algorithm = keys.own(self._serial), self._authenticate()
        if own is None:
            raise NoWriteKeyError(reason=TokenReason.NO_WRITE_KEY)
        set_key(self._channel, algorithm, own)
        self._authorized = False
        authenticate(self._channel, own)

    def choose_key_slot(self, *, keep: Collection[bytes]) -> str:
        """
        Return a place that holds none of the certificates (DER) to be kept, an empty one first.

        While one to be kept is nowhere to be found, its key may be in any place that is empty
        or cannot be read: none of these is free then. From now on the session refuses to
        generate or write where a kept one is.

        Raises:
            NoFreePlaceError
        """
        found = {key_slot: self._readable(key_slot) for key_slot in SIGNING}
        kept = frozenset(key_slot for key_slot, der in found.items() if der in keep)
        self._kept |= kept
        missing = set(keep) - {found[key_slot] for key_slot in kept}
        free = [key_slot for key_slot in SIGNING if key_slot not in kept]
        if missing:
            free = [key_slot for key_slot in free if found[key_slot]]
        if not free:
            raise NoFreeKeySlotError("every place of the token may hold a certificate to be kept")
        return min(free, key=lambda key_slot: found[key_slot] is not None)

    def generate(self, key_slot: str, algorithm: str) -> bytes:
        """
        Make a new key there, destroying the one before; return the public key (SPKI, DER).

        Raises:
            NoFreePlaceError: a certificate to be kept is there.
            NotAuthorizedError, UnsupportedError, CardRemovedError
        """
        certificate_object(key_slot)  # is a place at all
        if algorithm not in ALGORITHMS:
            raise UnsupportedError(f"a token's key is {' or '.join(ALGORITHMS)}, not {algorithm!r}")
        self._refuse_kept(key_slot)
        self.authorize_write()
        self._keys.pop(key_slot, None)
        self._seen.pop(key_slot, None)
        number = ALGORITHMS[algorithm]
        data = tlv(0xAC, tlv(0x80, bytes([number])))
        try:
            answer = self._write(
                Command(ins=0x47, p2=int(key_slot, 16), data=data, answers=True), "make a key"
            )
        except CardError as error:
            if error.status not in NO_SUCH_KIND:
                raise
            raise CannotMakeKeyError(f"the token makes no {algorithm} key") from error
        key = key_from_card(inside(answer, 0x7F49), number)
        self._keys[key_slot] = key
        return key.spki

    def remember_key(self, key_slot: str, public_key: bytes) -> None:
        """
        Tell the session which key (SPKI, DER) an earlier session made in that place.

        It is taken as a claim: a signature that does not verify with it is an error.
        """
        certificate_object(key_slot)
        self._keys[key_slot] = key_from_spki(public_key)

    def public_key(self, key_slot: str) -> bytes | None:
        """Return the place's public key (SPKI, DER) if this session or the token can tell it."""
        certificate_object(key_slot)
        key = self._keys.get(key_slot) or self._told_key(key_slot)
        return key.spki if key else None

    def find_key(self, key_slot: str, algorithm: str, *, pin: str) -> bytes | None:
        """
        Find out which key of that kind is in the place; ``None`` if there is none.

        A standard card cannot be asked (SP 800-73-4 has no command for it): unless it tells
        all the same, it signs, and the public key (SPKI, DER) follows from the signatures.

        Raises:
            NotRecoveredError: it does not; trying again may help.
            PinWrongError, PinBlockedError, LastTryError, BadPinFormatError, CardRemovedError.
        """
        certificate_object(key_slot)
        number = ALGORITHMS[algorithm]
        try:
            key = self._told_key(key_slot) or self._recovered(key_slot, number, pin)
        except UnsupportedError:  # the token tells of a key of yet another kind
            return None
        except CardError as error:
            if error.status not in NO_SUCH_KEY:
                raise
            return None
        if key.algorithm != number:
            return None
        self._keys[key_slot] = key
        return key.spki

    def holds_key(self, key_slot: str, *, pin: str) -> bool:
        """
        Say whether there is a key in the place where ``find_key`` has found none.

        Raises:
            PinWrongError, PinBlockedError, LastTryError, BadPinFormatError, CardRemovedError.
        """
        try:
            if self._told_key(key_slot) is not None:
                return True
        except UnsupportedError:
            return True
        if self._tells_keys:
            return False
        return any(self._signs(key_slot, number, size, pin) for number, size in OTHER_KINDS.items())

    def _signs(self, key_slot: str, number: int, size: int, pin: str) -> bool:
        try:
            self._raw(key_slot, number, b"\0" + secrets.token_bytes(size - 1), pin, released=False)
        except (CardError, MalformedAnswerError):
            return False
        return True

    def _recovered(self, key_slot: str, number: int, pin: str) -> CardKey:
        if number == ALGORITHMS[P256]:
            first, second = (self._signed(key_slot, secrets.token_bytes(32), pin) for _ in range(2))
            return p256_key(first, second)
        base = secrets.randbits(RSA_BASE_BITS) | 1 << (RSA_BASE_BITS - 1)
        blocks = ((base**power).to_bytes(RSA_BITS // 8, "big") for power in (1, 2, 3))
        powers = (self._raw(key_slot, number, block, pin, released=False) for block in blocks)
        key = rsa_key(*(int.from_bytes(power, "big") for power in powers))
        self._sign(key_slot, key, secrets.token_bytes(32), pin, released=False)  # verified there
        return key

    def _signed(self, key_slot: str, data: bytes, pin: str) -> SignedSample:
        digest = hashlib.sha256(data).digest()
        return SignedSample(
            data, self._raw(key_slot, ALGORITHMS[P256], digest, pin, released=False)
        )

    def sign(
        self, key_slot: str, data: bytes, *, pin: str, last_try_released: bool = False
    ) -> bytes:
        """
        Sign with SHA-256: ECDSA as DER, RSA as PKCS#1 v1.5. The result is verified here.

        Raises:
            PinWrongError, PinBlockedError, LastTryError, BadPinFormatError, CardRemovedError,
            KeyMismatchError: the key in that place is not the one known of it.
            UnsupportedError: no key is known of that place.
        """
        return self._sign(key_slot, self._key(key_slot), data, pin, released=last_try_released)

    def _sign(self, key_slot: str, key: CardKey, data: bytes, pin: str, *, released: bool) -> bytes:
        block = key.to_be_signed(data)
        signature = self._raw(key_slot, key.algorithm, block, pin, released=released)
        key.check(data, signature)
        return signature

    def _raw(self, key_slot: str, number: int, block: bytes, pin: str, *, released: bool) -> bytes:
        template = tlv(0x7C, tlv(0x82, b"") + tlv(0x81, block))
        command = Command(ins=0x87, p1=number, p2=int(key_slot, 16), data=template, answers=True)
        with self._channel.exclusive():
            self.verify_pin(pin, last_try_released=released)
            # SP 800-73-4 part 1, table 4b: 9C is "PIN always". The very next command, or strict
            # cards refuse.
            answer = self._channel.expect(command, "sign")
        return inside(answer, 0x7C, 0x82)

    # -- certificates ------------------------------------------------------

    def write_certificate(self, key_slot: str, der: bytes, *, pin: str | None = None) -> None:
        """
        Write, and return only once it has been read back and equals what was written.

        With ``pin`` the key in that place first signs a challenge which must verify with the
        certificate; without, the key must be known to the session.

        Raises:
            TooLargeError, KeyMismatchError, NoFreePlaceError, UnsupportedError: nothing written.
            ReadBackError: something else is there now.
            NotAuthorizedError, CardRemovedError
        """
        container = certificate_container(der)
        self._match(key_slot, der, pin)
        self._refuse_kept(key_slot)
        self.authorize_write()
        data = tlv(0x5C, _tag(certificate_object(key_slot))) + tlv(0x53, container)
        self._write(Command(ins=0xDB, p1=0x3F, p2=0xFF, data=data), "write the certificate")
        self._read_back(key_slot, der)

    def read_certificate(self, key_slot: str) -> bytes | None:
        """
        Return the certificate (DER) in that place, ``None`` if there is none.

        Raises:
            MalformedAnswerError: something else is in that place.
        """
        container = self._read(certificate_object(key_slot))
        self._seen.pop(key_slot, None)
        der = certificate_in(container) if container else None
        if der:
            check_certificate(der, key_slot)
            self._seen[key_slot] = der
        return der

    def _match(self, key_slot: str, der: bytes, pin: str | None) -> None:
        key = key_of_certificate(der)
        known = self.public_key(key_slot)
        if known not in {None, key.spki}:
            raise KeyMismatchError(f"the certificate's key is not the key in {key_slot}")
        if pin is not None:
            self._sign(key_slot, key, secrets.token_bytes(32), pin, released=False)
        elif known is None:
            raise UnsupportedError(
                f"the token does not tell which key is in {key_slot}: give the PIN, so it proves it"
            )

    def _read_back(self, key_slot: str, der: bytes) -> None:
        try:
            found = self.read_certificate(key_slot)
        except MalformedAnswerError as error:
            raise ReadBackError(f"what is in {key_slot} now cannot be read") from error
        if found != der:
            raise ReadBackError(f"{key_slot} does not hold the certificate that was written")

    def _refuse_kept(self, key_slot: str) -> None:
        if key_slot in self._kept:
            raise NoFreeKeySlotError(f"{key_slot} holds a certificate that must be kept")

    def _readable(self, key_slot: str) -> bytes | None:
        try:
            return self.read_certificate(key_slot)
        except MalformedAnswerError:
            return b""  # something that is no certificate

    # -- the card ----------------------------------------------------------

    def _read_serial(self) -> str:
        chuid = self._read(CHUID)
        if not chuid:
            raise NoSerialError("the token has no serial of its own (no CHUID)")
        return serial_in(chuid)

    def _read(self, tag: int) -> bytes | None:
        data = tlv(0x5C, _tag(tag))
        answer, status = self._channel.send(
            Command(ins=0xCB, p1=0x3F, p2=0xFF, data=data, answers=True)
        )
        if status == NOT_FOUND or (status == OK and not answer):
            return None
        if status != OK:
            raise CardError("read an object", status)
        if answer[:1] in BARE:  # some tools and cards leave the outer tag out
            return answer
        return inside(answer, 0x53)

    def _write(self, command: Command, doing: str) -> bytes:
        answer, status = self._channel.send(command)
        if status == NOT_ALLOWED:
            self._authorized = False
            raise NotAuthorizedError(f"{doing}: the token wants the management key first")
        if status != OK:
            raise CardError(doing, status)
        return answer

    def _pin_status(self) -> int:
        return self._channel.send(Command(ins=0x20, p2=PIN))[1]

    def _guarded_tries(self, *, released: bool) -> int | None:
        status = self._pin_status()
        if status == OK:
            return None  # verified in this session: the counter is full, this is no last try
        left = tries_told(status, None)
        guard_last_try(left, released=released)
        return left

    def _key(self, key_slot: str) -> CardKey:
        certificate_object(key_slot)
        key = self._keys.get(key_slot) or self._told_key(key_slot)
        if key is not None:
            return key
        der = self._seen.get(key_slot) or self.read_certificate(key_slot)
        if der is None:
            raise UnsupportedError(
                f"nothing is known of the key in {key_slot}: remember_key tells it"
            )
        return key_of_certificate(der)

    def _told_key(self, key_slot: str) -> CardKey | None:
        if not self._tells_keys:
            return None
        # GET METADATA: not of the standard, but newer tokens have it.
        answer, status = self._channel.send(Command(ins=0xF7, p2=int(key_slot, 16), answers=True))
        if status != OK:
            self._tells_keys = status in {0x6A88, NOT_FOUND}  # no key there, yet it tells
            return None
        metadata = parse(answer)
        algorithm = metadata.get(0x01, b"")
        if len(algorithm) != 1 or algorithm[0] not in ALGORITHMS.values():
            raise UnsupportedError(f"the key in {key_slot} is of a kind that is not used here")
        return key_from_card(metadata.get(0x04, b""), algorithm[0])


def select(channel: CardChannel) -> None:
    """
    Raises:
        UnsupportedError: it is not a PIV token.
    """
    _, status = channel.send(Command(ins=0xA4, p1=0x04, data=AID, answers=True))
    if status != OK:
        raise UnsupportedError(f"this is not a PIV token ({status:04X})")


def _tag(tag: int) -> bytes:
    return tag.to_bytes(3, "big")
