"""A mask shows which address it is, and not the address."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renewal.rules import mask


@pytest.mark.shows("B10")
@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("+886966123406", "0966****06"),
        ("0966123406", "0966****06"),
        ("+85261234567", "+852******67"),
        ("123456789", "*********"),
        ("", ""),
    ],
)
def test_a_phone_shows_its_first_four_and_last_two(number: str, shown: str) -> None:
    assert mask.phone(number) == shown


@pytest.mark.shows("B10")
@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("chen@example.tw", "c*****n@example.tw"),
        ("c.h.e.n.and.more.n@example.tw", "c*****n@example.tw"),
        ("cxn@example.tw", "c*****n@example.tw"),
        ("cn@example.tw", "*****@example.tw"),
        ("c@example.tw", "*****@example.tw"),
        ("@example.tw", "*****@example.tw"),
        ('"a@b"@example.tw', '"*****"@example.tw'),
        ("no address", "*****"),
        ("", "*****"),
    ],
)
def test_a_mail_address_shows_two_letters_and_its_domain(address: str, shown: str) -> None:
    assert mask.mail(address) == shown


@pytest.mark.shows("B10")
@pytest.mark.parametrize(
    ("number", "shown"),
    [("J220231234", "J22023****"), ("12345678", "123456****"), ("123456", "****"), ("", "****")],
)
def test_an_id_shows_its_first_six(number: str, shown: str) -> None:
    assert mask.id_number(number) == shown


@given(number=st.text("0123456789", min_size=10, max_size=15))
def test_a_phone_never_shows_more_than_six_digits(number: str) -> None:
    assert sum(digit.isdigit() for digit in mask.phone(number)) == 6
    assert mask.phone(number).count("*") >= 4


@given(local=st.text("abcdefghij", min_size=3, max_size=30))
def test_a_mask_does_not_tell_how_long_a_mail_address_is(local: str) -> None:
    assert len(mask.mail(f"{local}@example.tw")) == len("c*****n@example.tw")
