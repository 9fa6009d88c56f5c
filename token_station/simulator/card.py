"""A simulated PIV card with rules of its own (NIST SP 800-73-4)."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NoReturn

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from token_station.errors import MalformedAnswerError, UnsupportedError
from token_station.piv.apdu import CHAINED, inside, parse, tlv
from token_station.piv.data_objects import (
    certificate_container,
    certificate_in,
    chuid_for,
    serial_in,
)
from token_station.piv.enrolment import FACTORY
from token_station.piv.key_slots import CERTIFICATE_OBJECTS, CHUID, KEY_HISTORY
from token_station.piv.keys import ALGORITHMS, P256, card_key
from token_station.piv.management import ALGORITHMS as MANAGEMENT_ALGORITHMS
from token_station.piv.management import KEY as MANAGEMENT_KEY
from token_station.piv.management import ManagementCipher
from token_station.piv.pins import pin_field, puk_field
from token_station.simulator import card_memory
from token_station.simulator.card_apdu import (
    BAD_DATA,
    BLOCKED,
    GET_RESPONSE,
    NO_KEY,
    NO_SUCH_CLASS,
    NO_SUCH_COMMAND,
    NOT_ALLOWED,
    NOT_FOUND,
    OK,
    SELECT,
    TRIES_LEFT,
    WRONG_LENGTH,
    WRONG_P1P2,
    CardRefusal,
    ReceivedCommand,
)
from token_station.simulator.card_keys import (
    PRIVATE_KEYS,
    PrivateKey,
    attested,
    pem,
    public_fields,
    raw_signature,
    spki,
    spki_hash,
)
from token_station.simulator.card_memory import CardMemory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from renewal.gateways.activity_log import ActivityLog
    from token_station.simulator.card_profiles import CardProfile

AID = bytes.fromhex("A000000308000010000100")
PROPERTIES = tlv(0x61, tlv(0x4F, AID[5:]) + tlv(0x79, tlv(0x4F, AID[:5])))
LEAST_AID = 5
MOST_COMMAND = 0x4000
AT_A_TIME = 256  #: bytes of a short answer
PIN, PUK, ALL_KEYS = 0x80, 0x81, 0xFF
SIGNATURE, NO_PIN_PLACE = 0x9C, 0x9E
FOUR_PLACES = frozenset({"9A", "9C", "9D", "9E"})
FIRST_RETIRED = 0x82
VERSION = bytes([5, 2, 7])  #: of a YubiKey without GET METADATA
FIELD = 8  #: bytes of a PIN or unblocking code
LEAST_PIN = 6
ATTESTING = "F9"  #: the maker's key, which signs for the others
FACTORY_PIN = "123456"


class SimulatedCard:
    """
    One card. What a command does is in the file before its answer is given, and then in the
    ledger: a process that is killed takes nothing of it along.
    """

    def __init__(self, path: Path, manners: CardProfile, ledger: ActivityLog | None = None) -> None:
        self._path = path
        self._manners = manners
        self._ledger = ledger
        self._memory = card_memory.load(path)
        self._private: dict[str, PrivateKey] = {}
        self._forget()
        self._tell_untold()

    def __repr__(self) -> str:
        return f"SimulatedCard({self.serial})"

    @property
    def serial(self) -> str:
        return self._memory.serial

    @property
    def pin_left(self) -> int:
        return self._memory.pin_left

    @property
    def puk_left(self) -> int:
        return self._memory.puk_left

    def power_on(self) -> None:
        """Take the card up as its file says it is, with nothing verified."""
        self._memory = card_memory.load(self._path)
        self._private = {}
        self._forget()
        self._tell_untold()
        self._tell("insert")

    def power_off(self) -> None:
        self._forget()
        self._tell("pull")

    def reset(self) -> None:
        """Forget what was verified; the card stays in its reader."""
        self._forget()

    def transmit(self, frame: bytes) -> tuple[bytes, int]:
        """Do one command APDU."""
        try:
            apdu = ReceivedCommand.read(frame)
            whole = self._unchained(apdu)
            return self._do(whole) if whole else (b"", OK)
        except CardRefusal as answer:
            return b"", answer.status
        except MalformedAnswerError:
            return b"", BAD_DATA

    # -- conversation --------------------------------------------------------

    def _forget(self) -> None:
        self._selected = False
        self._pin_verified = False
        self._pin_fresh = False  # VERIFY was the command before this one
        self._authorized = False
        self._witness: bytes | None = None
        self._chain: ReceivedCommand | None = None
        self._answer = b""

    def _unchained(self, apdu: ReceivedCommand) -> ReceivedCommand | None:
        """Join the parts of a chained command; ``None`` until its last part is here."""
        if apdu.cla not in {0x00, CHAINED}:
            raise CardRefusal(NO_SUCH_CLASS)
        before, self._chain = self._chain, None
        if before is not None and before.head == apdu.head:
            apdu = replace(apdu, data=before.data + apdu.data)
        if len(apdu.data) > MOST_COMMAND:
            raise CardRefusal(WRONG_LENGTH)
        if apdu.cla == CHAINED:
            self._chain = apdu
            return None
        return apdu

    def _do(self, apdu: ReceivedCommand) -> tuple[bytes, int]:
        fresh, self._pin_fresh = self._pin_fresh, False
        if apdu.ins == GET_RESPONSE:
            return self._next_part()
        commands: dict[int, Callable[[ReceivedCommand], bytes]] = {
            SELECT: self._select,
            0xCB: self._get_data,
            0xDB: self._put_data,
            0x20: self._verify,
            0x24: self._change_reference,
            0x2C: self._reset_retry,
            0x47: self._generate,
            0x87: lambda apdu: self._authenticate(apdu, fresh=fresh),
            0xFF: self._set_management_key,
        }
        if ATTESTING in self._memory.keys:
            commands[0xF9] = self._attest
        if self._manners.has_metadata:
            commands[0xF7] = self._metadata
        if self._manners.tells_version:
            commands[0xFD] = lambda _: VERSION
            commands[0xF8] = lambda _: bytes.fromhex(self.serial)[-4:]
        self._answer = b""
        if apdu.ins not in commands or not (self._selected or apdu.ins == SELECT):
            raise CardRefusal(NO_SUCH_COMMAND)
        self._answer = commands[apdu.ins](apdu)
        return self._next_part()

    def _next_part(self) -> tuple[bytes, int]:
        part, self._answer = self._answer[:AT_A_TIME], self._answer[AT_A_TIME:]
        left = len(self._answer)
        return part, 0x6100 | (left if left < AT_A_TIME else 0) if left else OK

    def _select(self, apdu: ReceivedCommand) -> bytes:
        aid = apdu.data
        if not LEAST_AID <= len(aid) <= len(AID) or not AID.startswith(aid):
            self._forget()
            raise CardRefusal(NOT_FOUND)
        # SP 800-73-4 part 2, 3.1.1: selecting again leaves the security status as it is.
        self._selected = True
        return PROPERTIES

    # -- objects -------------------------------------------------------------

    def _get_data(self, apdu: ReceivedCommand) -> bytes:
        content = self._memory.objects.get(inside(apdu.data, 0x5C).hex().upper())
        if content is None or (content == "" and not self._manners.deleted_reads_empty):
            raise CardRefusal(NOT_FOUND)
        return tlv(0x53, bytes.fromhex(content))

    def _put_data(self, apdu: ReceivedCommand) -> bytes:
        tag, content = inside(apdu.data, 0x5C).hex().upper(), inside(apdu.data, 0x53)
        key_slot = next((p for p, o in CERTIFICATE_OBJECTS.items() if f"{o:06X}" == tag), None)
        if not self._authorized or (key_slot and not self._has_place(key_slot)):
            self._refuse("put", key_slot, NOT_ALLOWED if not self._authorized else NOT_FOUND)
        if len(content) > self._manners.largest_object:
            destroyed = self._manners.oversize_destroys and tag in self._memory.objects
            if destroyed:
                self._memory.objects[tag] = ""
            self._refuse("put", key_slot, WRONG_LENGTH, changed=destroyed)
        self._memory.objects[tag] = content.hex()
        if tag == f"{CHUID:06X}":
            self._memory.serial = serial_in(content)
        self._done("put", key_slot, certificate_hash(content) if key_slot else None)
        return b""

    # -- PIN -----------------------------------------------------------------

    def _verify(self, apdu: ReceivedCommand) -> bytes:
        if apdu.p2 != PIN or apdu.p1 not in {0x00, ALL_KEYS}:
            raise CardRefusal(NO_KEY)
        if apdu.p1 == ALL_KEYS:
            self._pin_verified = False
        elif apdu.data:
            self._try_pin("verify", apdu.data)
            self._tell("verify")
            self._pin_verified = self._pin_fresh = True
        elif not self._pin_verified:
            left = self._memory.pin_left
            raise CardRefusal(TRIES_LEFT | left if left else BLOCKED)
        return b""

    def _change_reference(self, apdu: ReceivedCommand) -> bytes:
        old, new = apdu.data[:FIELD], apdu.data[FIELD:]
        if apdu.p2 == PUK:
            self._try_puk("change_pin", old)
            self._memory.puk = self._fit("change_pin", new)
        elif apdu.p2 == PIN:
            self._try_pin("change_pin", old)
            self._memory.pin = self._fit("change_pin", new)
        else:
            raise CardRefusal(NO_KEY)
        self._done("change_pin")
        return b""

    def _reset_retry(self, apdu: ReceivedCommand) -> bytes:
        if apdu.p2 != PIN:
            raise CardRefusal(NO_KEY)
        self._try_puk("unblock", apdu.data[:FIELD])
        self._memory.pin = self._fit("unblock", apdu.data[FIELD:])
        self._memory.pin_left = self._manners.pin_tries
        self._pin_verified = False
        self._done("unblock")
        return b""

    def _try_pin(self, op: str, tried: bytes) -> None:
        self._pin_verified = False
        before, most = self._memory.pin_left, self._manners.pin_tries
        self._memory.pin_left = left = self._left_after(op, tried, self._memory.pin, before, most)
        self._settle(op, tried, self._memory.pin, before, left)

    def _try_puk(self, op: str, tried: bytes) -> None:
        before, most = self._memory.puk_left, self._manners.puk_tries
        self._memory.puk_left = left = self._left_after(op, tried, self._memory.puk, before, most)
        self._settle(op, tried, self._memory.puk, before, left)

    def _left_after(self, op: str, tried: bytes, right: str, left: int, most: int) -> int:
        if left == 0:
            self._refuse(op, None, BLOCKED)
        if len(tried) != FIELD:
            self._refuse(op, None, BAD_DATA)  # no try: it is no code at all
        return most if tried.hex() == right else left - 1

    def _settle(self, op: str, tried: bytes, right: str, before: int, left: int) -> None:
        if tried.hex() != right:
            self._refuse(op, None, TRIES_LEFT | left, changed=True)
        if left != before:
            card_memory.save(self._path, self._memory)

    def _fit(self, op: str, new: bytes) -> str:
        digits = new.rstrip(b"\xff")
        short = not (digits.isdigit() and len(digits) >= LEAST_PIN)
        if len(new) != FIELD or (short and not self._manners.short_pin_accepted):
            self._refuse(op, None, BAD_DATA)
        return new.hex()

    # -- keys ----------------------------------------------------------------

    def _generate(self, apdu: ReceivedCommand) -> bytes:
        key_slot = f"{apdu.p2:02X}"
        if not self._authorized:
            self._refuse("generate", key_slot, NOT_ALLOWED)
        if not self._has_place(key_slot):
            self._refuse("generate", key_slot, WRONG_P1P2)
        number = inside(apdu.data, 0xAC, 0x80)
        if number not in PRIVATE_KEYS:
            self._refuse("generate", key_slot, BAD_DATA)
        self._private[key_slot] = key = PRIVATE_KEYS[number]()
        self._memory.keys[key_slot] = pem(key)
        self._done("generate", key_slot, spki_hash(key))
        return tlv(0x7F49, public_fields(key))

    def _metadata(self, apdu: ReceivedCommand) -> bytes:
        key_slot = f"{apdu.p2:02X}"
        if key_slot not in self._memory.keys:
            raise CardRefusal(NO_KEY)
        key = self._private_key(key_slot)
        number = card_key(key.public_key()).algorithm
        return tlv(0x01, bytes([number])) + tlv(0x04, public_fields(key))

    def _authenticate(self, apdu: ReceivedCommand, *, fresh: bool) -> bytes:
        if apdu.p2 == MANAGEMENT_KEY:
            return self._authenticate_host(apdu)
        return self._sign(apdu, f"{apdu.p2:02X}", fresh=fresh)

    def _sign(self, apdu: ReceivedCommand, key_slot: str, *, fresh: bool) -> bytes:
        if key_slot not in self._memory.keys:
            self._refuse("sign", key_slot, NO_KEY)
        key = self._private_key(key_slot)
        if card_key(key.public_key()).algorithm != apdu.p1:
            self._refuse("sign", key_slot, BAD_DATA)
        always = self._manners.strict_9c and apdu.p2 == SIGNATURE
        if apdu.p2 != NO_PIN_PLACE and not (fresh if always else self._pin_verified):
            self._refuse("sign", key_slot, NOT_ALLOWED)
        signature = raw_signature(key, inside(apdu.data, 0x7C, 0x81))
        if signature is None:
            self._refuse("sign", key_slot, BAD_DATA)
        self._tell("sign", key_slot, spki_hash(key))
        return tlv(0x7C, tlv(0x82, signature))

    def _authenticate_host(self, apdu: ReceivedCommand) -> bytes:
        cipher = ManagementCipher(
            self._memory.management_algorithm, bytes.fromhex(self._memory.management_key)
        )
        self._authorized = False
        if apdu.p1 != cipher.algorithm:
            raise CardRefusal(BAD_DATA)
        fields, witness = parse(inside(apdu.data, 0x7C)), self._witness
        self._witness = None
        if fields == {0x80: b""}:
            self._witness = secrets.token_bytes(cipher.block)
            return tlv(0x7C, tlv(0x80, cipher.encrypt(self._witness)))
        challenge = fields.get(0x81, b"")
        if witness is None or fields.get(0x80) != witness or len(challenge) != cipher.block:
            raise CardRefusal(self._manners.wrong_management_key)
        self._authorized = True
        return tlv(0x7C, tlv(0x82, cipher.encrypt(challenge)))

    def _attest(self, apdu: ReceivedCommand) -> bytes:
        """As YubiKeys do it: a certificate of a key that was made here, by the maker's key."""
        key_slot = f"{apdu.p1:02X}"
        if key_slot not in self._memory.keys:
            raise CardRefusal(NO_KEY)
        return attested(
            self._private_key(ATTESTING),
            self._private_key(key_slot),
            int(self.serial[-8:], 16),
            key_slot,
        )

    def _set_management_key(self, apdu: ReceivedCommand) -> bytes:
        """As YubiKeys do it; only whoever has the key before may."""
        if not self._authorized:
            raise CardRefusal(NOT_ALLOWED)
        algorithm, key_slot, length, key = *apdu.data[:3], apdu.data[3:]
        fits = algorithm in MANAGEMENT_ALGORITHMS.get(length, ()) and length == len(key)
        if key_slot != MANAGEMENT_KEY or not fits:
            raise CardRefusal(BAD_DATA)
        self._memory.management_key, self._memory.management_algorithm = key.hex(), algorithm
        self._done("set management key")
        return b""

    def _private_key(self, key_slot: str) -> PrivateKey:
        if key_slot not in self._private:
            text = self._memory.keys[key_slot].encode("ascii")
            key = load_pem_private_key(text, None, unsafe_skip_rsa_key_validation=True)
            if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
                raise TypeError(f"{self._path} holds a key of another kind in {key_slot}")
            self._private[key_slot] = key
        return self._private[key_slot]

    def _has_place(self, key_slot: str) -> bool:
        retired = int(key_slot, 16) - FIRST_RETIRED
        return key_slot in FOUR_PLACES or 0 <= retired < self._manners.retired_slots

    # -- what is remembered and told -----------------------------------------

    def _done(self, op: str, slot: str | None = None, sha256: str | None = None) -> None:
        self._remember_and_tell(op, slot, "ok", sha256)

    def _refuse(self, op: str, slot: str | None, status: int, *, changed: bool = False) -> NoReturn:
        if changed:
            self._remember_and_tell(op, slot, f"{status:04X}", None)
        else:
            self._tell(op, slot, result=f"{status:04X}")
        raise CardRefusal(status)

    def _remember_and_tell(
        self, op: str, slot: str | None, result: str, sha256: str | None
    ) -> None:
        """
        Change the file, then the ledger; killed in between, the next power-on tells the ledger.
        """
        deed: dict[str, str | None] = {"op": op, "slot": slot, "result": result, "sha256": sha256}
        self._memory.untold = deed if self._ledger else None
        card_memory.save(self._path, self._memory)
        self._tell_untold()

    def _tell_untold(self) -> None:
        deed = self._memory.untold
        if deed is None or self._ledger is None:
            return
        self._ledger.append(card=self.serial, **deed)
        self._memory.untold = None
        card_memory.save(self._path, self._memory)

    def _tell(
        self, op: str, slot: str | None = None, sha256: str | None = None, *, result: str = "ok"
    ) -> None:
        if self._ledger:
            self._ledger.append(card=self.serial, op=op, slot=slot, result=result, sha256=sha256)


@dataclass(frozen=True, kw_only=True)
class NewCard:
    """What a card is given before the bank hands it out."""

    serial: str
    pin: str = field(repr=False)
    puk: str = field(repr=False)
    management_key: bytes = field(repr=False)
    key_slot: str = "9C"
    algorithm: str = P256
    management_algorithm: int | None = None


def personalise(
    path: Path,
    card: NewCard,
    *,
    manners: CardProfile,
    certify: Callable[[bytes], bytes],
    ledger: ActivityLog | None = None,
    at: str | None = None,
) -> SimulatedCard:
    """
    Make a new card with its first key and certificate, as the bank hands it out.

    ``certify`` turns a public key (SPKI, DER) into a certificate (DER). ``at`` is the time of
    the ledger's first two lines, ISO 8601 in UTC.

    Raises:
        FileExistsError: there is a card in that file.
        ValueError: the serial has neither 8 nor 32 lower-case hex digits.
        BadPinFormatError, UnsupportedError
    """
    if path.exists():
        raise FileExistsError(f"there is a card in {path}")
    algorithms = MANAGEMENT_ALGORITHMS.get(len(card.management_key))
    if algorithms is None:
        raise UnsupportedError("a management key has 16, 24 or 32 bytes")
    memory = CardMemory(
        serial=card.serial,
        pin=pin_field(card.pin).hex(),
        puk=puk_field(card.puk).hex(),
        management_key=card.management_key.hex(),
        management_algorithm=card.management_algorithm or algorithms[0],
        pin_left=manners.pin_tries,
        puk_left=manners.puk_tries,
        objects=_first_objects(card.serial, manners),
    )
    key = PRIVATE_KEYS[bytes([ALGORITHMS[card.algorithm]])]()
    certificate = certify(spki(key))
    memory.keys[card.key_slot] = pem(key)
    tag = f"{CERTIFICATE_OBJECTS[card.key_slot]:06X}"
    memory.objects[tag] = certificate_container(certificate).hex()
    path.parent.mkdir(parents=True, exist_ok=True)
    card_memory.save(path, memory)
    if ledger:
        both = {"generate": spki_hash(key), "put": hashlib.sha256(certificate).hexdigest()}
        for op, sha256 in both.items():
            line = {"card": card.serial, "op": op, "slot": card.key_slot, "sha256": sha256}
            ledger.append(at=at, result="ok", **line)
    return SimulatedCard(path, manners, ledger)


def blank(
    path: Path,
    manners: CardProfile,
    *,
    number: str,
    has_serial: bool = False,
    ledger: ActivityLog | None = None,
) -> SimulatedCard:
    """
    Make a card as its maker delivers it: without keys, with codes that everybody knows.

    ``number`` is what the maker calls it; it tells it as its serial only if ``has_serial``.

    Raises:
        FileExistsError: there is a card in that file.
    """
    if path.exists():
        raise FileExistsError(f"there is a card in {path}")
    objects = _first_objects(number if has_serial else None, manners)
    memory = CardMemory(
        serial=number,
        pin=pin_field(FACTORY_PIN).hex(),
        puk=puk_field(FACTORY.puk).hex(),
        management_key=FACTORY.management_key.hex(),
        management_algorithm=MANAGEMENT_ALGORITHMS[len(FACTORY.management_key)][0],
        pin_left=manners.pin_tries,
        puk_left=manners.puk_tries,
        objects=objects,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    card_memory.save(path, memory)
    return SimulatedCard(path, manners, ledger)


def certificate_hash(container: bytes) -> str | None:
    """Return the SHA-256 of a container's certificate; ``None`` if it holds none."""
    try:
        der = certificate_in(container)
    except MalformedAnswerError:
        return None
    return hashlib.sha256(der).hexdigest() if der else None


def _first_objects(serial: str | None, manners: CardProfile) -> dict[str, str]:
    objects = {} if serial is None else {f"{CHUID:06X}": chuid_for(serial).hex()}
    if manners.key_history:
        none_retired = tlv(0xC1, b"\x00") + tlv(0xC2, b"\x00") + tlv(0xFE, b"")
        objects[f"{KEY_HISTORY:06X}"] = none_retired.hex()
    return objects
