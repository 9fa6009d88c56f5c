"""What is on its way, put off or decided is no violation; both edges of what is too long."""

# ruff: noqa: S608 - the statements are the tests' own
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.renewal.invariants.test_not_blind import (
    DECIDED,
    EVENT,
    HOLD_OF_5,
    JUST_NOW,
    LONG_AGO,
    PARKED,
)

if TYPE_CHECKING:
    from tests.renewal.invariants.conftest import Broken

MISSED = {("I5", "a reminder missed")}
STILL_HELD = {("I4", "a fee still held when the renewal has ended")}
SAID_NOTHING = "DELETE FROM decisions WHERE certificate = 4 AND about = 'reminder'"
ENDED = """
    INSERT INTO events (topic, key, kind, identity, at, body) VALUES
        ('renewals', 'R00000005-01', 'renewal-abandoned.v1', 'renewal-abandoned.v1:R00000005-01',
         '2026-03-02 02:00:00.000000', x'00')
"""
DIED = """
    INSERT INTO inbox VALUES ('billing', 'renewal-abandoned.v1:R00000005-01', 'dead',
        '2026-03-02 02:00:00.000000');
    INSERT INTO dead_letters (consumer, identity, topic, key, kind, at, body, tries, why, died_at,
        state) VALUES ('billing', 'renewal-abandoned.v1:R00000005-01', 'renewals', 'R00000005-01',
        'renewal-abandoned.v1', '2026-03-02 02:00:00.000000', x'00', 12, 'the bank says no',
        '2026-03-02 02:00:00.000000', 'open')
"""


def test_a_fee_is_held_until_the_bank_has_been_asked_to_let_go(broken: Broken) -> None:
    broken.sql(f"{HOLD_OF_5}; {ENDED}")

    assert broken.found() == set()


def test_a_fee_that_nobody_will_let_go_any_more_is_still_held(broken: Broken) -> None:
    broken.sql(f"{HOLD_OF_5}; {ENDED}; {DIED}")

    assert broken.found() == STILL_HELD


@pytest.mark.parametrize(
    "statements", [EVENT.format(at=JUST_NOW), PARKED.format(due=JUST_NOW)], ids=["unread", "parked"]
)
def test_six_hours_are_not_too_long_for_an_event(broken: Broken, statements: str) -> None:
    broken.sql(statements)

    assert broken.found() == set()


def test_what_waits_behind_an_earlier_one_of_its_key_may_wait(broken: Broken) -> None:
    broken.sql(PARKED.format(due=JUST_NOW))
    broken.sql(PARKED.format(due="NULL").replace("v1:P9", "v1:P8"))

    assert broken.found() == set()


@pytest.mark.parametrize(
    ("moment", "expected"),
    [(JUST_NOW, set()), (LONG_AGO, MISSED)],
    ids=["not quite six hours", "more"],
)
def test_a_certificate_just_taken_in_is_looked_at_within_six_hours(
    broken: Broken, moment: str, expected: set[tuple[str, str]]
) -> None:
    broken.sql(f"{SAID_NOTHING}; UPDATE certificates SET remind_at = {moment} WHERE id = 4")

    assert broken.found() == expected


@pytest.mark.parametrize(
    ("until", "expected"),
    [(JUST_NOW, set()), (LONG_AGO, MISSED)],
    ids=["not quite six hours", "more"],
)
def test_a_reminder_put_off_is_missed_only_after_that(
    broken: Broken, until: str, expected: set[tuple[str, str]]
) -> None:
    broken.sql(
        f"{SAID_NOTHING}; INSERT INTO decisions (certificate, at, about, what, why, threshold,"
        f" until) VALUES (4, {LONG_AGO}, 'reminder', 'deferred', 'quiet hours', 30, {until})"
    )

    assert broken.found() == expected


@pytest.mark.parametrize("key", ["customer-4", "4"], ids=["now", "by an older program"])
def test_a_reminder_that_waits_for_its_carrier_is_not_missed(broken: Broken, key: str) -> None:
    broken.sql(
        f"UPDATE messages SET state = 'claimed', handed_at = NULL, claimed_at = {LONG_AGO}"
        " WHERE id = (SELECT message FROM told WHERE certificate = 4)"
    )
    broken.sql(
        PARKED.format(due=JUST_NOW).replace("billing", "reminders").replace("'P9'", f"'{key}'")
    )

    assert broken.found() == set()


def test_a_reminder_instead_of_one_that_failed_waits_under_its_key(broken: Broken) -> None:
    broken.sql(
        f"UPDATE messages SET state = 'claimed', handed_at = NULL, claimed_at = {LONG_AGO},"
        " instead_of = 'Mfailed' WHERE id = (SELECT message FROM told WHERE certificate = 4)"
    )
    parked = PARKED.format(due=JUST_NOW).replace("billing", "reminders")
    broken.sql(parked.replace("'P9'", "'Mfailed'"))

    assert broken.found() == set()


@pytest.mark.parametrize("why", ["opted out", "renewal under way", "no contact"])
def test_a_reminder_suppressed_for_a_reason_is_not_missed(broken: Broken, why: str) -> None:
    broken.sql(
        f"{SAID_NOTHING}; INSERT INTO decisions (certificate, at, about, what, why, threshold)"
        f" VALUES (4, {LONG_AGO}, 'reminder', 'suppressed', '{why}', 30)"
    )

    assert broken.found() == set()


def test_what_was_suppressed_for_a_renewal_is_owed_again_when_that_has_ended(
    broken: Broken,
) -> None:
    broken.sql(
        f"{SAID_NOTHING}; INSERT INTO decisions (certificate, at, about, what, why, threshold)"
        " VALUES (4, '2026-03-01 10:00:00.000000', 'reminder', 'suppressed', 'under way', 30);"
        f"{DECIDED} (9000, 4, {LONG_AGO}, 'renewal', 'abandoned', '')"
    )

    assert broken.found() == MISSED


def test_a_more_urgent_step_than_the_one_told_is_missed(broken: Broken) -> None:
    broken.sql("UPDATE decisions SET threshold = 60 WHERE certificate = 4 AND about = 'reminder'")

    assert broken.found() == MISSED


def test_a_reminder_before_the_renewal_was_asked_for_is_not_in_vain(broken: Broken) -> None:
    broken.sql("UPDATE decisions SET id = 9000 WHERE certificate = 5 AND what = 'requested'")

    assert broken.found() == set()


def test_a_reminder_after_a_renewal_was_given_up_is_not_in_vain(broken: Broken) -> None:
    broken.sql(
        "UPDATE decisions SET id = 9001 WHERE certificate = 5 AND what = 'claimed';"
        "INSERT INTO decisions (id, certificate, at, about, what, why, renewal) VALUES"
        f" (9000, 5, {LONG_AGO}, 'renewal', 'abandoned', '', 'R00000005-01');"
        "UPDATE renewals SET state = 'abandoned' WHERE id = 'R00000005-01'"
    )

    assert broken.found() == set()


def test_what_a_customer_had_asked_to_revoke_was_not_taken_from_them(broken: Broken) -> None:
    broken.sql(
        "UPDATE certificates SET state = 'revoked' WHERE id = 4;"
        f"{DECIDED} (9000, 4, {LONG_AGO}, 'CA', 'revoke asked', '');"
        f"{DECIDED} (9001, 4, {LONG_AGO}, 'CA', 'revoked', '')"
    )

    assert broken.found() == {("I3", "suspended or revoked here, and not so at the CA")}


def test_what_was_suspended_and_resumed_may_be_renewed_and_reminded_of(broken: Broken) -> None:
    broken.sql(
        "UPDATE decisions SET id = id + 9000 WHERE certificate = 5;"
        f"{DECIDED} (8000, 5, {LONG_AGO}, 'CA', 'suspended', '');"
        f"{DECIDED} (8001, 5, {LONG_AGO}, 'CA', 'resumed', '')"
    )

    assert broken.found() == set()
