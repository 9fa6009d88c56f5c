"""Tokens through their maker's PKCS#11 module; the only module that imports pkcs11."""

from __future__ import annotations

import hashlib
import secrets
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pkcs11
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass, TokenFlag
from pkcs11.util.ec import encode_ec_public_key, encode_named_curve_parameters

from renewal.rules import x509
from schema.reasons import TokenReason
from token_station.errors import (
    BadPinFormatError,
    CannotMakeKeyError,
    CardRemovedError,
    KeyMismatchError,
    MalformedAnswerError,
    ModuleError,
    NoFreeKeySlotError,
    NotAuthorizedError,
    NotBlankError,
    NoWriteKeyError,
    OtherCardError,
    PinBlockedError,
    PinWrongError,
    ReadBackError,
    TokenError,
    TooLargeError,
    UnsupportedError,
)
from token_station.piv.keys import (
    ALGORITHMS,
    P256,
    RSA_BITS,
    SHA256_INFO,
    CardKey,
    card_key,
    key_from_spki,
    key_of_certificate,
)
from token_station.piv.pins import guard_last_try
from token_station.port import TokenCertificate, TokenInfo

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from renewal.rules.token_keys import WriteKeys
    from token_station.models import TokenModel

GONE = (
    pkcs11.DeviceRemoved, pkcs11.TokenNotPresent, pkcs11.SessionHandleInvalid,
    pkcs11.SessionClosed, pkcs11.SlotIDInvalid, pkcs11.TokenNotRecognised, pkcs11.NoSuchToken,
)  # fmt: skip
UNFIT = (pkcs11.PinLenRange, pkcs11.PinInvalid, pkcs11.PinTooWeak)
CANNOT = (
    pkcs11.MechanismInvalid, pkcs11.MechanismParamInvalid, pkcs11.KeySizeRange,
    pkcs11.FunctionNotSupported, pkcs11.DomainParamsInvalid, pkcs11.AttributeValueInvalid,
)  # fmt: skip
CHALLENGE = 32  #: bytes


class Pkcs11Reader:
    """One slot of a module."""

    def __init__(self, slot: pkcs11.Slot, model: TokenModel) -> None:
        self._slot = slot
        self._model = model
        self._session: Pkcs11Session | None = None
        self.name = slot.slot_description or f"slot {slot.slot_id}"

    def __repr__(self) -> str:
        return f"Pkcs11Reader({self.name!r})"

    @property
    def label(self) -> str:
        """What the token calls itself; empty: there is none."""
        try:
            return self._slot.get_token().label
        except pkcs11.PKCS11Error:
            return ""

    def open_token(self, write_keys: WriteKeys) -> Pkcs11Session:
        """
        Raises:
            CardRemovedError: there is none.
        """
        self.release()
        with _translated():
            token = self._slot.get_token()
            self._session = Pkcs11Session(token, self._model, write_keys)
        return self._session

    def open_blank(self, serial: str, write_keys: WriteKeys) -> BlankPkcs11Token:
        """
        Raises:
            CardRemovedError: there is none.
            OtherCardError: another one is in the slot.
        """
        session = self.open_token(write_keys)
        session.assert_serial(serial)
        return BlankPkcs11Token(session)

    def release(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()


def readers(model: TokenModel) -> list[Pkcs11Reader]:
    """
    The slots of the model's module, with a token or without.

    Raises:
        ModelError, ModuleError
    """
    path = model.module()
    try:
        slots = pkcs11.lib(path).get_slots()
    except (pkcs11.PKCS11Error, RuntimeError) as error:
        raise ModuleError(f"{path} does not start ({type(error).__name__})") from error
    return [Pkcs11Reader(slot, model) for slot in slots]


class Pkcs11Session:
    """One visit to one token; keeps no PIN: while somebody is logged in, the token knows."""

    def __init__(self, token: pkcs11.Token, model: TokenModel, write_keys: WriteKeys) -> None:
        self._token = token
        self._model = model
        self._write_keys = write_keys
        self._serial = token.serial.decode("ascii", "replace").strip(" \0").lower()
        self._user: pkcs11.Session | None = None
        self._keys: dict[str, CardKey] = {}
        self._kept: frozenset[str] = frozenset()
        if not self._serial:
            raise UnsupportedError("the token has no serial of its own")

    def __repr__(self) -> str:
        return f"Pkcs11Session({self._serial})"

    @property
    def serial(self) -> str:
        return self._serial

    def close(self) -> None:
        user, self._user = self._user, None
        if user is not None:
            with suppress(pkcs11.PKCS11Error):
                user.close()

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Log out while a person is asked."""
        self.close()
        yield
        self.assert_serial(self._serial)

    def info(self) -> TokenInfo:
        return TokenInfo(
            kind=self._model.name,
            serial=self._serial,
            tries_left=self.tries_left(),
            key_slots=self._model.places,
        )

    def assert_serial(self, serial: str) -> None:
        """A module may answer from what it remembers: the slot itself is asked."""
        with _translated():
            found = self._token.slot.get_token().serial.decode("ascii", "replace")
        if serial != self._serial or found.strip(" \0").lower() != serial:
            raise OtherCardError(f"token {serial} is expected, another one is in the slot")

    # -- PIN ---------------------------------------------------------------

    def tries_left(self) -> int | None:
        """PKCS#11 tells no number but flags: locked, the last try, few; else the model's number."""
        with _translated():
            flags = self._token.slot.get_token().flags
        if flags & TokenFlag.USER_PIN_LOCKED:
            return 0
        if flags & TokenFlag.USER_PIN_FINAL_TRY:
            return 1
        return 2 if flags & TokenFlag.USER_PIN_COUNT_LOW else self._model.pin_tries

    def verify_pin(self, pin: str, *, last_try_released: bool = False) -> None:
        self._log_in(pin, released=last_try_released)

    def _log_in(self, pin: str, *, released: bool) -> pkcs11.Session:
        """Log in once for the visit; the PIN is tried by this alone."""
        if self._user is not None:
            return self._user
        self._check_form(pin)
        guard_last_try(self.tries_left(), released=released)
        with self._judged():
            self._user = self._token.open(rw=True, user_pin=pin)
        return self._user

    def change_pin(self, old: str, new: str, *, last_try_released: bool = False) -> None:
        self._check_form(old)
        self._check_form(new)
        self.close()
        guard_last_try(self.tries_left(), released=last_try_released)
        with self._judged(), self._token.open(rw=True, user_pin=old) as session:
            session.set_pin(old, new)

    def unblock_pin(self, puk: str, new: str, *, last_try_released: bool = False) -> None:
        """The security officer's PIN is what other tokens call the unblocking code."""
        del last_try_released  # of the officer's PIN no token tells the tries
        self._check_form(new)
        self.close()
        with self._judged(), self._token.open(rw=True, so_pin=puk) as session:
            session.init_pin(new)

    def token_flags(self) -> TokenFlag:
        return self._token.slot.get_token().flags

    def set_first_pin(self, pin: str) -> None:
        """
        Raises:
            BadPinFormatError, NotAuthorizedError
        """
        self._check_form(pin)
        self.close()
        with self._as_officer() as session:
            session.init_pin(pin)

    def remember_puk_tries(self, left: int | None) -> None:
        """The officer's PIN has flags of its own, which no module was seen to keep."""

    def _check_form(self, pin: str) -> None:
        least, most = self._model.pin_length
        if not least <= len(pin) <= most:
            raise BadPinFormatError(
                f"a PIN of this token has {least} to {most} characters: nothing was sent to it"
            )

    @contextmanager
    def _judged(self) -> Iterator[None]:
        try:
            with _translated():
                yield
        except _PinRefusedError as error:
            left = self.tries_left()
            if left == 0:
                raise PinBlockedError("the PIN is blocked") from error
            raise PinWrongError(self._model.pin_tries if left is None else left) from error

    # -- keys --------------------------------------------------------------

    def certificates(self) -> tuple[TokenCertificate, ...]:
        """Our places first, then whatever else carries a certificate."""
        found = self._all_certificates()
        ours = [key_slot for key_slot in self._model.places if key_slot in found]
        others = sorted(found.keys() - set(ours))
        return tuple(TokenCertificate(key_slot=one, der=found[one]) for one in (*ours, *others))

    def unreadable(self) -> tuple[str, ...]:
        return ()

    def choose_key_slot(self, *, keep: Collection[bytes]) -> str:
        """
        Return one of our places that holds none of the certificates to be kept, an empty one first.
        """
        found = self._all_certificates()
        self._kept |= {key_slot for key_slot, der in found.items() if der in keep}
        if set(keep) - set(found.values()):
            raise NoFreeKeySlotError("a certificate to be kept is not to be found on the token")
        free = [key_slot for key_slot in self._model.places if key_slot not in self._kept]
        if not free:
            raise NoFreeKeySlotError("every place of the token holds a certificate to be kept")
        return min(free, key=lambda key_slot: key_slot in found)

    def generate(self, key_slot: str, algorithm: str) -> bytes:
        """Make a new key there, destroying the one before; return the public key (SPKI, DER)."""
        if algorithm not in ALGORITHMS:
            raise UnsupportedError(f"a token's key is {' or '.join(ALGORITHMS)}, not {algorithm!r}")
        self._refuse_kept(key_slot)
        named = {"id": bytes.fromhex(key_slot), "label": self._label(key_slot)}
        with self._writing() as session:
            if not self._model.overwrites:
                self._destroy(session, key_slot)
            try:
                public, _ = _generated(session, algorithm, named)
            except CANNOT as error:
                raise CannotMakeKeyError(f"the token makes no {algorithm} key") from error
            key = key_of(public)
        self._keys[key_slot] = key
        return key.spki

    def remember_key(self, key_slot: str, public_key: bytes) -> None:
        self._keys[key_slot] = key_from_spki(public_key)

    def public_key(self, key_slot: str) -> bytes | None:
        if key_slot in self._keys:
            return self._keys[key_slot].spki
        with self._reading() as session:
            public = next(_objects(session, ObjectClass.PUBLIC_KEY, key_slot), None)
            return None if public is None else key_of(public).spki

    def find_key(self, key_slot: str, algorithm: str, *, pin: str) -> bytes | None:
        with _translated():
            session = self._log_in(pin, released=False)
            public = next(_objects(session, ObjectClass.PUBLIC_KEY, key_slot), None)
            if public is None:
                return None
            key = key_of(public)
        if key.algorithm != ALGORITHMS[algorithm]:
            return None
        self._keys[key_slot] = key
        return key.spki

    def holds_key(self, key_slot: str, *, pin: str) -> bool:
        with _translated():
            session = self._log_in(pin, released=False)
            return next(_objects(session, ObjectClass.PRIVATE_KEY, key_slot), None) is not None

    def sign(
        self, key_slot: str, data: bytes, *, pin: str, last_try_released: bool = False
    ) -> bytes:
        return self._sign(key_slot, self._key(key_slot), data, pin, released=last_try_released)

    def _sign(self, key_slot: str, key: CardKey, data: bytes, pin: str, *, released: bool) -> bytes:
        digest = hashlib.sha256(data).digest()
        is_ec = isinstance(key.public, ec.EllipticCurvePublicKey)
        with _translated():
            session = self._log_in(pin, released=released)
            private: Any = next(_objects(session, ObjectClass.PRIVATE_KEY, key_slot), None)
            if private is None:
                raise UnsupportedError(f"there is no private key in {key_slot}")
            again = pin if _always(private) else None
            given = digest if is_ec else SHA256_INFO + digest
            mechanism = Mechanism.ECDSA if is_ec else Mechanism.RSA_PKCS
            signature = bytes(private.sign(given, mechanism=mechanism, pin=again))
        if is_ec:
            half = len(signature) // 2
            r, s = (int.from_bytes(part) for part in (signature[:half], signature[half:]))
            signature = encode_dss_signature(r, s)
        key.check(data, signature)
        return signature

    # -- certificates ------------------------------------------------------

    def write_certificate(self, key_slot: str, der: bytes, *, pin: str | None = None) -> None:
        key = key_of_certificate(der)
        if self.public_key(key_slot) not in {None, key.spki}:
            raise KeyMismatchError(f"the certificate's key is not the key in {key_slot}")
        if pin is not None:
            self._sign(key_slot, key, secrets.token_bytes(CHALLENGE), pin, released=False)
        self._refuse_kept(key_slot)
        with self._writing() as session:
            before = list(_objects(session, ObjectClass.CERTIFICATE, key_slot))
            session.create_object(_certificate(key_slot, self._label(key_slot), der))
            if not self._model.overwrites:  # only now, that the new one is there
                for old in before:
                    old.destroy()
        if self.read_certificate(key_slot) != der:
            raise ReadBackError(f"{key_slot} does not hold the certificate that was written")

    def read_certificate(self, key_slot: str) -> bytes | None:
        self.assert_serial(self._serial)
        return self._all_certificates().get(key_slot)

    def _all_certificates(self) -> dict[str, bytes]:
        with self._reading() as session:
            found = session.get_objects({Attribute.CLASS: ObjectClass.CERTIFICATE})
            return certificates_in(found)

    # -- sessions ----------------------------------------------------------

    @contextmanager
    def _reading(self) -> Iterator[pkcs11.Session]:
        with _translated():
            if self._user is not None:
                yield self._user
                return
            with self._token.open() as session:
                yield session

    @contextmanager
    def _writing(self) -> Iterator[pkcs11.Session]:
        """
        A session that may write: the user's, or one of the officer's, who never is in beside them.
        """
        with _translated():
            if self._model.write_as == "user":
                if self._user is None:
                    raise NotAuthorizedError("this token is written by its user: the PIN first")
                yield self._user
                return
            self.close()
            with self._as_officer() as session:
                yield session

    @contextmanager
    def _as_officer(self) -> Iterator[pkcs11.Session]:
        """A session of the security officer's, by the key for writing: it is given once."""
        key = next(iter(self._write_keys.fitting(self.serial)), None)
        if key is None:
            raise NoWriteKeyError(reason=TokenReason.NO_WRITE_KEY)
        so_pin = key.hex() if self._model.so_pin == "hex" else key.decode("ascii", "replace")
        with _translated():
            try:
                opened = self._token.open(rw=True, so_pin=so_pin)
            except (pkcs11.PinIncorrect, pkcs11.PinLocked, *UNFIT) as error:
                raise NotAuthorizedError("the token refused the key for writing") from error
            with opened as session:
                yield session

    def _destroy(self, session: pkcs11.Session, key_slot: str) -> None:
        for kind in (ObjectClass.CERTIFICATE, ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY):
            for one in list(_objects(session, kind, key_slot)):
                one.destroy()

    def _key(self, key_slot: str) -> CardKey:
        spki = self.public_key(key_slot)
        if spki is not None:
            return key_from_spki(spki)
        der = self.read_certificate(key_slot)
        if der is None:
            raise UnsupportedError(
                f"nothing is known of the key in {key_slot}: remember_key tells it"
            )
        return key_of_certificate(der)

    def _label(self, key_slot: str) -> str | None:
        return self._model.label.format(place=key_slot) or None

    def _refuse_kept(self, key_slot: str) -> None:
        if key_slot in self._kept:
            raise NoFreeKeySlotError(f"{key_slot} holds a certificate that must be kept")


class BlankPkcs11Token:
    """
    A token that its maker's tool has initialised with the bank's officer PIN, and nobody uses yet.
    """

    def __init__(self, session: Pkcs11Session) -> None:
        self._session = session

    @property
    def serial(self) -> str:
        return self._session.serial

    def refuse_used(self) -> None:
        """
        Raises:
            NotBlankError: it has a user's PIN, a certificate or a key.
        """
        session = self._session
        with _translated():
            if session.token_flags() & TokenFlag.USER_PIN_INITIALIZED:
                raise NotBlankError(reason=TokenReason.NOT_BLANK_PIN)
        key_slot = next((one.key_slot for one in session.certificates()), None)
        if key_slot is not None:
            raise NotBlankError(reason=TokenReason.NOT_BLANK_CERTIFICATE.why(slot=key_slot))
        for key_slot in session.info().key_slots:
            if session.public_key(key_slot) is not None:
                raise NotBlankError(reason=TokenReason.NOT_BLANK_KEY.why(slot=key_slot))

    def give_serial(self) -> None:
        """Its maker has."""

    def set_management_key(self) -> None:
        """The officer's PIN was set when the token was initialised."""

    def has_serial(self) -> bool:
        return True

    def set_puk(self, *, attempt: int = 1, last_try_released: bool = False) -> None:
        """The officer's PIN is what unblocks."""


class _PinRefusedError(TokenError):
    """The module says that a PIN is wrong; its flags say how many tries are left."""


@contextmanager
def _translated() -> Iterator[None]:
    """Say what the module says by the names of the port's errors."""
    try:
        yield
    except GONE as error:
        raise CardRemovedError("the token was taken out") from error
    except pkcs11.PinIncorrect as error:
        raise _PinRefusedError("the PIN is wrong") from error
    except pkcs11.PinLocked as error:
        raise PinBlockedError("the PIN is blocked") from error
    except UNFIT as error:
        raise BadPinFormatError("the token does not take a PIN of this form") from error
    except pkcs11.DeviceMemory as error:
        raise TooLargeError("the token is full") from error
    except pkcs11.PKCS11Error as error:
        raise ModuleError(f"the token's module answered {type(error).__name__}") from error


def _objects(session: pkcs11.Session, kind: ObjectClass, key_slot: str) -> Iterator[Any]:
    return session.get_objects({Attribute.CLASS: kind, Attribute.ID: bytes.fromhex(key_slot)})


def _generated(session: Any, algorithm: str, named: dict[str, Any]) -> tuple[Any, Any]:  # noqa: ANN401 - the library's own
    if algorithm == P256:
        curve = {Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
        parameters = session.create_domain_parameters(KeyType.EC, curve, local=True)
        pair: tuple[Any, Any] = parameters.generate_keypair(store=True, **named)
    else:
        pair = session.generate_keypair(KeyType.RSA, RSA_BITS, store=True, **named)
    return pair


def certificates_in(found: Iterable[Any]) -> dict[str, bytes]:
    """Return the certificates (DER) by their ids; what has no id, or is none, is left out."""
    certificates = {}
    for one in found:
        try:
            key_slot, der = one[Attribute.ID].hex(), bytes(one[Attribute.VALUE])
            x509.read(der)
        except (pkcs11.AttributeTypeInvalid, KeyError, x509.UnreadableCertificateError):
            continue
        certificates[key_slot] = der
    return certificates


def key_of(public: Any) -> CardKey:  # noqa: ANN401 - the library's own
    """
    Raises:
        MalformedAnswerError: what the module tells is no public key of a kind that is used here.
    """
    try:
        if public.key_type == KeyType.EC:
            return key_from_spki(encode_ec_public_key(public))
        modulus = int.from_bytes(public[Attribute.MODULUS])
        exponent = int.from_bytes(public[Attribute.PUBLIC_EXPONENT])
        return card_key(rsa.RSAPublicNumbers(exponent, modulus).public_key())
    except (ValueError, TypeError, KeyError, OverflowError, UnsupportedError) as error:
        raise MalformedAnswerError("the module's public key is none") from error


def _always(private: Any) -> bool:  # noqa: ANN401 - the library's own
    try:
        return bool(private[Attribute.ALWAYS_AUTHENTICATE])
    except pkcs11.PKCS11Error:
        return False


def _certificate(key_slot: str, label: str | None, der: bytes) -> dict[Attribute, Any]:
    read = asn1_x509.Certificate.load(der)
    attributes = {
        Attribute.CLASS: ObjectClass.CERTIFICATE,
        Attribute.CERTIFICATE_TYPE: pkcs11.CertificateType.X_509,
        Attribute.TOKEN: True,
        Attribute.ID: bytes.fromhex(key_slot),
        Attribute.SUBJECT: read.subject.dump(),
        Attribute.ISSUER: read.issuer.dump(),
        Attribute.SERIAL_NUMBER: asn1_serial(read),
        Attribute.VALUE: der,
    }
    return attributes if label is None else {**attributes, Attribute.LABEL: label}


def asn1_serial(read: asn1_x509.Certificate) -> bytes:
    """The serial number in DER, as CKA_SERIAL_NUMBER has it (PKCS#11 v2.40, 4.6.3)."""
    der: bytes = read["tbs_certificate"]["serial_number"].dump()
    return der
