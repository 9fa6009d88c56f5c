"""The secrets of one installation, each for one purpose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from renewal.secret import Secret


@dataclass(frozen=True, kw_only=True)
class Keys:
    columns: Secret  #: seals personal data
    codes: Secret  #: derives the digits of one-time codes
    pepper: Secret  #: of the fingerprints of codes; never the same as ``codes``
    stations: Secret  #: from it each branch's key is derived
    tokens: Secret  #: the management key of the tokens
    ca: Secret  #: the passphrase of the embedded CA's keys
    mail: Secret  #: signs the return addresses of mail
