"""The life of tokens, and branches' recordings, by command."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.xuqi.sample import Bank

STAFF = ("--who", "T01", "--why", "at the counter")


def test_a_token_is_registered_assigned_and_reported_lost(bank: Bank) -> None:
    bank.run("token", "register", "0A0B0C0D", "--branch", "001", *STAFF)
    assigned = bank.run("token", "assign", "0a0b0c0d", "--customer", "1", *STAFF)
    lost = bank.run("token", "lost", "0a0b0c0d", *STAFF)
    again = bank.run("token", "activate", "0a0b0c0d", *STAFF)

    assert [one.exit_code for one in (assigned, lost, again)] == [0, 0, 1]
    assert "cannot become" in again.stderr
    [row] = bank.listed("token", "stock", "--state", "lost")
    assert (row["serial"], row["customer"]) == ("0a0b0c0d", 1)
    assert bank.json("token", "life", "0a0b0c0d")["state"] == "lost"


def test_a_state_that_there_is_not_names_those_that_there_are(bank: Bank) -> None:
    said = bank.run("token", "stock", "--state", "gone")

    assert said.exit_code == 2
    assert "in stock" in said.stderr


def test_nothing_waits_to_be_recorded_where_no_policy_asks(bank: Bank) -> None:
    assert bank.listed("recordings", "list") == []
    assert bank.run("recordings", "record", "R00000001-01", *STAFF).exit_code == 1
