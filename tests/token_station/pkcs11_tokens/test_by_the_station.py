"""Lets the station renew a PKCS#11 token: the same jobs, the same journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from renewal.rules.proof import verify_possession
from tests.scenario.stores import opened, sqlite_url
from tests.token_station.station.branch import RENEWAL, Branch
from tests.token_station.tokens import PIN, WRONG_PIN, Desk
from token_station.reader_views import ReaderStatus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.token_station.pkcs11_tokens.conftest import SoftToken


@pytest.fixture
def branch(tmp_path: Path, token: SoftToken) -> Iterator[Branch]:
    """A branch whose only reader is the module's slot."""
    desk = Desk(tmp_path, ca=token.ca, algorithm=token.algorithm)
    desk.serial, desk.old = token.session().serial, token.old
    with opened(sqlite_url(tmp_path), make=True) as store:
        made = Branch(tmp_path, store, [desk])
        made.station.readers = [token.reader]
        yield made


def test_a_module_s_token_is_renewed_and_the_old_certificate_stays(
    branch: Branch, token: SoftToken
) -> None:
    branch.centre.ask()

    assert branch.rounds(3)[-1].status in {ReaderStatus.DONE, ReaderStatus.OTHER_TOKEN}

    new, session = branch.centre.issued[RENEWAL], token.session()
    assert {one.key_slot: one.der for one in session.certificates()} == {"a1": token.old, "a2": new}
    for place, der in (("a1", token.old), ("a2", new)):
        verify_possession(der, b"works", session.sign(place, b"works", pin=PIN))
    assert branch.station.journal.open_jobs() == []


def test_a_station_started_again_makes_no_second_key(branch: Branch, token: SoftToken) -> None:
    branch.centre.sends = False
    branch.centre.ask()
    branch.round()
    made = token.session().find_key("a2", token.algorithm, pin=PIN)

    branch.started().readers = [token.reader]
    branch.rounds(2)
    branch.centre.send(RENEWAL, branch.centre.issued[RENEWAL])
    branch.rounds(2)

    assert token.session().find_key("a2", token.algorithm, pin=PIN) == made
    assert token.session().read_certificate("a2") == branch.centre.issued[RENEWAL]


def test_a_wrong_pin_at_the_station_is_tried_once(branch: Branch, token: SoftToken) -> None:
    branch.person.pins = [WRONG_PIN, None]
    branch.centre.ask()

    assert branch.round()[0].status is ReaderStatus.PIN_WRONG
    assert branch.round()[0].status is ReaderStatus.WAITS_FOR_PIN
    assert token.session().read_certificate("a2") is None
