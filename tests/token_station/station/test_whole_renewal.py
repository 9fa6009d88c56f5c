"""A whole renewal by the station, and how much it asks of the token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.token_station.station.branch import Branch
from tests.token_station.tokens import PIN, Desk, PretendCa
from token_station.piv.keys import RSA2048
from token_station.reader_views import ReaderStatus

if TYPE_CHECKING:
    from pathlib import Path

    from renewal.db.engine import Store


@pytest.mark.shows("A12", "D05")
def test_a_token_is_renewed_and_the_old_certificate_stays(branch: Branch) -> None:
    branch.centre.ask()

    seen = branch.rounds(2)

    assert [one.status for one in seen] == [ReaderStatus.WAITS_FOR_CA, ReaderStatus.DONE]
    branch.assert_renewed()
    assert branch.deeds("generate") == [("9A", "ok")]
    assert branch.deeds("put") == [("9A", "ok")]


def test_an_rsa_token_is_renewed(tmp_path: Path, store: Store, ca: PretendCa) -> None:
    branch = Branch(tmp_path, store, [Desk(tmp_path, ca=ca, algorithm=RSA2048)])
    branch.centre.ask()

    branch.rounds(2)

    branch.assert_renewed()


def test_a_token_without_a_job_is_left_alone(branch: Branch) -> None:
    before = branch.desk.card_path.read_bytes()

    seen = branch.round()

    assert seen[0].status is ReaderStatus.OTHER_TOKEN
    assert branch.desk.card_path.read_bytes() == before
    assert branch.deeds("verify") == []


def test_the_pin_is_asked_for_once(branch: Branch) -> None:
    branch.centre.ask()

    branch.rounds(3)

    assert branch.person.shown == [branch.desk.manners.pin_tries]
    assert PIN not in repr(branch.station)
