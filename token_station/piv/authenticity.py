"""Lets a PIV token prove which one it is, before anything is made on it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import NameOID

from schema.reasons import TokenReason
from token_station.errors import (
    CardError,
    KeyMismatchError,
    MalformedAnswerError,
    NotGenuineError,
    UnsupportedError,
)
from token_station.piv.apdu import OK, CardChannel, Command, inside, tlv
from token_station.piv.data_objects import certificate_in
from token_station.piv.key_slots import certificate_object
from token_station.piv.keys import CardKey, card_key

if TYPE_CHECKING:
    from datetime import datetime

    from token_station.trust_anchors import TrustAnchors

CARD_KEY = "9E"  #: signs without a PIN (NIST SP 800-73-4 part 1, 3.3.4)
MAKER = "F9"
MAKER_CERTIFICATE: Final = 0x5FFF01  #: of YubiKeys, and of those that follow them
ATTEST: Final = 0xF9
#: Yubico's extension: the number that is printed on the token, as an INTEGER.
SERIAL_OID: Final = x509.ObjectIdentifier("1.3.6.1.4.1.41482.3.7")
INTEGER: Final = 0x02
SHORT_SERIAL: Final = 8  #: digits
CHALLENGE: Final = 32  #: bytes


@dataclass(frozen=True, kw_only=True)
class Authenticity:
    """
    A token's proofs: its card authentication key, or its maker's attestation of a key.

    A serial and a certificate can be copied to another token; neither of these keys can.
    """

    channel: CardChannel
    serial: str
    anchors: TrustAnchors
    now: datetime

    def check(self, in_force: tuple[str, bytes] | None) -> None:
        """
        ``in_force``: place and certificate (DER) whose key is to be attested. A token that has
        neither passes with a certificate in force, whose key signs next; a blank one does not.

        Raises:
            NotGenuineError
            MalformedAnswerError, CardRemovedError
        """
        if not self.anchors:
            return
        if self._has_card_key() or self._is_attested(in_force):
            return
        if in_force is None:
            raise NotGenuineError(reason=TokenReason.NOT_GENUINE_NOTHING)

    def check_made(self, key_slot: str, spki: bytes) -> None:
        """
        See that a key was made on this very token, where its maker attests that.

        Raises:
            NotGenuineError
        """
        if self.anchors and self._certificate(MAKER_CERTIFICATE) is not None:
            self._check_attested(key_slot, spki)

    def _has_card_key(self) -> bool:
        certificate = self._certificate(certificate_object(CARD_KEY))
        if certificate is None:
            return False
        if not self.anchors.vouch_for(certificate, (), at=self.now):
            raise NotGenuineError(reason=TokenReason.NOT_GENUINE_ISSUER.why(slot=CARD_KEY))
        self._check_signs(card_key(certificate.public_key()))
        if self.serial not in _names(certificate):
            raise NotGenuineError(reason=TokenReason.NOT_GENUINE_SERIAL.why(slot=CARD_KEY))
        return True

    def _check_signs(self, key: CardKey) -> None:
        data = secrets.token_bytes(CHALLENGE)
        template = tlv(0x7C, tlv(0x82, b"") + tlv(0x81, key.to_be_signed(data)))
        command = Command(
            ins=0x87, p1=key.algorithm, p2=int(CARD_KEY, 16), data=template, answers=True
        )
        try:
            key.check(data, inside(self.channel.expect(command, "sign"), 0x7C, 0x82))
        except (CardError, KeyMismatchError) as error:
            why = TokenReason.NOT_GENUINE_KEY.why(slot=CARD_KEY)
            raise NotGenuineError(reason=why) from error

    def _is_attested(self, in_force: tuple[str, bytes] | None) -> bool:
        maker = self._certificate(MAKER_CERTIFICATE)
        if maker is None:
            return False
        if in_force is not None:
            key_slot, der = in_force
            self._check_attested(key_slot, CardKey(card_key(_read(der).public_key()).public).spki)
        elif not self.anchors.vouch_for(maker, (), at=self.now):
            raise NotGenuineError(reason=TokenReason.NOT_GENUINE_ISSUER.why(slot=MAKER))
        return True

    def _check_attested(self, key_slot: str, spki: bytes) -> None:
        answer, status = self.channel.send(Command(ins=ATTEST, p1=int(key_slot, 16), answers=True))
        if status != OK:  # an imported key, or none
            raise NotGenuineError(reason=TokenReason.NOT_GENUINE_KEY.why(slot=key_slot))
        found = _read(answer)
        maker = self._certificate(MAKER_CERTIFICATE)
        if maker is None or not self.anchors.vouch_for(found, (maker,), at=self.now):
            raise NotGenuineError(reason=TokenReason.NOT_GENUINE_ISSUER.why(slot=MAKER))
        if card_key(found.public_key()).spki != spki:
            raise NotGenuineError(reason=TokenReason.NOT_GENUINE_KEY.why(slot=key_slot))
        if len(self.serial) == SHORT_SERIAL and self.serial not in _printed(found):
            raise NotGenuineError(reason=TokenReason.NOT_GENUINE_SERIAL.why(slot=key_slot))

    def _certificate(self, tag: int) -> x509.Certificate | None:
        data = tlv(0x5C, tag.to_bytes(3, "big"))
        command = Command(ins=0xCB, p1=0x3F, p2=0xFF, data=data, answers=True)
        answer, status = self.channel.send(command)
        if status != OK or not answer:
            return None
        der = certificate_in(inside(answer, 0x53))
        return _read(der) if der else None


def _read(der: bytes) -> x509.Certificate:
    """
    Raises:
        MalformedAnswerError: it is no certificate, or its key is of no kind that is used here.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        card_key(certificate.public_key())
    except (ValueError, TypeError, UnsupportedAlgorithm, UnsupportedError) as error:
        raise MalformedAnswerError("what the token shows is not a certificate") from error
    return certificate


def _names(certificate: x509.Certificate) -> set[str]:
    """What the certificate of a card's own key calls the card."""
    try:
        subject = certificate.subject
    except ValueError as error:
        raise MalformedAnswerError("the certificate's subject cannot be read") from error
    found = [
        one
        for oid in (NameOID.SERIAL_NUMBER, NameOID.COMMON_NAME)
        for one in subject.get_attributes_for_oid(oid)
    ]
    return {str(one.value).strip().lower() for one in found}


def _printed(attestation: x509.Certificate) -> set[str]:
    """The serial that is attested, as makers print it: in decimal or hexadecimal digits."""
    try:
        value = attestation.extensions.get_extension_for_oid(SERIAL_OID).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return set()
    raw = value.value if isinstance(value, x509.UnrecognizedExtension) else b""
    number = int.from_bytes(inside(raw, INTEGER), "big")
    return {f"{number:08d}", f"{number:08x}"}
