"""Gives simulated tokens what makers put into them: an attesting key, or a card's own key."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from token_station.piv.authenticity import MAKER_CERTIFICATE
from token_station.piv.data_objects import certificate_container
from token_station.piv.key_slots import certificate_object
from token_station.simulator import card_memory
from token_station.simulator.card_keys import pem
from token_station.trust_anchors import TrustAnchors

if TYPE_CHECKING:
    from pathlib import Path

FROM, UNTIL = datetime(2016, 1, 1, tzinfo=UTC), datetime(2052, 1, 1, tzinfo=UTC)


class Maker:
    """A maker of tokens with a root of its own."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("Maker's root")
        self.root = self._signed(self._name, self._key.public_key(), ca=True)

    @property
    def anchors(self) -> TrustAnchors:
        return TrustAnchors((self.root,))

    def _signed(
        self,
        name: x509.Name,
        public: ec.EllipticCurvePublicKey,
        *,
        ca: bool = False,
        until: datetime = UNTIL,
    ) -> x509.Certificate:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .serial_number(x509.random_serial_number())
            .not_valid_before(FROM)
            .not_valid_after(until)
            .public_key(public)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .sign(self._key, SHA256())
        )

    def give_attestation(self, path: Path, *, ca: bool = True) -> None:
        """As a YubiKey has it: a key in F9 that signs for keys made on the card."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed(_named("PIV attestation"), key.public_key(), ca=ca)
        memory = card_memory.load(path)
        memory.keys["F9"] = pem(key)
        _put(memory, MAKER_CERTIFICATE, certificate)
        card_memory.save(path, memory)

    def give_card_key(
        self, path: Path, *, serial: str | None = None, until: datetime = UNTIL
    ) -> None:
        """The standard's own way: a key in 9E that signs without a PIN."""
        key = ec.generate_private_key(ec.SECP256R1())
        memory = card_memory.load(path)
        name = _named(serial or memory.serial)
        memory.keys["9E"] = pem(key)
        _put(memory, certificate_object("9E"), self._signed(name, key.public_key(), until=until))
        card_memory.save(path, memory)


def copy_objects(source: Path, target: Path) -> None:
    """Make a copy: all that can be read, and not one key."""
    memory, read = card_memory.load(target), card_memory.load(source)
    memory.serial, memory.objects = read.serial, dict(read.objects)
    memory.keys = {}
    card_memory.save(target, memory)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _put(memory: card_memory.CardMemory, tag: int, certificate: x509.Certificate) -> None:
    container = certificate_container(certificate.public_bytes(Encoding.DER))
    memory.objects[f"{tag:06X}"] = container.hex()
