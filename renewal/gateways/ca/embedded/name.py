"""What the embedded CA calls itself, as the bank's own data may say."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import NameOID

from renewal.errors import XuqiError

if TYPE_CHECKING:
    from pathlib import Path

FILE = "ca.toml"
_LONGEST = 64  #: ub-common-name (RFC 5280, appendix A.1)
_LONGEST_SUFFIX = len(" OCSP Responder")


class CaNameError(XuqiError):
    """The name cannot be used; the text says which key, why, and what to do."""


@dataclass(frozen=True, kw_only=True)
class CaName:
    """The subjects of root, issuing CA and responder: decided when the CA is made, for good."""

    country: str = "TW"
    organization: str = "Finance"
    name: str = "Xuqi Embedded"

    def subject(self, role: str) -> x509.Name:
        return x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, self.country),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, self.organization),
                x509.NameAttribute(NameOID.COMMON_NAME, f"{self.name} {role}"),
            ]
        )


#: Of trials, and where the bank's own data says nothing.
UNNAMED = CaName()


def read_name(folder: Path | None) -> CaName | None:
    """
    The name in the folder of the bank's own data, or ``None``.

    Raises:
        CaNameError
    """
    path = folder / FILE if folder is not None else None
    if path is None or not path.exists():
        return None
    known = [field.name for field in fields(CaName)]
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CaNameError(f"(the whole file): is no TOML ({error}): mend it") from error
    for key, value in found.items():
        if key not in known:
            raise CaNameError(f"{key}: is no key of it: remove it; there are: {', '.join(known)}")
        if not isinstance(value, str) or not 0 < len(value) <= _LONGEST - _LONGEST_SUFFIX:
            most = _LONGEST - _LONGEST_SUFFIX
            raise CaNameError(f'{key}: is no text of 1 to {most} characters: write "..."')
    if missing := [key for key in known if key not in found]:
        raise CaNameError(f"{missing[0]}: is missing: write it; docs/bank.md says what it is")
    if not re.fullmatch("[A-Z]{2}", found["country"]):
        raise CaNameError("country: is not two capital letters (ISO 3166): write TW")
    return CaName(**found)
