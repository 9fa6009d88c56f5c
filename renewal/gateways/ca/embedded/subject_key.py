"""Checks a subject's public key and its proof of possession."""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key

from renewal.errors import GatewayRefusedError
from renewal.rules import csr
from renewal.rules.csr import BadRequestError, SubjectKey


def from_request(request: bytes) -> SubjectKey:
    """
    Return the key of a PKCS#10 request (DER) whose signature proves possession.

    Raises:
        GatewayRefusedError: not a request, a weak or unknown key, or a signature by another key.
    """
    try:
        return csr.check(request, csr.ANYTHING)
    except BadRequestError as error:
        raise GatewayRefusedError(str(error), code=error.failure) from error


def from_public_key(der: bytes) -> SubjectKey:
    """
    Return a key (SubjectPublicKeyInfo, DER) whose possession was proven elsewhere.

    Raises:
        GatewayRefusedError: not a public key, or a weak or unknown one.
    """
    try:
        return csr.checked_key(load_der_public_key(der))
    except BadRequestError as error:
        raise GatewayRefusedError(str(error), code=error.failure) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise GatewayRefusedError(f"not a public key in DER: {error}", code="badRequest") from error
