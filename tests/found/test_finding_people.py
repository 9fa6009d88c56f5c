"""Staff find who calls, see whom to call, and open an address again; all of it on record."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from renewal.store import audit
from schema.policy import Channel
from tests.scenario.decisions import decide
from tests.scenario.rows import id_number_of, mail_of, mobile_of, name_of
from tests.scenario.sample import BROWSER, TOKEN, TOKEN_SERIALS, open_sample
from xuqi.cli.context import CliContext
from xuqi.cli.main import xuqi as command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.scenario.scenario import Scenario


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Scenario]:
    opened = open_sample(tmp_path / "bank")
    with opened.app.store.transaction() as work:
        for number in (1, 2, 3):
            sealed = work.cipher.seal(f"customer {number}", "customers.reference")
            work.customers.change(work.customers.get(number), reference_sealed=sealed)
    yield opened
    opened.close()


def xuqi(world: Scenario, *words: str) -> tuple[int, str]:
    called = CliRunner().invoke(
        command,
        ["--home", str(world.home), "--lang", "en", *words],
        obj=CliContext(clock=world.clock),
    )
    return called.exit_code, called.output


def trail(world: Scenario) -> list[tuple[str, str]]:
    with world.app.store.snapshot() as look:
        return [(row["who"], row["did"]) for row in audit.entries(look)]


@pytest.mark.parametrize(
    "asked",
    [
        id_number_of(TOKEN),
        id_number_of(TOKEN).lower(),
        mobile_of(TOKEN),
        "0912-345-672",
        mail_of(TOKEN),
        name_of(TOKEN),
        TOKEN_SERIALS[TOKEN].upper(),
        ":".join(TOKEN_SERIALS[TOKEN][at : at + 2] for at in range(0, 8, 2)),
        "\u200b" + TOKEN_SERIALS[TOKEN],
    ],
)
def test_f9_a_customer_is_found_by_what_he_says(world: Scenario, asked: str) -> None:
    code, said = xuqi(world, "customers", "find", asked, "--json")

    [found] = map(json.loads, said.splitlines())
    assert (code, found["customer"]) == (0, TOKEN)
    assert found["certificates"][0]["certificate"] == TOKEN
    assert name_of(TOKEN) not in said or len(name_of(TOKEN)) > 4  # a long name is a company's
    assert mobile_of(TOKEN)[-6:] not in said


def test_f9_nobody_is_found_by_what_nobody_has(world: Scenario) -> None:
    assert xuqi(world, "customers", "find", "Z999999999")[1].strip() == "(none)"


# --- a name that may mean several is asked about --------------------------------------------------


def named(world: Scenario, asked: str) -> str:
    code, said = xuqi(world, "certificates", "show", asked, "--json")
    return str(json.loads(said)["id"]) if code == 0 else said


def serial_of(world: Scenario, number: int, serial: str) -> None:
    with world.app.store.transaction() as work:
        work.certificates.change(work.certificates.get(number), serial=serial)


def test_a_number_that_is_also_a_serial_is_asked_about(world: Scenario) -> None:
    serial_of(world, TOKEN, "1")

    assert "may be any of several certificates" in named(world, "1")
    assert "#1, #2" in named(world, "1")
    assert named(world, "#1") == "1"
    assert named(world, "0x1") == "2"


@pytest.mark.parametrize("asked", ["00:1A:2B", "0x1a2b", "１ａ２ｂ", "1a\u200b2b"])
def test_a_serial_is_known_however_it_is_pasted(world: Scenario, asked: str) -> None:
    serial_of(world, TOKEN, "1a2b")

    assert named(world, asked) == "2"


def test_f9_who_reads_in_clear_says_why_and_is_on_record(world: Scenario) -> None:
    refused, _ = xuqi(world, "customers", "find", mail_of(TOKEN), "--open")
    reason = ("--who", "lin", "--why", "he calls")
    code, said = xuqi(world, "customers", "find", mail_of(TOKEN), "--open", *reason)

    assert refused == 2
    assert code == 0
    assert mobile_of(TOKEN) in said
    assert "customer 2" in said
    assert trail(world) == [("lin", "read personal data")]


def test_f8_the_call_list_says_whom_to_call(world: Scenario) -> None:
    with world.app.store.transaction() as work:
        decide(work, BROWSER, "reminder", "branch call", "no contact", threshold=7)

    _, masked = xuqi(world, "messages", "list", "--calls", "--json")
    reason = ("--who", "lin", "--why", "today's calls")
    _, said = xuqi(world, "messages", "list", "--calls", "--json", "--open", *reason)

    row, hidden = json.loads(said), json.loads(masked)
    assert row["reference"] == "customer 1"
    assert (row["name"], row["mobile"]) == (name_of(BROWSER), mobile_of(BROWSER))
    assert hidden["reference"] == "*"
    assert hidden["mobile"] != mobile_of(BROWSER)
    assert trail(world) == [("lin", "read personal data")]


def test_m02_staff_open_an_address_again_with_a_reason(world: Scenario) -> None:
    with world.app.store.transaction() as work:
        work.customers.change(work.customers.get(BROWSER), mobile_bad="21610")

    _, before = xuqi(world, "contacts", "list", "--json")
    reason = ("--who", "lin", "--why", "he has lifted the block")
    code, _ = xuqi(world, "contacts", "open", "1", "mobile", *reason)
    _, after = xuqi(world, "contacts", "list", "--json")

    assert json.loads(before)["address"] == "mobile"
    assert (code, after) == (0, "")
    assert trail(world) == [("lin", "open contact")]


def test_m01_staff_see_what_they_must_look_at_and_end_it(world: Scenario) -> None:
    from renewal.gateways.sms.port import Lane  # noqa: PLC0415
    from renewal.lanes import lane_of, refused_us  # noqa: PLC0415 - of this test alone

    with world.app.store.transaction() as work:
        refused_us(work, lane_of(Channel.SMS, Lane.CODES), "20005", b"one")

    alarm = json.loads(xuqi(world, "alarms", "list", "--json")[1])
    stopped = [
        json.loads(line) for line in xuqi(world, "alarms", "lanes", "--json")[1].splitlines()
    ]
    reason = ("--who", "lin", "--why", "the account is paid")
    resumed, _ = xuqi(world, "alarms", "resume", "sms codes", *reason)
    left = xuqi(world, "alarms", "list", "--json")[1]

    assert (alarm["subject"], alarm["code"], alarm["meaning"]) == (
        "sms codes",
        "20005",
        "the account is not active",
    )
    assert [row["lane"] for row in stopped if row["stopped_until"]] == ["sms codes"]
    assert (resumed, left) == (0, "")
    assert xuqi(world, "alarms", "end", alarm["id"], *reason)[0] == 0
    assert xuqi(world, "alarms", "end", "no such", *reason)[0] == 1
