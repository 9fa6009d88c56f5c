"""The null CA is quick, keeps what it was given, and its certificates can be read."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidSignature

from renewal.errors import GatewayRefusedError
from renewal.gateways.ca.null import NullCa
from renewal.gateways.ca.port import Issued
from schema.events import RevocationReason
from tests.renewal.gateways.ca.asking import csr_of, ecdsa_key_of, key, parsed, request, serial_of


def test_it_keeps_what_it_was_given() -> None:
    ca = NullCa()
    asked = request()

    certificate = ca.issue(asked).certificate
    ca.revoke(serial_of(certificate), RevocationReason.SUPERSEDED, request_id="r-1")

    assert ca.requests == {"renewal-0": asked}
    assert ca.issued == {"renewal-0": Issued(certificate=certificate)}
    assert ca.changes == [("revoke", serial_of(certificate), RevocationReason.SUPERSEDED, "r-1")]


def test_nothing_signed_its_certificates() -> None:
    certificate = parsed(NullCa().issue(request()).certificate)

    assert len(certificate.signature) > 64
    algorithm = certificate.signature_algorithm_parameters
    with pytest.raises(InvalidSignature):
        key().public_key().verify(
            certificate.signature,
            certificate.tbs_certificate_bytes,
            algorithm,  # type: ignore[arg-type]  # ECDSA, as the certificate says
        )


def test_its_certificate_holds_the_requests_key() -> None:
    asked = request(csr=csr_of(key(5)))

    assert ecdsa_key_of(NullCa().issue(asked).certificate) == key(5).public_key()


def test_a_batch_is_answered_in_order() -> None:
    ca = NullCa()

    first, second = ca.issue_many([request(1), request(2)])

    assert not isinstance(first, GatewayRefusedError)
    assert not isinstance(second, GatewayRefusedError)
    assert [first, second] == [ca.recover("renewal-1"), ca.recover("renewal-2")]
