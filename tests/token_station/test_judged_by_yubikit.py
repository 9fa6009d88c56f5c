"""Lets an independent client judge the simulated card, and what our session leaves on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from yubikit.core import TRANSPORT, InvalidPinError, NotSupportedError
from yubikit.core.smartcard import ApduError, SmartCardConnection
from yubikit.piv import KEY_TYPE, OBJECT_ID, SLOT
from yubikit.piv import PivSession as YubiSession

from tests.token_station.tokens import MANAGEMENT_KEY, PIN, PUK, WRONG_PIN, Desk
from token_station.piv.keys import RSA2048

if TYPE_CHECKING:
    from pathlib import Path

    from token_station.port import Transport

GET_VERSION = bytes.fromhex("00FD000000")
OLD_YUBIKEY = bytes([3, 4, 0])  #: a version for which yubikit keeps to the standard's commands


class OverOurTransport(SmartCardConnection):
    """Carries yubikit's commands; answers for the card only what the standard does not know."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def transport(self) -> TRANSPORT:
        return TRANSPORT.USB

    def send_and_receive(self, apdu: bytes) -> tuple[bytes, int]:
        refused = self._transport.transmit(apdu)
        return (OLD_YUBIKEY, 0x9000) if apdu == GET_VERSION else refused

    def close(self) -> None:
        pass


def yubikit(desk: Desk) -> YubiSession:
    transport = desk.reader.connect()
    assert transport is not None
    return YubiSession(OverOurTransport(transport))


def spki(public: ec.EllipticCurvePublicKey) -> bytes:
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def test_yubikit_reads_both_certificates_after_our_renewal(desk: Desk) -> None:
    new = desk.renew(desk.session())

    judge = yubikit(desk)

    assert judge.get_certificate(SLOT.SIGNATURE).public_bytes(Encoding.DER) == desk.old
    assert judge.get_certificate(SLOT.AUTHENTICATION).public_bytes(Encoding.DER) == new


def test_yubikit_unpacks_what_we_packed(desk: Desk) -> None:
    session = desk.session()
    large = desk.ca.certify(session.generate("9A", "P-256"), padding=b"x" * 5000)
    session.write_certificate("9A", large)

    read = yubikit(desk).get_certificate(SLOT.AUTHENTICATION)

    assert read.public_bytes(Encoding.DER) == large


def test_yubikit_signs_with_the_key_that_we_renewed(desk: Desk) -> None:
    new = x509.load_der_x509_certificate(desk.renew(desk.session()))
    judge = yubikit(desk)
    judge.verify_pin(PIN)

    signature = judge.sign(SLOT.AUTHENTICATION, KEY_TYPE.ECCP256, b"data", SHA256())

    key = new.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(signature, b"data", ec.ECDSA(SHA256()))


def test_we_read_and_use_what_yubikit_made(desk: Desk) -> None:
    judge = yubikit(desk)
    judge.authenticate(MANAGEMENT_KEY)
    public = judge.generate_key(SLOT.AUTHENTICATION, KEY_TYPE.ECCP256)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    certificate = x509.load_der_x509_certificate(desk.ca.certify(spki(public)))
    judge.put_certificate(SLOT.AUTHENTICATION, certificate)

    session = desk.session()

    assert session.read_certificate("9A") == certificate.public_bytes(Encoding.DER)
    public.verify(session.sign("9A", b"data", pin=PIN), b"data", ec.ECDSA(SHA256()))


def test_yubikit_counts_the_same_tries(desk: Desk) -> None:
    judge = yubikit(desk)

    with pytest.raises(InvalidPinError) as caught:
        judge.verify_pin(WRONG_PIN)

    left = desk.manners.pin_tries - 1
    assert caught.value.attempts_remaining == left
    assert judge.get_pin_attempts() == left
    assert desk.session().tries_left() == left


def test_yubikit_changes_and_unblocks_the_pin(desk: Desk) -> None:
    judge = yubikit(desk)

    judge.change_pin(PIN, "111222")
    judge.unblock_pin(PUK, "333444")

    desk.session().sign("9C", b"data", pin="333444")


def test_yubikit_is_refused_with_the_wrong_management_key(desk: Desk) -> None:
    judge = yubikit(desk)

    with pytest.raises(ApduError) as caught:
        judge.authenticate(bytes(24))

    assert caught.value.sw == desk.manners.wrong_management_key


def test_yubikit_deletes_a_certificate_and_we_find_none(desk: Desk) -> None:
    judge = yubikit(desk)
    judge.authenticate(MANAGEMENT_KEY)

    judge.delete_certificate(SLOT.SIGNATURE)

    assert desk.session().read_certificate("9C") is None


def test_key_history_is_told_or_not_there(desk: Desk) -> None:
    judge = yubikit(desk)

    if desk.manners.key_history:
        assert judge.get_object(OBJECT_ID.KEY_HISTORY)
    else:
        with pytest.raises(ApduError):
            judge.get_object(OBJECT_ID.KEY_HISTORY)


def test_yubikeys_own_commands_are_refused(desk: Desk) -> None:
    with pytest.raises(NotSupportedError):
        yubikit(desk).get_pin_metadata()


def test_yubikit_signs_with_rsa_through_a_chain(tmp_path: Path) -> None:
    desk = Desk(tmp_path, algorithm=RSA2048)
    judge = yubikit(desk)
    judge.verify_pin(PIN)

    signature = judge.sign(SLOT.SIGNATURE, KEY_TYPE.RSA2048, b"data", SHA256(), padding.PKCS1v15())

    key = x509.load_der_x509_certificate(desk.old).public_key()
    key.verify(signature, b"data", padding.PKCS1v15(), SHA256())  # type: ignore[call-arg,union-attr,arg-type]
