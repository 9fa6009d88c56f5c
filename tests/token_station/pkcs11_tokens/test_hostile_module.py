"""Gives the driver objects of a module that tells nonsense: an error by name, and no crash."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pkcs11 import Attribute, KeyType

from token_station.errors import TokenError
from token_station.pkcs11 import certificates_in, key_of

NONSENSE = st.one_of(st.binary(max_size=300), st.integers(0, 4096).map(bytes), st.just(b"\x04\x41"))
POINT = st.builds(lambda head, rest: b"\x04" + head + rest, st.binary(max_size=2), NONSENSE)


class Told(dict[Attribute, Any]):
    """An object of a module, as python-pkcs11 shows it."""

    key_type = KeyType.EC


class ToldRsa(Told):
    key_type = KeyType.RSA


@given(parameters=NONSENSE, point=st.one_of(NONSENSE, POINT))
@settings(max_examples=200, deadline=None)
def test_whatever_a_module_tells_of_an_elliptic_key_is_an_error_by_name(
    parameters: bytes, point: bytes
) -> None:
    told = Told({Attribute.EC_PARAMS: parameters, Attribute.EC_POINT: point})

    with pytest.raises(TokenError):
        key_of(told)


@given(modulus=st.binary(max_size=255), exponent=st.binary(max_size=9))
@settings(max_examples=200, deadline=None)
def test_whatever_a_module_tells_of_an_rsa_key_is_an_error_by_name(
    modulus: bytes, exponent: bytes
) -> None:
    told = ToldRsa({Attribute.MODULUS: modulus, Attribute.PUBLIC_EXPONENT: exponent})

    with pytest.raises(TokenError):
        key_of(told)


@given(rows=st.lists(st.tuples(st.one_of(st.none(), NONSENSE), NONSENSE), max_size=4))
@settings(max_examples=100, deadline=None)
def test_a_certificate_object_that_is_none_is_left_out(
    rows: list[tuple[bytes | None, bytes]],
) -> None:
    told = [
        Told({Attribute.VALUE: value} | ({} if it is None else {Attribute.ID: it}))
        for it, value in rows
    ]

    assert certificates_in(told) == {}
