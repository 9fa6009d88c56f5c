"""The judge sees each thing that must never happen, in ledgers that break exactly that."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from schema.policy import load_policies
from simulation.checker import RULES, judge
from simulation.checker.history import read_history
from tests.simulation.hand_made import Ledgers, Line, at, clean, digest

if TYPE_CHECKING:
    from pathlib import Path

POLICIES = load_policies()
IN_TAIPEI = json.dumps(
    {"at": "2026-03-02T02:00:00+08:00", "to": "", "subject": "", "body": "", "id": "", "ref": ""}
)
Break = Callable[[Ledgers], object]


def rules_that_complain(ledgers: Ledgers, folder: Path) -> set[str]:
    story = read_history(ledgers.write(folder), policies=POLICIES, ended=True)
    return {rule.__name__ for rule in RULES if list(rule(story))}


def move(ledgers: Ledgers, ledger: str, to: str, **which: object) -> None:
    ledgers.find(ledger, **which)["at"] = to


def is_line(**fields: object) -> Callable[[Line], bool]:
    return lambda line: all(line[name] == value for name, value in fields.items())


def a_second_renewal(told: Ledgers) -> None:
    told.did(at("04:00:00"), 1, "asked", "R00000001-02")
    told.sms(at("04:01:00"), 1, "憑證更新驗證碼9876，60秒內有效。", "K2-1-sms")
    told.did(at("04:01:20"), 1, "coded", "right")
    told.issue(at("04:01:25"), "c1", 1, "R00000001-02/issue")
    told.did(at("04:01:30"), 1, "received", serial="c1")
    told.find("ca", serial="a1", op="revoke")["at"] = at("05:00:00")


def renewed_while_suspended(told: Ledgers) -> None:
    told.ca(at("03:19:00"), "suspend", "a3", 3, "C00000003-01/suspend")
    told.ca(at("04:00:00"), "resume", "a3", 3, "C00000003-02/resume")


def never_collected(told: Ledgers) -> None:
    told.remove(
        "customers", lambda line: line["did"] in {"received", "proved"} and line["customer"] == 1
    )
    told.remove("ca", is_line(op="revoke"))


def held_twice_at_once(told: Ledgers) -> None:
    told.book(at("03:20:30"), "hold", "R00000003-02/hold", "R00000003-02")
    told.book(at("03:40:00"), "void", "R00000003-02/void", "R00000003-02", "R00000003-02/hold")


def booked_for_nobody(told: Ledgers) -> None:
    told.book(at("03:40:00"), "hold", "X0000/hold", "X0000")
    told.book(at("03:41:00"), "void", "X0000/void", "X0000", "X0000/hold")


def charged_without_a_fee(told: Ledgers) -> None:
    told.book(at("03:40:00"), "debit", "P00000004-01/debit", "R00000004-01")
    told.book(at("03:41:00"), "refund", "P00000004-01/refund", "R00000004-01", "P00000004-01/debit")


def three_wrong_codes(told: Ledgers) -> None:
    for second in (5, 6, 7):
        told.did(at(f"03:01:0{second}"), 1, "coded", "wrong")


def ten_wrong_codes(told: Ledgers) -> None:
    for minute in range(5):
        told.sms(at(f"04:0{minute}:00"), 4, "憑證更新驗證碼4321，60秒內有效。", f"K4-{minute}")
        for second in range(10, 13):
            if minute < 4:
                told.did(at(f"04:0{minute}:{second}"), 4, "coded", "wrong")


def the_last_try(told: Ledgers) -> None:
    told.card(at("03:12:30"), 2, "verify", result="63C0")


def a_pin_tried_twice(told: Ledgers) -> None:
    told.card(at("03:12:30"), 2, "verify", result="63C2")
    told.card(at("03:12:31"), 2, "verify", result="63C1")


def a_key_without_certificate(told: Ledgers) -> None:
    told.card(at("04:00:00"), 3, "generate", "9D", digest("a key that nobody knows"))
    told.card(at("04:00:01"), 3, "put", "9D", digest("any certificate"))


BROKEN: list[tuple[str, Break]] = [
    # --- I1
    (
        "revoked_only_after_proof",
        lambda told: move(told, "ca", at("03:01:35"), serial="a1", op="revoke"),
    ),
    (
        "superseded_only_by_a_renewal",
        lambda told: told.ca(
            at("01:00:00", 19), "revoke", "a4", 4, "C00000004-01/revoke", "superseded"
        ),
    ),
    (
        "what_was_proven_is_not_taken_back",
        lambda told: told.ca(
            at("10:00:00", 21), "revoke", "b1", 1, "R00000001-01/take-back", "cessationOfOperation"
        ),
    ),
    (
        "whoever_has_one_in_force_can_use_it",
        lambda told: told.did(at("04:00:00"), 3, "used", "the token does not answer"),
    ),
    (
        "everybody_is_looked_at_often_enough",
        lambda told: told.remove("customers", is_line(at=at("09:00:00", 7), customer=3)),
    ),
    # --- I2
    ("only_a_good_one_is_renewed", renewed_while_suspended),
    ("one_certificate_is_renewed_once", a_second_renewal),
    (
        "the_old_one_goes_where_the_product_says_so",
        lambda told: told.remove("ca", is_line(op="revoke")),
    ),
    # --- I3
    ("issued_once", lambda told: told.issue(at("03:01:26"), "c1", 1, "R00000001-01/issue")),
    ("issued_for_somebody", lambda told: told.issue(at("03:01:26"), "c1", 1, None)),
    (
        "issued_for_somebody",
        lambda told: told.find("customers", did="asked", customer=1).update(result="not now"),
    ),
    (
        "states_change_as_they_may",
        lambda told: told.ca(
            at("03:50:00"), "revoke", "ff", 4, "C00000009-01/revoke", "unspecified"
        ),
    ),
    ("nothing_issued_is_left_lying", never_collected),
    # --- I4
    (
        "one_id_is_one_booking",
        lambda told: told.book(
            at("03:11:00"), "debit", "P00000002-01/debit", "R00000002-01", None, 901, "duplicate"
        ),
    ),
    ("a_hold_ends_once", lambda told: told.find("bank", op="capture").update(amount=901)),
    (
        "nobody_pays_twice",
        lambda told: told.book(at("03:11:00"), "debit", "P00000002-02/debit", "R00000002-01"),
    ),
    ("holds_of_one_certificate_follow_each_other", held_twice_at_once),
    ("refs_are_ours", booked_for_nobody),
    ("captured_only_on_delivery", lambda told: move(told, "bank", at("03:21:09"), op="capture")),
    (
        "delivered_means_paid",
        lambda told: told.book(
            at("03:50:00"), "refund", "P00000002-01/refund", "R00000002-01", "P00000002-01/debit"
        ),
    ),
    (
        "issued_only_with_the_fee_secured",
        lambda told: told.remove("bank", is_line(ref="R00000002-01")),
    ),
    (
        "nothing_stays_held",
        lambda told: told.book(at("03:50:00"), "hold", "R00000003-02/hold", "R00000003-02"),
    ),
    ("nothing_is_kept_for_nothing", lambda told: told.remove("bank", is_line(op="refund"))),
    ("accounts_add_up", lambda told: told.find("bank", op="refund").update(amount=400)),
    ("fees_are_as_the_policy_says", charged_without_a_fee),
    # --- I5
    (
        "every_reminder_is_understood",
        lambda told: told.find("sms", ref="M1").update(body="Please come to your branch."),
    ),
    (
        "one_message_is_handed_over_once",
        lambda told: told.mail(at("03:03:00"), 1, "憑證更新成功通知", "您的憑證已更新成功", "N1"),
    ),
    (
        "a_threshold_is_told_once",
        lambda told: told.sms(at("02:00:00", 1), 4, "將於2026/03/08到期（剩5天），請更新。", "M9"),
    ),
    ("nobody_is_disturbed", lambda told: move(told, "sms", at("04:30:00", 3), ref="M4-3")),
    ("nobody_is_disturbed", lambda told: move(told, "sms", at("13:00:00", 3), ref="M4-3")),
    (
        "nobody_is_disturbed",
        lambda told: told.find("sms", ref="M4--1").update(
            at=at("02:00:00", 12), body="已於2026/03/08到期（逾期6天），請更新。"
        ),
    ),
    (
        "one_text_message_a_day",
        lambda told: told.sms(at("03:00:00"), 4, "將於2026/03/25到期（剩23天），請更新。", "M9"),
    ),
    (
        "no_reminder_is_in_vain",
        lambda told: told.sms(at("02:00:00", 4), 1, "將於2026/03/20到期（剩14天），請更新。", "M9"),
    ),
    ("no_threshold_is_missed", lambda told: told.remove("sms", is_line(ref="M4-3"))),
    # --- I6
    (
        "a_code_is_accepted_once_and_in_time",
        lambda told: told.did(at("03:01:22"), 1, "coded", "right"),
    ),
    (
        "a_code_is_accepted_once_and_in_time",
        lambda told: move(told, "sms", at("03:00:19"), ref="K1-1-sms"),
    ),
    ("a_code_is_accepted_once_and_in_time", three_wrong_codes),
    (
        "confirmed_by_code_where_the_product_says_so",
        lambda told: told.remove("customers", is_line(did="coded")),
    ),
    ("whoever_guesses_gets_no_new_code", ten_wrong_codes),
    (
        "codes_stay_on_the_phone",
        lambda told: told.mail(at("03:01:00"), 1, "驗證碼", "驗證碼如下：\n\n1234", "K1-1-mail"),
    ),
    # --- I7
    ("the_last_try_is_spent_by_a_person_only", the_last_try),
    ("a_pin_is_tried_once", a_pin_tried_twice),
    (
        "what_is_in_force_is_not_destroyed",
        lambda told: told.card(at("04:00:00"), 3, "put", "9C", digest("another certificate")),
    ),
    (
        "what_is_in_force_is_not_destroyed",
        lambda told: told.card(at("04:00:00"), 3, "generate", "9A", digest("another key")),
    ),
    ("only_the_right_certificate_is_written", a_key_without_certificate),
    (
        "written_is_said_after_writing",
        lambda told: move(told, "customers", at("03:12:10"), certificate="b2", did="received"),
    ),
    (
        "one_key_for_one_renewal",
        lambda told: told.card(at("04:00:00"), 3, "sign", "9C", digest("another key")),
    ),
]


def test_a_clean_story_is_clean(tmp_path: Path) -> None:
    found = judge(clean().write(tmp_path), policies=POLICIES, ended=True)

    assert found == []


@pytest.mark.parametrize(
    ("rule", "break_it"), BROKEN, ids=[f"{n}-{name}" for n, (name, _) in enumerate(BROKEN)]
)
def test_what_breaks_one_rule_is_seen_by_that_rule(
    tmp_path: Path, rule: str, break_it: Break
) -> None:
    ledgers = clean()

    break_it(ledgers)

    assert rules_that_complain(ledgers, tmp_path) == {rule}


def test_more_refunded_than_paid_is_seen_twice(tmp_path: Path) -> None:
    ledgers = clean()

    ledgers.find("bank", op="refund")["amount"] = 901

    wanted = {"refunds_fit_what_was_paid", "accounts_add_up"}
    assert rules_that_complain(ledgers, tmp_path) == wanted


def test_every_rule_is_shown_to_see(tmp_path: Path) -> None:
    shown = {name for name, _ in BROKEN} | {"refunds_fit_what_was_paid", "every_line_is_readable"}

    assert {rule.__name__ for rule in RULES} == shown


def test_whoever_cannot_be_reached_is_owed_no_reminder(tmp_path: Path) -> None:
    ledgers = clean()
    ledgers.remove("sms", lambda line: line["ref"].startswith("M4"))
    ledgers.write(tmp_path)

    missed = judge(tmp_path, policies=POLICIES, ended=True)
    excused = judge(tmp_path, policies=POLICIES, ended=True, unreachable=[4])

    assert {one.invariant for one in missed} == {"I5"}
    assert excused == []


def test_what_may_still_end_well_is_wrong_only_when_the_story_is_over(tmp_path: Path) -> None:
    ledgers = clean()
    ledgers.remove("ca", is_line(op="revoke"))
    ledgers.write(tmp_path)

    assert judge(tmp_path, policies=POLICIES, ended=False) == []
    assert [one.invariant for one in judge(tmp_path, policies=POLICIES, ended=True)] == ["I2"]


@pytest.mark.parametrize(
    ("ledger", "line", "place", "why"),
    [
        ("bank", "{", "bank.jsonl:6", "the line is cut off"),
        ("sms", '{"at": "2026-03-02T02:00:00+00:00"}\n', "sms.jsonl:9", "missing required field"),
        ("ca", "[]\n", "ca.jsonl:10", "Expected `object`"),
        ("mail", f"{IN_TAIPEI}\n", "mail.jsonl:4", "times are UTC"),
        ("cards", '{"place": "elsewhere"}\n', "cards.jsonl:15", "does not know a field"),
    ],
)  # fmt: skip
def test_a_line_that_nobody_can_read_is_named(
    tmp_path: Path, ledger: str, line: str, place: str, why: str
) -> None:
    path = clean().write(tmp_path) / f"{ledger}.jsonl"

    path.write_text(path.read_text() + line)

    [found] = judge(tmp_path, policies=POLICIES, ended=True)
    assert (found.invariant, found.where) == ("ledger", (place,))
    assert why in found.what


def test_an_unknown_field_and_an_unknown_word_are_named(tmp_path: Path) -> None:
    ledgers = clean()
    ledgers.lines["bank"][0]["note"] = "hello"
    ledgers.find("customers", did="gave_pin")["did"] = "laughed"

    found = judge(ledgers.write(tmp_path), policies=POLICIES, ended=True)

    places = {one.where[0].partition(":")[0] for one in found if one.invariant == "ledger"}
    assert places == {"bank.jsonl", "customers.jsonl"}


def test_a_ledger_that_is_not_there_is_no_proof_of_anything(tmp_path: Path) -> None:
    clean().write(tmp_path)
    (tmp_path / "customers.jsonl").unlink()

    found = judge(tmp_path, policies=POLICIES, ended=True)

    assert ("ledger", ("customers.jsonl",)) in {(one.invariant, one.where) for one in found}
