"""Describes a bank's issuer, and how a log-in with it can fail."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from renewal.secret import Secret


@dataclass(frozen=True, kw_only=True)
class OidcProvider:
    """The issuer, and who we are to it."""

    issuer: str
    client: str
    secret: Secret = field(repr=False)
    scope: str = "openid"


class SignOnFault(StrEnum):
    """Why nobody was logged in; the value is the error's code."""

    UNAVAILABLE = "E4821"  #: the issuer does not answer, or not as OpenID Connect says
    NOT_OURS = "E4822"  #: no log-in was begun here, or it has been used or is too old
    DECLINED = "E4823"  #: the issuer has logged nobody in
    UNTRUSTED = "E4824"  #: an answer that fails a check
    UNKNOWN = "E4825"  #: a customer who is not on file, or staff without a role


class SignOnError(Exception):
    """Nobody was logged in. ``why`` names the check, never a value that came in."""

    def __init__(self, fault: SignOnFault, why: str) -> None:
        super().__init__(f"{fault.name.lower()}: {why}")
        self.fault = fault
        self.why = why
