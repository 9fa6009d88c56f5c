"""Shows that a station is enrolled, believed and revoked by command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.xuqi import sample

if TYPE_CHECKING:
    from tests.xuqi.sample import Bank

STAFF = ("--who", "T01", "--why", "a new branch")


def test_a_stations_key_is_shown_enrolled_listed_and_revoked(bank: Bank) -> None:
    bank.environment["XUQI_BRANCH"] = "002"
    own = bank.json("stations", "key")

    enrolled = bank.run("stations", "enrol", "002", own["public_key"], *STAFF)
    before = bank.listed("stations", "list")
    revoked = bank.run("stations", "revoke", own["number"], *STAFF)
    again = bank.run("stations", "enrol", "002", own["public_key"], *STAFF)

    assert (enrolled.exit_code, revoked.exit_code, again.exit_code) == (0, 0, 1)
    assert [(row["branch"], row["number"], row["revoked_at"]) for row in before] == [
        ("002", own["number"], None)
    ]
    assert bank.listed("stations", "list")[0]["revoked_at"] is not None
    assert bank.json("stations", "key") == own


def test_what_is_no_public_key_is_refused(bank: Bank) -> None:
    assert bank.run("stations", "enrol", "002", "?", *STAFF).exit_code == 2
    assert bank.run("stations", "enrol", "002", "AAAA", *STAFF).exit_code == 1
    assert bank.run("stations", "revoke", "0" * 16, *STAFF).exit_code == 1


def test_the_station_of_the_own_home_is_enrolled_by_itself(bank: Bank) -> None:
    bank.card(sample.CARD)

    bank.run("station", "--once", "--wait", "0")

    [row] = bank.listed("stations", "list")
    assert row["branch"] == "001"
    key = bank.home / "station" / "001.key"
    assert key.stat().st_mode & 0o777 == 0o600
