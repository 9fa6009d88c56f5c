"""The console's emergency account: password and code, once each, and never in silence."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from back_office.emergency import EmergencyAccounts, EmergencyKit, address_of
from back_office.staff import Staff, StaffMember, StaffRefusedError, StaffRole
from renewal.errors import XuqiError
from renewal.rules.totp import STEP, code_of, step_at
from renewal.store import alarms, audit
from tests.back_office.run_bank import opened_bank
from web.oidc.provider import SignOnError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.back_office.run_bank import RunBank

NAME, HERE = "envelope-1", "192.0.2.1"
ROLES = {StaffRole.ADMINISTRATOR}


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[RunBank]:
    with opened_bank(tmp_path) as bank:
        yield bank


def made(bank: RunBank, name: str = NAME) -> EmergencyKit:
    accounts = EmergencyAccounts(bank.store)
    kit = accounts.make(name, ROLES, bank="示範銀行", who="root", why="the yearly envelope")
    accounts.confirm(name, now(bank, kit), who="root")
    bank.clock.advance_to(bank.clock.now() + timedelta(seconds=2 * STEP))
    return kit


def now(bank: RunBank, kit: EmergencyKit) -> str:
    """What the app shows."""
    return code_of(base64.b32decode(kit.secret), step_at(bank.store.clock.now()))


def log_in(bank: RunBank, kit: EmergencyKit, code: str, *, password: str = "") -> str:
    """The roles, or the error's code. The bank's log-in is on: other accounts are closed."""
    staff = Staff(bank.store, are_open=False)
    try:
        return staff.log_in(NAME, password or kit.password, address=HERE, code=code).roles
    except StaffRefusedError as refused:
        return refused.code


def alarmed(bank: RunBank) -> list[tuple[str, str, str]]:
    with bank.store.snapshot() as look:
        return [(one.kind, one.subject, one.code) for one in alarms.open_alarms(look)]


def test_password_and_code_open_it_and_everybody_hears_of_it(bank: RunBank) -> None:
    kit = made(bank)

    roles = log_in(bank, kit, now(bank, kit))

    assert roles == "administrator"
    assert alarmed(bank) == [("emergency account", NAME, "used")]
    with bank.store.snapshot() as look:
        last = list(audit.entries(look))[-1]
    assert (last["who"], last["did"]) == (NAME, "log in with the emergency account")


def test_the_same_code_does_not_open_it_again(bank: RunBank) -> None:
    kit = made(bank)
    code = now(bank, kit)

    assert [log_in(bank, kit, code) for _ in range(2)] == ["administrator", "E4826"]


def test_who_has_the_password_alone_is_refused_and_heard_of(bank: RunBank) -> None:
    kit = made(bank)

    assert log_in(bank, kit, "") == "E4826"
    assert alarmed(bank) == [("emergency account", NAME, "refused")]


def test_a_long_name_does_not_keep_its_alarm_from_its_column(bank: RunBank) -> None:
    name = "envelope-of-the-head-office-of-the-year-2026"
    kit = made(bank, name)

    roles = Staff(bank.store).log_in(name, kit.password, address=HERE, code=now(bank, kit)).roles

    [(_, subject, code)] = alarmed(bank)
    assert roles == "administrator"
    assert (subject, code) == (name[: alarms.LONGEST], "used")


def test_a_code_without_the_password_is_not_spent(bank: RunBank) -> None:
    kit = made(bank)

    assert log_in(bank, kit, now(bank, kit), password="a guess") == "E4826"  # noqa: S106 - a guess
    assert alarmed(bank) == []
    assert log_in(bank, kit, now(bank, kit)) == "administrator"


def test_it_is_shut_after_ten_wrong_tries(bank: RunBank) -> None:
    kit = made(bank)
    for _ in range(10):
        log_in(bank, kit, "000000", password="a guess")  # noqa: S106 - a guess

    assert log_in(bank, kit, now(bank, kit)) == "E4802"


def test_it_does_not_open_before_a_code_of_the_app_is_confirmed(bank: RunBank) -> None:
    accounts = EmergencyAccounts(bank.store)
    kit = accounts.make(NAME, ROLES, bank="示範銀行", who="root", why="the envelope")
    with pytest.raises(XuqiError, match="not right"):
        accounts.confirm(NAME, "000000", who="root")

    assert log_in(bank, kit, now(bank, kit)) == "E4826"
    with pytest.raises(XuqiError, match="waits for its code"):
        accounts.confirm("nobody", now(bank, kit), who="root")


def test_there_is_one_at_a_time_and_an_ended_one_does_not_open(bank: RunBank) -> None:
    kit = made(bank)
    with pytest.raises(XuqiError, match="there is one already"):
        made(bank, "envelope-2")

    Staff(bank.store).end(NAME, who="root", why="a new envelope")

    assert log_in(bank, kit, now(bank, kit)) == "E4826"
    assert made(bank, "envelope-2").name == "envelope-2"


def test_the_bank_cannot_log_anybody_in_under_its_name(bank: RunBank) -> None:
    made(bank)
    member = StaffMember(name=NAME, roles=frozenset(ROLES))

    with pytest.raises(SignOnError):
        Staff(bank.store).admit(member)


def test_the_secret_of_the_app_is_sealed(bank: RunBank) -> None:
    kit = made(bank)

    with bank.store.engine.connect() as connection:
        (sealed,) = connection.exec_driver_sql(
            "select totp_sealed from emergency_accounts"
        ).scalars()

    assert base64.b32decode(kit.secret) not in sealed


def test_the_address_for_the_app_names_the_account_and_the_bank() -> None:
    address = address_of(b"12345678901234567890", "glass one", "示範銀行")

    assert address.startswith("otpauth://totp/%E7%A4%BA%E7%AF%84%E9%8A%80%E8%A1%8C:glass%20one?")
    assert "secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&" in address
