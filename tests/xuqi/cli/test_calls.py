"""Calls are noted and contacts changed at the command line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from xuqi.cli.commands import customers

if TYPE_CHECKING:
    import pytest

    from tests.xuqi.sample import Bank


def test_a_wrong_number_becomes_a_task_that_the_right_one_ends(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = bank.run("messages", "call", "1", "wrong-number", "--note", "a stranger")
    waits = bank.run("tasks", "list")
    changed = bank.run(
        "customers", "change", "1", "--mobile", "-", "--who", "lin", "--why", "he called us",
        typed="0922-333-444\n",
    )  # fmt: skip
    seen = re.findall(r"--seen ([0-9a-f]{32})", changed.stdout)
    confirm = ("customers", "confirm", "1", "--seen", *seen, "--who", "chen", "--why", "called")
    own = bank.run(*confirm)
    monkeypatch.setattr(customers, "operator", lambda: "chen")
    confirmed = bank.run(*confirm)
    left = bank.run("tasks", "list")

    assert [it.exit_code for it in (noted, waits, changed, left)] == [0, 0, 0, 0], changed.output
    assert own.exit_code != 0
    assert confirmed.exit_code == 0, confirmed.output
    assert "the right number is to be found" in waits.stdout
    assert "another person is to confirm the new mobile" in changed.stdout
    assert left.stdout == "(none)\n"
