"""Renews a virtual PIV token through Yubico's PKCS#11 module and a real PC/SC service."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from renewal.rules.proof import verify_possession
from renewal.rules.token_keys import WriteKeys
from tests.token_station.pcsc.daemon import PrivatePcscd, wait_until
from tests.token_station.tokens import MANAGEMENT_KEY, PIN, START, WRONG_PIN, Desk, request_key
from token_station import models, pkcs11
from token_station.errors import PinWrongError
from token_station.signing import csr, renewal_proof
from token_station.simulator import card_memory
from token_station.simulator.card import SimulatedCard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.token_station.tokens import PretendCa
    from token_station.pcsc import PcscReaders
    from token_station.pkcs11 import Pkcs11Reader
    from token_station.simulator.card_profiles import CardProfile


@pytest.fixture
def yubikey(tmp_path: Path, manners: CardProfile, ca: PretendCa) -> Desk:
    return Desk(tmp_path, manners=replace(manners, tells_version=True), ca=ca)


@pytest.fixture
def slot(pcscd: PrivatePcscd, readers: PcscReaders, yubikey: Desk) -> Iterator[Pkcs11Reader]:
    yubikey.reader.pull()
    pcscd.insert(SimulatedCard(yubikey.card_path, yubikey.manners, yubikey.ledger))
    wait_until(readers, lambda: readers.has_token(pcscd.names[0]))
    found = next(one for one in pkcs11.readers(models.load("ykcs11")) if one.label)
    yield found
    found.release()


def test_a_piv_token_is_renewed_by_its_maker_s_module(slot: Pkcs11Reader, yubikey: Desk) -> None:
    session = slot.open_token(WriteKeys(MANAGEMENT_KEY))
    session.verify_pin(PIN)
    place = session.choose_key_slot(keep=[yubikey.old])
    session.generate(place, yubikey.algorithm)
    request = csr(session, place, PIN)
    renewal_proof(session, "02", PIN, request)
    new = yubikey.ca.certify(request_key(request), not_after=START + timedelta(days=730))

    session.write_certificate(place, new, pin=PIN)

    session = slot.open_token(WriteKeys(MANAGEMENT_KEY))
    assert {one.key_slot: one.der for one in session.certificates()} == {
        "01": new,
        "02": yubikey.old,
    }
    for where, der in (("01", new), ("02", yubikey.old)):
        verify_possession(der, b"works", session.sign(where, b"works", pin=PIN))


def test_a_wrong_pin_is_tried_once(slot: Pkcs11Reader, yubikey: Desk) -> None:
    with pytest.raises(PinWrongError):
        slot.open_token(WriteKeys(MANAGEMENT_KEY)).verify_pin(WRONG_PIN)

    assert card_memory.load(yubikey.card_path).pin_left == yubikey.manners.pin_tries - 1
