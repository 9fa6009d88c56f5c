"""What a customer of the CA holds and asks, for its tests."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from renewal.clock import VirtualClock
from renewal.gateways.activity_log import ActivityLog
from renewal.gateways.ca.embedded.adapter import EmbeddedCa
from renewal.gateways.ca.port import IssuanceRequest

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

    from renewal.gateways.ca.embedded.ceremony import CaSettings

START = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
END = datetime(2027, 11, 23, 15, 59, 59, tzinfo=UTC)  #: 23:59:59 in Taipei
PASSPHRASE = "correct horse"  # noqa: S105 -- of a CA that lives as long as its test
LEDGER = "ca.jsonl"


def key(number: int = 0) -> ec.EllipticCurvePrivateKey:
    """Return the same key for the same number, for the length of a run."""
    return _key_and_csr(number)[0]


def csr(number: int = 0) -> bytes:
    return _key_and_csr(number)[1]


@cache
def _key_and_csr(number: int) -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    del number
    private = ec.generate_private_key(ec.SECP256R1())
    return private, csr_of(private)


def csr_of(private: CertificateIssuerPrivateKeyTypes) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a name that is not ours")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    return builder.sign(private, hashes.SHA256()).public_bytes(Encoding.DER)


def public_key(number: int = 0) -> bytes:
    return key(number).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def request(number: int = 0, **changed: object) -> IssuanceRequest:
    asked: dict[str, object] = {
        "request_id": f"renewal-{number}",
        "csr": csr(number) if "csr" not in changed else None,
        "common_name": f"J220230000-00-{number:06}",
        "profile": "signing",
        "not_before": START,
        "not_after": END,
    }
    return IssuanceRequest(**{**asked, **changed})  # type: ignore[arg-type]  # each test says what it changes


def open_ca(
    folder: Path, clock: VirtualClock | None = None, settings: CaSettings | None = None
) -> EmbeddedCa:
    clock = clock or VirtualClock(START)
    ledger = ActivityLog(folder / LEDGER, clock)
    return EmbeddedCa(folder / "ca", clock, PASSPHRASE, ledger=ledger, settings=settings)


def told(folder: Path) -> list[dict[str, str | None]]:
    """Return the lines of the outside ledger."""
    return [json.loads(line) for line in (folder / LEDGER).read_text().splitlines()]


def parsed(der: bytes) -> x509.Certificate:
    return x509.load_der_x509_certificate(der)


def serial_of(der: bytes) -> int:
    return parsed(der).serial_number


def ecdsa_key_of(der: bytes) -> ec.EllipticCurvePublicKey:
    found = parsed(der).public_key()
    assert isinstance(found, ec.EllipticCurvePublicKey)
    return found
