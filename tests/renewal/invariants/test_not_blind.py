"""Each check sees exactly what it is there for."""

# ruff: noqa: S608 - the statements are the tests' own
from __future__ import annotations

from dataclasses import replace

import pytest

from renewal.eventlog.kafka import Connection, KafkaLog
from renewal.invariants import CHECKS, INVARIANTS
from tests.renewal.invariants.conftest import Broken
from xuqi.check import counts

DECIDED = "INSERT INTO decisions (id, certificate, at, about, what, why) VALUES"
LONG_AGO = "'2026-03-01 19:59:59.000000'"  # a second more than six hours
JUST_NOW = "'2026-03-01 20:00:01.000000'"  # not quite six hours
HOLD_OF_5 = """
    UPDATE accounts SET pending_debits = 900 WHERE id = 'customer clearing';
    UPDATE accounts SET pending_credits = 900 WHERE id = 'unearned fees';
    INSERT INTO transfers VALUES ('R00000005-01/hold', 'hold', 'customer clearing',
        'unearned fees', 900, NULL, 'R00000005-01', 'ok', '', '2026-03-02 02:00:00.000000', 1);
    UPDATE renewals SET state = 'abandoned', fee_state = 'held', fee_amount = 900
        WHERE id = 'R00000005-01'
"""
EVENT = """
    INSERT INTO events (topic, key, kind, identity, at, body) VALUES
        ('payments', 'P9', 'payment-requested.v1', 'payment-requested.v1:P9', {at}, x'00')
"""
PARKED = """
    INSERT INTO inbox VALUES
        ('billing', 'payment-requested.v1:P9', 'parked', '2026-03-02 02:00:00.000000');
    INSERT INTO parked (consumer, identity, topic, key, kind, at, body, due, tries, why) VALUES
        ('billing', 'payment-requested.v1:P9', 'payments', 'P9', 'payment-requested.v1',
         '2026-03-02 02:00:00.000000', x'00', {due}, 1, 'the bank is away')
"""

BEGUN = """
    UPDATE inbox SET state = 'begun', at = {at}
        WHERE identity = 'renewal-confirmed.v1:R00000001-01'
"""

CASES: dict[str, tuple[str, set[str]]] = {
    # --- I1
    "old one settled too early": (
        "UPDATE renewals SET old_state = 'to revoke' WHERE id = 'R00000005-01'",
        {"I1 the old certificate was settled before the new one was in force"},
    ),
    "superseded for nothing": (
        "UPDATE certificates SET state = 'superseded' WHERE id = 4",
        {"I1 superseded, and no renewal put another in its place"},
    ),
    "done, and the new one pending": (
        "UPDATE certificates SET state = 'pending' WHERE id = 8",
        {"I1 the renewal counts as in force, its new certificate never was"},
    ),
    "done, and no new one": (
        "UPDATE renewals SET new_certificate = NULL WHERE id = 'R00000003-01'",
        {
            "I1 the renewal counts as in force, its new certificate never was",
            "I3 a certificate of a renewal that does not know of it",
        },
    ),
    "no request": (
        "UPDATE renewals SET csr = NULL WHERE id = 'R00000001-01'",
        {"I1 in force without the proof on record"},
    ),
    "no proof by the old key of a token": (
        "UPDATE renewals SET proof = NULL WHERE id = 'R00000002-01'",
        {"I1 in force without the proof on record"},
    ),
    "not read back": (
        "DELETE FROM decisions WHERE certificate = 3 AND what = 'written, read back'",
        {"I1 in force without the proof on record"},
    ),
    "never activated": (
        "DELETE FROM decisions WHERE certificate = 2 AND what = 'activated'",
        {"I1 in force without the proof on record"},
    ),
    "revoked before proven": (
        "UPDATE decisions SET id = 9000 WHERE certificate = 1 AND what = 'activated'",
        {"I1 the old certificate was revoked before the new one was proven"},
    ),
    "under way and gone": (
        "UPDATE certificates SET state = 'superseded' WHERE id = 5",
        {"I1 a renewal is under way and the old certificate is gone already"},
    ),
    "revoked unasked": (
        (
            "UPDATE certificates SET state = 'revoked' WHERE id = 4;"
            f"{DECIDED} (9000, 4, '2026-03-02 02:00:00.000000', 'CA', 'revoked', '')"
        ),
        {
            "I1 revoked, and nobody had asked for it",
            "I3 suspended or revoked here, and not so at the CA",
        },
    ),
    # --- I2
    "two in force": (
        "UPDATE certificates SET slot = (SELECT slot FROM certificates WHERE id = 4) WHERE id = 5",
        {"I2 two certificates in force in one slot"},
    ),
    "suspended, then asked for": (
        (
            "UPDATE decisions SET id = 9001 WHERE certificate = 5 AND what = 'requested';"
            f"{DECIDED} (9000, 5, '2026-03-02 02:00:00.000000', 'CA', 'suspended', '')"
        ),
        {"I2 renewed while its certificate was suspended or revoked"},
    ),
    "taken in as suspended, then asked for": (
        "UPDATE certificates SET state = 'suspended' WHERE id = 5",
        {
            "I2 renewed while its certificate was suspended or revoked",
            "I3 suspended or revoked here, and not so at the CA",
        },
    ),
    "asked for, then resumed": (
        f"{DECIDED} (9000, 5, '2026-03-02 02:00:00.000000', 'CA', 'resumed', '')",
        {"I2 renewed while its certificate was suspended or revoked"},
    ),
    "applied for, with the number of another one": (
        "UPDATE renewals SET old_state = 'none' WHERE id = 'R00000005-01'",
        {"I2 a renewal of nothing, or an application for somebody else's certificate"},
    ),
    # --- I3
    "a renewal that does not know of it": (
        "UPDATE certificates SET renewal = 'R00000009-01' WHERE id = 8",
        {
            "I3 a certificate of a renewal that does not know of it",
            "I3 the CA made it for another renewal than we say",
        },
    ),
    "longer than asked for": (
        "UPDATE certificates SET not_after = '2028-03-21 15:59:59.000000' WHERE id = 8",
        {"I3 the certificate is not what its renewal had asked for"},
    ),
    "another key than asked for": (
        "UPDATE certificates SET spki_sha256 = x'00' WHERE id = 8",
        {"I3 the certificate is not what its renewal had asked for"},
    ),
    "one key twice": (
        (
            "UPDATE certificates SET spki_sha256 ="
            " (SELECT spki_sha256 FROM certificates WHERE id = 8) WHERE id = 4"
        ),
        {"I3 one key in two certificates"},
    ),
    "issued without a row": (
        "UPDATE renewals SET state = 'issued' WHERE id = 'R00000005-01'",
        {"I3 issued, and no certificate is on record"},
    ),
    # --- I4
    "a dollar too much": (
        "UPDATE accounts SET posted = posted - 1 WHERE id = 'fee income'",
        {"I4 the books are not what their journal says"},
    ),
    "captured for another": (
        "UPDATE transfers SET ref = 'R00000005-01' WHERE kind = 'post'",
        {
            "I4 a fee captured without delivery",
            "I4 the fee's state or amount is not what the books say",
        },
    ),
    "held after the end": (
        HOLD_OF_5,
        {"I4 a fee still held when the renewal has ended"},
    ),
    "voided in name only": (
        "UPDATE renewals SET fee_state = 'voided' WHERE id = 'R00000003-01'",
        {"I4 the fee's state or amount is not what the books say"},
    ),
    "captured in name only": (
        "UPDATE renewals SET fee_state = 'captured' WHERE id = 'R00000001-01'",
        {"I4 the fee's state or amount is not what the books say"},
    ),
    "another amount than quoted": (
        "UPDATE renewals SET fee_amount = 901 WHERE id = 'R00000003-01'",
        {"I4 the fee's state or amount is not what the books say"},
    ),
    "another amount than paid": (
        "UPDATE payments SET amount = 901",
        {"I4 the payment's state or amount is not what the books say"},
    ),
    "used by nobody's renewal": (
        "UPDATE payments SET renewal = 'R00000009-01'",
        {
            "I4 the payment's state or amount is not what the books say",
            "I4 a payment used up or reserved by no renewal that may",
            "I4 a renewal that used an entitlement which nobody paid",
        },
    ),
    "used and not paid": (
        "DELETE FROM payments",
        {"I4 a renewal that used an entitlement which nobody paid"},
    ),
    # --- I5
    "a reminder of nothing": (
        "DELETE FROM told WHERE certificate = 4",
        {"I5 a reminder that tells of no threshold"},
    ),
    "claimed and no message": (
        "DELETE FROM messages WHERE id = (SELECT message FROM told WHERE certificate = 4)",
        {"I5 a threshold claimed by a message that is none of its own"},
    ),
    "claimed on another channel": (
        "UPDATE told SET channel = 'mail' WHERE certificate = 4",
        {"I5 a threshold claimed by a message that is none of its own"},
    ),
    "reminded while under way": (
        "UPDATE decisions SET id = 9000 WHERE certificate = 5 AND what = 'claimed'",
        {"I5 reminded while its renewal was under way or done"},
    ),
    "reminded after it was done": (
        "UPDATE decisions SET id = 9000 WHERE certificate = 1 AND what = 'claimed'",
        {
            "I5 reminded while its renewal was under way or done",
            "I5 reminded of a suspended or revoked certificate",
        },
    ),
    "reminded while suspended": (
        f"{DECIDED} (0, 4, '2026-03-02 01:00:00.000000', 'CA', 'suspended', '')",
        {"I5 reminded of a suspended or revoked certificate"},
    ),
    "reminded too late": (
        (
            "UPDATE messages SET claimed_at = '2026-04-19 16:00:00.000000'"
            " WHERE id = (SELECT message FROM told WHERE certificate = 4)"
        ),
        {"I5 reminded after its window had closed"},
    ),
    "never handed over": (
        (
            f"UPDATE messages SET state = 'claimed', handed_at = NULL, claimed_at = {LONG_AGO}"
            " WHERE id = (SELECT message FROM told WHERE certificate = 4)"
        ),
        {"I5 a reminder that was to be sent, and neither was nor waits to be"},
    ),
    "a reminder missed": (
        "DELETE FROM decisions WHERE certificate = 4 AND about = 'reminder'",
        {"I5 a reminder missed"},
    ),
    # --- I8
    "passed over": (
        "DELETE FROM inbox WHERE consumer = 'billing' AND identity LIKE 'renewal-confirmed%'",
        {"I8 an event that its consumer has passed over"},
    ),
    "not read for hours": (
        EVENT.format(at=LONG_AGO),
        {"I8 an event that nobody has read for hours"},
    ),
    "waits nowhere": (
        "UPDATE inbox SET state = 'parked' WHERE identity = 'renewal-confirmed.v1:R00000001-01'",
        {"I8 an event that was taken up, and waits nowhere"},
    ),
    "begun and left": (
        "UPDATE inbox SET state = 'begun' WHERE identity = 'renewal-confirmed.v1:R00000001-01'",
        {"I8 an event that was taken up, and waits nowhere"},
    ),
    "dead and gone": (
        "UPDATE inbox SET state = 'dead' WHERE identity = 'renewal-confirmed.v1:R00000001-01'",
        {"I8 an event given up without a dead letter"},
    ),
    "overdue": (
        PARKED.format(due=LONG_AGO),
        {"I8 an event whose time came hours ago"},
    ),
    "behind nothing": (
        PARKED.format(due="NULL"),
        {"I8 events of a key that wait behind nothing"},
    ),
    "moved by nothing": (
        "UPDATE renewals SET state = 'confirmed' WHERE id = 'R00000005-01'",
        {"I8 a renewal that waits for us, and no event moves it on"},
    ),
}
#: Broken by more than one statement, in tests of their own below.
COPIES = {
    "I2 two renewals under way in one slot",
    "I3 two certificates for one renewal",
    "I4 a fee captured twice",
    "I4 two payments for one certificate",
    "I4 a payment waits for the bank, and nobody asks it",
    "I5 two reminders by SMS on one day",
}


def test_a_house_where_all_went_well_has_only_zeros(broken: Broken) -> None:
    assert counts(broken.app) == dict.fromkeys(INVARIANTS, 0)


@pytest.mark.parametrize("case", CASES)
def test_what_is_broken_is_found_and_nothing_else(broken: Broken, case: str) -> None:
    statements, expected = CASES[case]

    broken.sql(statements)

    assert {" ".join(one) for one in broken.found()} == expected


def test_each_check_has_a_case_of_its_own() -> None:
    alone = {what for _, whats in CASES.values() for what in whats}

    assert {f"{check.invariant} {check.what}" for check in CHECKS} <= alone | COPIES


def test_two_renewals_under_way_in_one_slot_are_found(broken: Broken) -> None:
    broken.copy("renewals", "id = 'R00000005-01'", id="'R00000005-02'")

    assert broken.found() == {("I2", "two renewals under way in one slot")}


def test_two_certificates_for_one_renewal_are_found(broken: Broken) -> None:
    broken.copy(
        "certificates", "id = 8", id="9", serial="'ab'", spki_sha256="x'01'", state="'expired'"
    )

    assert broken.found() == {
        ("I3", "two certificates for one renewal"),
        ("I3", "a certificate of a renewal that does not know of it"),
        ("I9", "a sealed value is not of its row, or not what its hash says"),  # it was copied
    }


def test_a_mobile_that_was_put_into_another_persons_row_is_found(broken: Broken) -> None:
    broken.sql(
        "UPDATE customers SET mobile_sealed = (SELECT mobile_sealed FROM customers WHERE id = 2)"
        " WHERE id = 1"
    )

    assert broken.found() == {("I9", "a sealed value is not of its row, or not what its hash says")}


def test_a_fee_captured_twice_is_found_even_if_the_books_agree(broken: Broken) -> None:
    broken.copy("transfers", "kind = 'hold'", id="'again'")
    broken.copy("transfers", "kind = 'post'", id="'and again'", of="'again'")
    broken.sql(
        "UPDATE accounts SET posted = posted + 900 WHERE id = 'customer clearing';"
        "UPDATE accounts SET posted = posted - 900 WHERE id = 'unearned fees'"
    )

    assert broken.found() == {
        ("I4", "a fee captured twice"),
        ("I4", "the fee's state or amount is not what the books say"),
    }


def test_two_payments_for_one_certificate_are_found(broken: Broken) -> None:
    broken.copy("payments", "1", id="'P9'", state="'asked'", renewal="NULL")
    broken.sql(EVENT.format(at=JUST_NOW))

    assert broken.found() == {("I4", "two payments for one certificate")}


def test_a_payment_for_which_nobody_asks_the_bank_is_found(broken: Broken) -> None:
    broken.copy("payments", "1", id="'P9'", certificate="4", state="'asked'", renewal="NULL")

    assert broken.found() == {("I4", "a payment waits for the bank, and nobody asks it")}


def test_a_payment_that_is_paid_in_name_only_is_found(broken: Broken) -> None:
    broken.copy("payments", "1", id="'P9'", certificate="4", state="'paid'", renewal="NULL")

    assert broken.found() == {("I4", "the payment's state or amount is not what the books say")}


@pytest.mark.parametrize(
    ("handed", "expected"),
    [
        ("'2026-03-02 15:59:59.999999'", {("I5", "two reminders by SMS on one day")}),
        ("'2026-03-02 16:00:00.000000'", set()),  # midnight in Taipei
    ],
)
def test_a_day_is_a_day_in_taipei(
    broken: Broken, handed: str, expected: set[tuple[str, str]]
) -> None:
    first = "SELECT message FROM told WHERE certificate = 4"
    broken.copy("messages", f"id = ({first})", id="'M2'", handed_at=handed)
    broken.copy("told", "certificate = 4", threshold="29", message="'M2'")

    assert broken.found() == expected


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ("SELECT 1", set()),
        (EVENT.format(at=LONG_AGO), {("I8", "an event that nobody has read for hours")}),
        (EVENT.format(at=JUST_NOW), set()),
        (BEGUN.format(at=LONG_AGO), {("I8", "an event that was taken up, and waits nowhere")}),
        (BEGUN.format(at=JUST_NOW), set()),
    ],
)
def test_where_the_log_is_on_kafka_what_it_lost_is_found_all_the_same(
    broken: Broken, statements: str, expected: set[tuple[str, str]]
) -> None:
    nowhere = KafkaLog(Connection(servers=("127.0.0.1:1",)))
    elsewhere = Broken(replace(broken.app, log=nowhere), broken.path)

    elsewhere.sql(f"DELETE FROM offsets; {statements}")

    assert elsewhere.found() == expected
