"""Renews tokens through a PKCS#11 module, SoftHSM2's, and says what goes wrong by name."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from renewal.rules.proof import verify_possession, verify_renewal_proof
from tests.token_station.tokens import PIN, START, WRONG_PIN, request_key
from token_station import models
from token_station.errors import (
    BadPinFormatError,
    KeyMismatchError,
    NoFreeKeySlotError,
    NotAuthorizedError,
    OtherCardError,
    PinWrongError,
)
from token_station.models import ModelError
from token_station.signing import csr, renewal_proof

if TYPE_CHECKING:
    from pathlib import Path

    from tests.token_station.pkcs11_tokens.conftest import SoftToken


def renew(token: SoftToken) -> bytes:
    session = token.session()
    session.verify_pin(PIN)
    place = session.choose_key_slot(keep=[token.old])
    session.generate(place, token.algorithm)
    request = csr(session, place, PIN)
    proof = renewal_proof(session, "a1", PIN, request)
    verify_renewal_proof(proof, request, token.old)
    new = token.ca.certify(request_key(request), not_after=START + timedelta(days=730))
    session.write_certificate(place, new, pin=PIN)
    return new


def test_after_a_renewal_both_certificates_are_on_the_token_and_both_keys_sign(
    token: SoftToken,
) -> None:
    new = renew(token)

    session = token.session()
    assert [(one.key_slot, one.der) for one in session.certificates()] == [
        ("a1", token.old),
        ("a2", new),
    ]
    for place, der in (("a1", token.old), ("a2", new)):
        verify_possession(der, b"works", session.sign(place, b"works", pin=PIN))


def test_the_next_renewal_takes_the_other_place(token: SoftToken) -> None:
    first = renew(token)

    assert token.session().choose_key_slot(keep=[first]) == "a1"


def test_a_new_session_finds_the_key_that_another_one_made(token: SoftToken) -> None:
    session = token.session()
    session.verify_pin(PIN)
    made = session.generate("a2", token.algorithm)

    fresh = token.session()

    assert fresh.find_key("a2", token.algorithm, pin=PIN) == made
    assert fresh.find_key("a1", token.algorithm, pin=PIN) != made
    assert not fresh.holds_key("ff", pin=PIN)


def test_a_key_made_again_leaves_one_key_in_its_place(token: SoftToken) -> None:
    session = token.session()
    session.verify_pin(PIN)
    session.generate("a2", token.algorithm)
    second = session.generate("a2", token.algorithm)

    assert token.session().find_key("a2", token.algorithm, pin=PIN) == second


def test_a_wrong_pin_is_told_and_tried_once(token: SoftToken) -> None:
    with pytest.raises(PinWrongError):
        token.session().verify_pin(WRONG_PIN)

    token.session().verify_pin(PIN)


def test_a_pin_that_cannot_be_one_never_reaches_the_token(token: SoftToken) -> None:
    with pytest.raises(BadPinFormatError, match="nothing was sent"):
        token.session().verify_pin("12")


def test_nothing_is_written_before_the_pin(token: SoftToken) -> None:
    with pytest.raises(NotAuthorizedError):
        token.session().generate("a2", token.algorithm)


def test_the_place_of_a_kept_certificate_is_refused(token: SoftToken) -> None:
    session = token.session()
    session.verify_pin(PIN)
    session.choose_key_slot(keep=[token.old])

    with pytest.raises(NoFreeKeySlotError):
        session.generate("a1", token.algorithm)

    verify_possession(token.old, b"works", session.sign("a1", b"works", pin=PIN))


def test_no_place_is_free_while_a_kept_certificate_is_missing(token: SoftToken) -> None:
    with pytest.raises(NoFreeKeySlotError):
        token.session().choose_key_slot(keep=[b"another"])


def test_a_certificate_for_another_key_is_not_written(token: SoftToken) -> None:
    session = token.session()
    session.verify_pin(PIN)
    session.generate("a2", token.algorithm)
    other = token.ca.certify(session.public_key("a1") or b"")

    with pytest.raises(KeyMismatchError):
        session.write_certificate("a2", other, pin=PIN)

    assert token.session().read_certificate("a2") is None


def test_the_pin_is_changed(token: SoftToken) -> None:
    token.session().change_pin(PIN, "246802")

    token.session().sign("a1", b"data", pin="246802")
    with pytest.raises(PinWrongError):
        token.session().verify_pin(PIN)


def test_the_officer_s_pin_unblocks(token: SoftToken) -> None:
    token.session().unblock_pin("87654321", "246802")

    token.session().sign("a1", b"data", pin="246802")


def test_another_token_is_known_by_its_serial(token: SoftToken) -> None:
    session = token.session()
    session.assert_serial(session.serial)

    with pytest.raises(OtherCardError):
        session.assert_serial("ffffffff")


@pytest.mark.parametrize("name", models.names())
def test_every_model_of_ours_can_be_read(name: str) -> None:
    assert models.load(name).places


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("name = 'x'", "missing required field"),
        ("nam = 'x'", "unknown field"),
        ("name = ", "Invalid"),
    ],
)
def test_a_model_that_is_wrong_is_named(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)

    with pytest.raises(ModelError, match=why):
        models.load(str(file))


def test_a_model_without_its_module_says_what_is_missing() -> None:
    with pytest.raises(ModelError, match="install it"):
        models.load("etoken").module()
