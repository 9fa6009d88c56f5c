"""Shows that who reads zh-TW meets no raw field name, no `None` and no English sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scheduler import jobs
from tests.scenario.chinese import faults

if TYPE_CHECKING:
    from tests.xuqi.sample import Bank

WHO = ("--who", "wang", "--why", "test")
COMMANDS = (
    ("status",),
    ("check",),
    ("why", "1"),
    ("scan", "--dry-run"),
    ("certificates", "list"),
    ("certificates", "show", "1"),
    ("renewals", "list"),
    ("renewals", "show", "R00000001-01"),
    ("messages", "list"),
    ("messages", "list", "--calls"),
    ("messages", "preview"),
    ("messages", "show", "{message}"),
    ("tasks", "list"),
    ("alarms", "list"),
    ("alarms", "lanes"),
    ("contacts", "list"),
    ("dead-letters", "list"),
    ("audit", "list"),
    ("audit", "verify"),
    ("run", "list"),
    ("stations", "list"),
    ("clock", "show"),
    ("policies", "apply", "--dry-run"),
    ("golive", "--dry-run"),
    ("config", "check"),
    ("bank", "show"),
)


@pytest.fixture
def lived(bank: Bank) -> Bank:
    """With a renewal, messages, and lines of the audit trail."""
    for job in (jobs.scan, jobs.remind):
        job(bank.app.store, bank.app.policies)
    bank.drain()
    bank.run("renewals", "start", "1", *WHO)
    bank.run("certificates", "suspend", "1", *WHO)
    bank.drain()
    return bank


def test_no_output_shows_what_is_not_meant_for_people(lived: Bank) -> None:
    message = lived.listed("messages", "list")[0]["id"]
    found = {}
    for command in COMMANDS:
        words = [word.format(message=message) for word in command]
        result = lived.run(*words, lang="zh-TW")
        assert result.exit_code in {0, 1}, (command, result.output)
        said = result.stdout + result.stderr
        said = said.replace("Xuqi Embedded Issuing CA", "")  # a name
        if raw := faults(said):
            found[" ".join(command)] = raw

    assert found == {}
