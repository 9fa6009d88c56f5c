"""The bank's own details in messages and on pages."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from templates.length import is_gsm7
from templates.sanitizing import LONGEST as LONGEST_SHOWN
from templates.sanitizing import sanitize

if TYPE_CHECKING:
    from collections.abc import Iterator

#: How many characters each may have, so that a code fits one segment and any other text two.
LONGEST = {"brand_zh": 10, "brand_en": 16, "menu_zh": 24, "menu_en": 48, "phone": 20}
_IN_ENGLISH_SMS = ("brand_en", "menu_en", "phone")


@dataclass(frozen=True, kw_only=True)
class BankBranch:
    code: str  #: as in XUQI_BRANCHES
    zh: str
    en: str
    phone: str = ""
    address_zh: str = ""
    address_en: str = ""


@dataclass(frozen=True, kw_only=True)
class BankDetails:
    """
    Raises:
        ValueError: a text does not fit the messages that carry it; it names which and why.
    """

    name_zh: str
    name_en: str
    brand_zh: str  #: comes first in every text message: carriers overwrite sender ids
    brand_en: str
    phone: str
    hours_zh: str
    hours_en: str
    menu_zh: str  #: messages carry no link: they name the way
    menu_en: str
    opt_out_zh: str
    opt_out_en: str
    address_zh: str = ""
    address_en: str = ""
    site: str = ""  #: on pages alone
    branches: tuple[BankBranch, ...] = ()

    def __post_init__(self) -> None:
        for name, why in faults(self):
            raise ValueError(f"bank.{name} {why}")

    def branch_name(self, code: str, locale: str) -> str:
        """The name of a branch, or its code where no name is on file."""
        for branch in self.branches:
            if branch.code == code:
                return branch.en if locale == "en" else branch.zh
        return code


def faults(bank: BankDetails) -> Iterator[tuple[str, str]]:
    """Each field that messages cannot carry, and why."""
    for field in fields(bank):
        value = getattr(bank, field.name)
        if isinstance(value, str):
            why = _why_unfit(field.name, value)
            if why:
                yield field.name, why


def _why_unfit(name: str, value: str) -> str | None:
    most = LONGEST.get(name, LONGEST_SHOWN)
    required = name not in {"address_zh", "address_en", "site"}
    if name in LONGEST and not 0 < len(value) <= most:
        return f"must have 1 to {most} characters: it stands in SMS"
    if required and not value.strip():
        return "must not be empty"
    if len(value) > most:
        return f"must have at most {most} characters"
    if name in _IN_ENGLISH_SMS and not is_gsm7(value):
        return "must be in the GSM 7 bit alphabet: it stands in SMS"
    if name != "site" and sanitize(value) != value:
        return f"would be shown as {sanitize(value)!r}: messages carry no link and no hidden sign"
    return None
