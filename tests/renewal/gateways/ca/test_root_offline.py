"""Shows that the root's list lives a bounded time, and that its key can be kept elsewhere."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from renewal.gateways.ca.embedded import authority
from tests.renewal.gateways.ca.asking import START, open_ca, request

if TYPE_CHECKING:
    from pathlib import Path

    from renewal.clock import VirtualClock
    from renewal.gateways.ca.embedded.adapter import EmbeddedCa


def number_and_end(ca: EmbeddedCa) -> tuple[int, object]:
    crl = x509.load_der_x509_crl(ca.root_crl())
    number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    return number, crl.next_update_utc


def later(ca: EmbeddedCa, **span: int) -> None:
    clock: VirtualClock = ca._clock  # type: ignore[assignment]
    clock.advance_to(clock.now() + timedelta(**span))


def test_the_roots_list_is_signed_anew_when_a_third_of_its_life_is_left(tmp_path: Path) -> None:
    ca = open_ca(tmp_path)
    first = number_and_end(ca)
    later(ca, days=200)
    same = number_and_end(ca)
    later(ca, days=60)
    renewed = number_and_end(ca)

    assert first == same == (1, START.replace(microsecond=0) + timedelta(days=365))
    assert renewed == (2, START.replace(microsecond=0) + timedelta(days=260 + 365))


def test_a_root_whose_key_is_offline_signs_where_its_key_is(tmp_path: Path) -> None:
    ca = open_ca(tmp_path)
    key = ca.root_key()
    ca.take_root_key()

    with pytest.raises(authority.CaLockedError, match="taken away"):
        ca.root_key()
    later(ca, days=300)
    stale = number_and_end(ca)
    ca.sign_root_crl(key)

    assert b"ENCRYPTED PRIVATE KEY" in key
    assert stale[0] == 1
    assert number_and_end(ca)[0] == 2
    assert ca.issue(request()).certificate
    ca.close()
    assert number_and_end(open_ca(tmp_path))[0] == 2


def test_another_key_does_not_sign_the_roots_list(tmp_path: Path) -> None:
    ca = open_ca(tmp_path)
    stranger = authority.locked(ec.generate_private_key(ec.SECP256R1()), ca._opened.password)

    with pytest.raises(authority.CaLockedError, match="not the key"):
        ca.sign_root_crl(stranger)
