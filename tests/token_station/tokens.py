"""Makes tokens, certificates and whole renewals for the tests of the station."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)
from cryptography.x509.oid import NameOID

from renewal.clock import VirtualClock
from renewal.gateways.activity_log import ActivityLog
from token_station.piv.keys import P256
from token_station.piv.session import PivSession, open_token
from token_station.signing import csr, renewal_proof
from token_station.simulator.card import NewCard, SimulatedCard, personalise
from token_station.simulator.card_profiles import JAVACARD, NATIVE, CardProfile
from token_station.simulator.reader import SimulatedReader

if TYPE_CHECKING:
    from pathlib import Path

    from token_station.port import Transport

SERIAL = "029dc2d0"
PIN = "135790"
WRONG_PIN = "000000"
PUK = "24681357"
MANAGEMENT_KEY = bytes(range(24))
START = datetime(2026, 11, 1, tzinfo=UTC)
BOTH = (JAVACARD, NATIVE)


class PretendCa:
    """Certifies any public key; its own key lives as long as the test."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test CA")])
        self._serial = 1000
        everything = self._builder(self.name, START + timedelta(days=3650))
        authority = x509.BasicConstraints(ca=True, path_length=None)
        self.certificate = (
            everything.public_key(self.key.public_key())
            .add_extension(authority, critical=True)
            .sign(self.key, SHA256())
        )

    def certify(
        self,
        spki: bytes,
        *,
        not_after: datetime = START + timedelta(days=365),
        padding: bytes = b"",
    ) -> bytes:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A123456789-00-000001")])
        key = load_der_public_key(spki)
        assert isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey)
        builder = self._builder(subject, not_after).public_key(key)
        if padding:
            odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), padding)
            builder = builder.add_extension(odd, critical=False)
        return builder.sign(self.key, SHA256()).public_bytes(Encoding.DER)

    def _builder(self, subject: x509.Name, not_after: datetime) -> x509.CertificateBuilder:
        self._serial += 1
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .serial_number(self._serial)
            .not_valid_before(START)
            .not_valid_after(not_after)
        )


class Counted:
    """A transport that counts what goes through it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.frames: list[bytes] = []

    def transmit(self, frame: bytes) -> tuple[bytes, int]:
        self.frames.append(frame)
        return self._transport.transmit(frame)


@dataclass
class Desk:
    """
    A branch's desk: one reader, one token, one CA.

    No Scenario: what a token does is tested without a bank, a store or a clock that moves.
    """

    path: Path
    manners: CardProfile = JAVACARD
    algorithm: str = P256
    serial: str = SERIAL
    ca: PretendCa = field(default_factory=PretendCa)

    def __post_init__(self) -> None:
        self.ledger_path = self.path / "cards.jsonl"
        self.ledger = ActivityLog(self.ledger_path, VirtualClock(START))
        self.card_path = self.path / f"{self.serial}.json"
        self.card = self.make_card(self.serial)
        self.reader = SimulatedReader("Desk 1")
        self.reader.insert(self.card)
        self.old = self.session().read_certificate("9C") or b""

    def make_card(self, serial: str) -> SimulatedCard:
        return personalise(
            self.path / f"{serial}.json",
            NewCard(
                serial=serial,
                pin=PIN,
                puk=PUK,
                management_key=MANAGEMENT_KEY,
                algorithm=self.algorithm,
            ),
            manners=self.manners,
            certify=self.ca.certify,
            ledger=self.ledger,
        )

    def session(self) -> PivSession:
        return open_token(self.reader, MANAGEMENT_KEY)

    def counted_session(self) -> tuple[PivSession, Counted]:
        transport = self.reader.connect()
        assert transport is not None
        counted = Counted(transport)
        return PivSession(counted, MANAGEMENT_KEY), counted

    def renew(self, session: PivSession) -> bytes:
        """Do a whole renewal as the station does; return the new certificate."""
        session.assert_serial(self.serial)
        place = session.choose_key_slot(keep=[self.old])
        session.generate(place, self.algorithm)
        request = csr(session, place, PIN)
        renewal_proof(session, "9C", PIN, request)
        new = self.ca.certify(request_key(request), not_after=START + timedelta(days=730))
        session.write_certificate(place, new, pin=PIN)
        return new


def request_key(request: bytes) -> bytes:
    """Return the public key (SPKI, DER) of a request that verifies."""
    read = x509.load_der_x509_csr(request)
    assert read.is_signature_valid
    return read.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
