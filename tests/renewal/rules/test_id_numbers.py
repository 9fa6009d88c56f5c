"""A mistyped ID number is noticed by its check digit; what has none is not."""

from __future__ import annotations

import pytest

from renewal.rules.id_numbers import is_mistyped

# Published examples, and companies by the registry: TSMC, Chunghwa Telecom, Hon Hai, Uni-President.
RIGHT = (
    "A123456789", "B123456780", "F131104093", "A800000014", "A900000016", "AC01234576",
    "22099131", "96979933", "04541302", "73251209", "10458575", "10458574",
)  # fmt: skip


@pytest.mark.parametrize("number", RIGHT)
def test_a_right_number_is_right(number: str) -> None:
    assert not is_mistyped(number)


@pytest.mark.parametrize("number", RIGHT)
def test_one_other_digit_is_noticed(number: str) -> None:
    others = {
        number[:at] + str((int(digit) + more) % 10) + number[at + 1 :]
        for at, digit in enumerate(number)
        if digit.isdigit() and at > 1
        for more in (1, 3)
    }

    noticed = [other for other in others if is_mistyped(other)]

    # A company's number is checked by five only.
    assert len(noticed) == len(others) or (number.isdigit() and len(noticed) > len(others) / 2)


@pytest.mark.parametrize(
    "number", ["", "P1234567", "A12345678", "E0001", "123456789", "AE12345678"]
)
def test_what_has_another_form_has_no_check_digit(number: str) -> None:
    assert not is_mistyped(number)
