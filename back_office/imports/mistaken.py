"""Names what a file is that was handed in by mistake, and what to do instead."""

from __future__ import annotations

from typing import Final

from renewal.rules import ber
from schema.reasons import FindingReason

_OCTETS, _UTC_TIME, _GENERAL_TIME = 0x04, 0x17, 0x18
_TIMES: Final = {_UTC_TIME, _GENERAL_TIME}
#: What a file begins with that is neither DER nor PEM.
BEGINNINGS: Final = {
    b"\xfe\xed\xfe\xed": FindingReason.IS_KEY_STORE,
    b"\xce\xce\xce\xce": FindingReason.IS_KEY_STORE,
    b"<": FindingReason.IS_WEB_PAGE,
    b"%PDF": FindingReason.IS_PDF,
    b"ssh-": FindingReason.IS_SSH_KEY,
    b"ecdsa-": FindingReason.IS_SSH_KEY,
}


def named(der: bytes) -> FindingReason | None:
    """
    Return what the element is that is no certificate, if that can be told.
    """
    try:
        parts = ber.element(der).children()
        inner = parts[0].children() if parts and parts[0].tag == ber.SEQUENCE else []
    except ber.BerError:
        return None
    kinds = [part.tag for part in parts]
    if kinds[:2] == [ber.INTEGER, ber.SEQUENCE] and parts[0].content == b"\x03":  # RFC 7292, 4
        return FindingReason.IS_PKCS12
    if kinds[:1] == [ber.INTEGER]:  # RFC 5208, 8017 and 5915 begin with their version
        return FindingReason.IS_PRIVATE_KEY
    if kinds == [ber.SEQUENCE, _OCTETS]:  # RFC 5208, 6: encrypted
        return FindingReason.IS_PRIVATE_KEY
    if kinds == [ber.SEQUENCE, ber.BIT_STRING]:
        return FindingReason.IS_PUBLIC_KEY
    return _signed(inner) if kinds == [ber.SEQUENCE, ber.SEQUENCE, ber.BIT_STRING] else None


def _signed(inner: list[ber.Element]) -> FindingReason | None:
    kinds = [part.tag for part in inner]
    if kinds[:1] == [ber.INTEGER] and kinds[3:4] and kinds[3] in _TIMES:
        return FindingReason.IS_CRL
    if kinds[:1] == [ber.SEQUENCE] and kinds[2:3] and kinds[2] in _TIMES:
        return FindingReason.IS_CRL
    if kinds == [ber.INTEGER, ber.SEQUENCE, ber.SEQUENCE, ber.CONTEXT_0]:
        return FindingReason.IS_REQUEST
    return None
