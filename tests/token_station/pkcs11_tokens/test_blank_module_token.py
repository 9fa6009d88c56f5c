"""Prepares a blank token in SoftHSM2, and refuses one that is somebody's."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pkcs11
import pytest

from renewal.rules.token_keys import WriteKeys
from tests.token_station.pkcs11_tokens.conftest import SO_PIN, SoftToken
from tests.token_station.tokens import PIN
from token_station.errors import (
    BadPinFormatError,
    NotAuthorizedError,
    NotBlankError,
    OtherCardError,
)
from token_station.pkcs11 import Pkcs11Reader, readers
from token_station.tokens import open_blank

if TYPE_CHECKING:
    from pathlib import Path

    from token_station.models import TokenModel

KEYS = WriteKeys(SO_PIN.encode())
_made: list[str] = []


@pytest.fixture
def blank(soft_folder: Path, model: TokenModel) -> Pkcs11Reader:
    """A token that has the bank's officer PIN, and no user's."""
    assert soft_folder.exists()
    label = f"blank{len(_made)}"
    _made.append(label)
    library = pkcs11.lib(model.module())
    library.reinitialize()
    free = next(s for s in library.get_slots() if not s.get_token().flags & INITIALISED)
    argv = ["pkcs11-tool", "--module", model.module(), "--init-token", "--label", label]
    slot = ["--slot", str(free.slot_id), "--so-pin", SO_PIN]
    done = subprocess.run([*argv, *slot], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    library.reinitialize()
    return next(one for one in readers(model) if one.label == label)


INITIALISED = pkcs11.TokenFlag.TOKEN_INITIALIZED


def serial_of(reader: Pkcs11Reader) -> str:
    return reader.open_token(WriteKeys(b"")).serial


def test_a_blank_token_gets_its_first_pin_from_the_officer(blank: Pkcs11Reader) -> None:
    token = open_blank(blank, serial_of(blank), KEYS)
    token.refuse_used()
    for _ in range(2):  # whatever was interrupted is done again
        token.give_serial()
        token.set_management_key()
        token.set_puk(attempt=2)
        blank.open_token(WriteKeys(SO_PIN.encode())).set_first_pin(PIN)

    session = blank.open_token(WriteKeys(SO_PIN.encode()))
    session.verify_pin(PIN)

    with pytest.raises(NotBlankError, match="token_not_blank_pin"):
        open_blank(blank, session.serial, KEYS).refuse_used()


def test_a_token_in_use_is_refused(token: SoftToken) -> None:
    serial = serial_of(token.reader)

    with pytest.raises(NotBlankError, match="token_not_blank_pin"):
        open_blank(token.reader, serial, KEYS).refuse_used()

    assert token.session().read_certificate("a1") == token.old


def test_another_token_than_the_one_that_was_ordered_is_refused(blank: Pkcs11Reader) -> None:
    with pytest.raises(OtherCardError):
        open_blank(blank, "0123456789abcdef", KEYS)


def test_a_wrong_officer_s_pin_is_given_once(blank: Pkcs11Reader) -> None:
    session = blank.open_token(WriteKeys(b"11111111"))

    with pytest.raises(NotAuthorizedError):
        session.set_first_pin(PIN)
    with pytest.raises(BadPinFormatError):
        session.set_first_pin("1")
