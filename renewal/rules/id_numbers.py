"""The check digits of Taiwan's ID numbers: of citizens, residents and companies."""

from __future__ import annotations

import re

_PERSON = re.compile(r"([A-Z])([1289])([0-9]{8})")  # citizens, and residents since 2021
_RESIDENT = re.compile(r"([A-Z])([A-D])([0-9]{8})")  # of before
_COMPANY = re.compile(r"[0-9]{8}")
#: 10 to 35, in the order in which the letters were given out.
_LETTERS = "ABCDEFGHJKLMNPQRSTUVXYWZIO"
_OF_COMPANY = (1, 2, 1, 2, 1, 2, 4, 1)
_SEVEN = 6  #: the place whose seven counts as one or as none


def is_mistyped(number: str) -> bool:
    """
    Whether it has the form of such a number and another check digit. What has no such form, a
    passport for example, has no check digit.
    """
    if found := _PERSON.fullmatch(number):
        return not _sums_up(found[1], found[2] + found[3])
    if found := _RESIDENT.fullmatch(number):
        return not _sums_up(found[1], str(_value(found[2]) % 10) + found[3])
    return bool(_COMPANY.fullmatch(number)) and not _is_company(number)


def with_check_digit(number: str) -> str:
    """The ID number of a person, of its letter and the eight digits behind it."""
    return next(f"{number}{last}" for last in range(10) if not is_mistyped(f"{number}{last}"))


def _value(letter: str) -> int:
    return _LETTERS.index(letter) + 10


def _sums_up(letter: str, digits: str) -> bool:
    tens, ones = divmod(_value(letter), 10)
    weighed = sum(
        int(digit) * weight for digit, weight in zip(digits, range(8, 0, -1), strict=False)
    )
    return (tens + 9 * ones + weighed + int(digits[-1])) % 10 == 0


def _is_company(number: str) -> bool:
    """By five and no longer by ten: the Ministry of Finance has widened it in 2023."""
    products = (int(digit) * weight for digit, weight in zip(number, _OF_COMPANY, strict=True))
    total = sum(sum(divmod(product, 10)) for product in products)
    return total % 5 == 0 or (number[_SEVEN] == "7" and (total + 1) % 5 == 0)
