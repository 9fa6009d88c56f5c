"""
Holds what Go's parser demands of an OCSP answer, where no Go is.

``ocsp.ParseResponseForCert`` of golang.org/x/crypto v0.59.0 accepted the answers to GET and POST,
with SHA-1 and SHA-256, of a good, a revoked and a suspended certificate. It wants strict DER with
nothing behind it, a responder named by its name or its key, an answer for the serial that was
asked, no critical extension of a single answer, and the signer's certificate as the first one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from asn1crypto import ocsp as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from schema.events import RevocationReason
from tests.renewal.gateways.ca.asking import open_ca, request, serial_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from renewal.gateways.ca.embedded.adapter import EmbeddedCa


@pytest.fixture
def ca(tmp_path: Path) -> Iterator[EmbeddedCa]:
    opened = open_ca(tmp_path)
    yield opened
    opened.close()


def asked(ca: EmbeddedCa, der: bytes, algorithm: hashes.HashAlgorithm) -> bytes:
    issuer = x509.load_der_x509_certificate(ca.issuing_certificate)
    builder = ocsp.OCSPRequestBuilder()
    built = builder.add_certificate(x509.load_der_x509_certificate(der), issuer, algorithm).build()
    return ca.ocsp(built.public_bytes(Encoding.DER))


@pytest.mark.parametrize("algorithm", [hashes.SHA1(), hashes.SHA256()], ids=["SHA-1", "SHA-256"])  # noqa: S303 - as Go does
@pytest.mark.parametrize("state", ["good", "revoked", "suspended"])
def test_go_parses_the_answer(ca: EmbeddedCa, state: str, algorithm: hashes.HashAlgorithm) -> None:
    der = ca.issue(request()).certificate
    if state == "revoked":
        ca.revoke(serial_of(der), RevocationReason.SUPERSEDED, request_id="revoke")
    elif state == "suspended":
        ca.suspend(serial_of(der), request_id="suspend")

    body = asked(ca, der, algorithm)

    outer = asn1.OCSPResponse.load(body, strict=True)
    basic = outer["response_bytes"]["response"].parsed
    answer = ocsp.load_der_ocsp_response(body)
    [single] = basic["tbs_response_data"]["responses"]
    assert outer.copy().dump(force=True) == body
    assert (outer["response_status"].native, basic.copy().dump(force=True)) == (
        "successful",
        outer["response_bytes"]["response"].contents,
    )
    assert basic["tbs_response_data"]["responder_id"].name in {"by_name", "by_key"}
    assert single["cert_id"]["serial_number"].native == serial_of(der)
    assert not any(one["critical"].native for one in single["single_extensions"] or ())
    assert answer.certificate_status.name == ("GOOD" if state == "good" else "REVOKED")
    signer, issuer = answer.certificates[0], x509.load_der_x509_certificate(ca.issuing_certificate)
    signer.verify_directly_issued_by(issuer)
    key, digest = signer.public_key(), answer.signature_hash_algorithm
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert digest is not None
    key.verify(answer.signature, answer.tbs_response_bytes, ec.ECDSA(digest))
