"""The table of the CA's answers: what each refusal says, and of whom (RFC 9810, PKIFailureInfo)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from renewal.gateways.answers import Meaning


@dataclass(frozen=True)
class CaRow:
    codes: frozenset[str]
    means: Meaning
    because: str


#: To a request for a certificate that was refused: none was issued, by the port's promise.
ANSWERS: Final = (
    CaRow(
        frozenset({"badAlg", "badPOP", "duplicateCertReq", "badCertTemplate", "certRevoked"}),
        Meaning.REFUSED,
        "the customer's key or request will not do, now or later",
    ),
    CaRow(
        frozenset({"systemUnavail", "systemFailure", "timeNotAvailable", "addInfoNotAvailable"}),
        Meaning.NOTHING,
        "the CA speaks of its own moment",
    ),
    CaRow(
        frozenset(
            {
                *("badRequest", "badTime", "badDataFormat", "badCertId", "badMessageCheck"),
                *("wrongAuthority", "notAuthorized", "signerNotTrusted", "wrongIntegrity"),
                *("unacceptedPolicy", "unacceptedExtension", "unsupportedVersion"),
                *("transactionIdInUse", "missingTimeStamp", "incorrectData"),
            }
        ),
        Meaning.OURS,
        "our profile, clock, name, account or message is wrong",
    ),
)


def meaning_of(code: str) -> Meaning:
    """
    What a refusal with this code means. One that nobody knows is ours: it must not be held against
    the customer.
    """
    return next((row.means for row in ANSWERS if code in row.codes), Meaning.OURS)
