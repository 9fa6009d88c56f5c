"""What staff note of calls, and what they change of a customer's contact."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from back_office.calling import Calling
from back_office.contact_changes import ContactChanges, NewContact
from renewal.contacts import Address, why_resting
from renewal.errors import XuqiError
from renewal.store import audit, reports, tasks
from schema.reasons import CallReason, DecisionKind, SuppressionReason
from schema.states import TaskState
from tests.back_office.run_bank import opened_bank
from tests.scenario.contacts import changed_by_two

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Any

    from renewal.db.rows import Customer, Task
    from tests.back_office.run_bank import RunBank

OLD, NEW = "+886912345678", "+886922333444"


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[RunBank]:
    with opened_bank(tmp_path) as bank:
        bank.certificates(2)
        changed_by_two(bank.store, 1, NewContact(mobile=OLD))
        to_be_called(bank, 1)
        yield bank


def to_be_called(bank: RunBank, certificate: int) -> None:
    with bank.store.transaction() as work:
        kind, why = DecisionKind.REMINDER_BRANCH_CALL, SuppressionReason.NO_CONTACT
        work.record_decision(certificate, kind, why, threshold=7)


def listed(bank: RunBank) -> list[Mapping[str, Any]]:
    with bank.store.snapshot() as look:
        return list(reports.branch_calls(look, after=0, at_most=10))


def customer(bank: RunBank) -> Customer:
    with bank.store.snapshot() as look:
        return look.customers.get(1)


def open_tasks(bank: RunBank) -> list[Task]:
    with bank.store.snapshot() as look:
        return list(tasks.listed(look, state=TaskState.OPEN))


def note(bank: RunBank, result: CallReason, said: str = "said so") -> None:
    Calling(bank.store).note(1, result, said, who="lin")


@pytest.mark.parametrize("result", [CallReason.NOT_REACHED, CallReason.LATER])
def test_who_was_not_reached_stays_on_the_list_with_what_was_noted(
    bank: RunBank, result: CallReason
) -> None:
    note(bank, result, "nobody at home")

    (row,) = listed(bank)
    assert row["certificate"] == 1
    assert "nobody at home" in row["tried"]
    assert row["tried_at"] is not None


@pytest.mark.parametrize(
    "result", [CallReason.REACHED, CallReason.DECLINED, CallReason.WRONG_NUMBER]
)
def test_what_ends_a_call_takes_it_off_the_list_until_the_next_one(
    bank: RunBank, result: CallReason
) -> None:
    note(bank, CallReason.NOT_REACHED)
    note(bank, result)
    ended = listed(bank)

    to_be_called(bank, 1)

    assert ended == []
    assert [(row["certificate"], row["tried"]) for row in listed(bank)] == [(1, None)]


def test_a_number_that_is_not_theirs_is_used_no_more_and_becomes_a_task(bank: RunBank) -> None:
    note(bank, CallReason.WRONG_NUMBER, "a stranger answers")
    note(bank, CallReason.WRONG_NUMBER, "again")

    row = customer(bank)
    now = bank.store.clock.now()
    assert why_resting(row, Address.MOBILE, now) == why_resting(row, Address.CODES, now)
    assert why_resting(row, Address.CODES, now) == "not theirs"
    assert [(one.certificate, one.change) for one in open_tasks(bank)] == [(1, "find number")]


def test_a_number_that_rests_for_a_week_and_is_not_theirs_stays_away_for_good(
    bank: RunBank,
) -> None:
    now = bank.store.clock.now()
    with bank.store.transaction() as work:
        week = {"mobile_bad_until": now + timedelta(days=7), "codes_bad_until": now + timedelta(1)}
        work.customers.change(work.customers.get(1), mobile_bad="30005", codes_bad="30005", **week)

    note(bank, CallReason.WRONG_NUMBER)

    row, in_a_year = customer(bank), now + timedelta(days=365)
    assert why_resting(row, Address.MOBILE, in_a_year) == "not theirs"
    assert why_resting(row, Address.CODES, in_a_year) == "not theirs"


def test_who_noted_it_and_what_is_on_the_trail(bank: RunBank) -> None:
    note(bank, CallReason.REACHED, "comes on Friday")

    with bank.store.snapshot() as look:
        last = list(audit.entries(look))[-1]
    assert (last["who"], last["did"], last["why"]) == (
        "lin", "call: call_reached", "comes on Friday",
    )  # fmt: skip


def test_nothing_is_noted_without_a_word_or_with_too_many(bank: RunBank) -> None:
    for said in ("", "x" * 101):
        with pytest.raises(XuqiError):
            note(bank, CallReason.REACHED, said)

    assert len(listed(bank)) == 1


def test_the_new_number_ends_the_task_and_the_rest(bank: RunBank) -> None:
    note(bank, CallReason.WRONG_NUMBER)
    version = customer(bank).contact_version

    changed_by_two(bank.store, 1, NewContact(mobile="0922-333-444", opted_out=True))

    row = customer(bank)
    with bank.store.snapshot() as look:
        opened = look.cipher.open_text(row.mobile_sealed or b"", "customers.mobile", 1)
    assert opened == NEW
    assert (row.opted_out, row.contact_version) == (True, version + 1)
    assert why_resting(row, Address.MOBILE, bank.store.clock.now()) is None
    assert open_tasks(bank) == []


@pytest.mark.parametrize(
    "asked",
    [
        NewContact(),
        NewContact(mobile=OLD),
        NewContact(mobile="no number"),
        NewContact(mail="no mail"),
        NewContact(locale="fr"),
    ],
)
def test_what_cannot_be_used_changes_nothing_and_is_not_quoted(
    bank: RunBank, asked: NewContact
) -> None:
    before = customer(bank)

    with pytest.raises(XuqiError) as refused:
        ContactChanges(bank.store).change(1, asked, who="lin", why="a try")

    assert "no number" not in str(refused.value)
    assert customer(bank) == before


def test_an_address_can_be_taken_away(bank: RunBank) -> None:
    ContactChanges(bank.store).change(1, NewContact(mobile=""), who="lin", why="given up")

    assert (customer(bank).mobile_sealed, customer(bank).mobile_hash) == (None, None)
