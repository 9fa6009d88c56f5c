"""Calls are noted and contacts changed at the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.xuqi.sample import Bank


def test_a_wrong_number_becomes_a_task_that_the_right_one_ends(bank: Bank) -> None:
    noted = bank.run("messages", "call", "1", "wrong-number", "--note", "a stranger")
    waits = bank.run("tasks", "list")
    changed = bank.run(
        "customers", "change", "1", "--mobile", "-", "--who", "lin", "--why", "he called us",
        typed="0922-333-444\n",
    )  # fmt: skip
    left = bank.run("tasks", "list")

    assert [it.exit_code for it in (noted, waits, changed, left)] == [0, 0, 0, 0], changed.output
    assert "the right number is to be found" in waits.stdout
    assert changed.stdout == "customer 1: changed mobile\n"
    assert left.stdout == "(none)\n"
