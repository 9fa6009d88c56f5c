"""The count of each invariant and the first findings, for a person and for a program."""

from __future__ import annotations

import json
import tracemalloc
from typing import TYPE_CHECKING

from renewal.invariants import INVARIANTS
from xuqi.check import CheckFinding, counts, findings, main, run_checks

if TYPE_CHECKING:
    import pytest

    from tests.renewal.invariants.conftest import Broken

MANY = """
    WITH RECURSIVE n (i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 20099)
    INSERT INTO told (certificate, threshold, channel, message)
        SELECT i, 30, 'sms', 'M' || i FROM n;
    WITH RECURSIVE n (i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 20099)
    INSERT INTO certificates (id, customer, product, slot, issuer_hash, serial, spki_sha256,
        certificate_sha256, not_before, not_after, state, der_sealed, changes, version)
        SELECT i, customer, product, 's' || i, x'00', 's' || i, x'', x'', not_before, not_after,
        'expired', x'', 0, 1 FROM n, certificates WHERE id = 4
"""
DEAD = """
    INSERT INTO dead_letters (consumer, identity, topic, key, kind, at, body, tries, why, died_at,
        state) VALUES ('billing', 'payment-requested.v1:P9', 'payments', 'P9',
        'payment-requested.v1', '2026-03-02 02:00:00.000000', x'00', 12, 'the bank says no',
        '2026-03-02 02:00:00.000000', 'open')
"""


def test_a_clean_house_ends_with_zero_and_a_line_for_each_invariant(
    broken: Broken, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(broken.app) == 0

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [[name, "0"] for name in INVARIANTS]


def test_a_violation_ends_with_one_and_says_where_to_look(
    broken: Broken, capsys: pytest.CaptureFixture[str]
) -> None:
    broken.sql("UPDATE renewals SET fee_state = 'voided' WHERE id = 'R00000003-01'")

    assert main(broken.app) == 1
    assert "I4  R00000003-01: 費用狀態或金額與帳冊不符" in capsys.readouterr().out


def test_a_program_gets_one_object(broken: Broken, capsys: pytest.CaptureFixture[str]) -> None:
    broken.sql("UPDATE renewals SET fee_state = 'voided' WHERE id = 'R00000003-01'")

    assert main(broken.app, json=True) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["counts"]["I4"] == 1
    assert told["findings"][0]["key"] == "R00000003-01"


def test_an_open_dead_letter_is_shown_and_is_no_violation(
    broken: Broken, capsys: pytest.CaptureFixture[str]
) -> None:
    broken.sql(DEAD)

    assert main(broken.app, english=True) == 0
    assert "open dead letters: billing 1" in capsys.readouterr().out


def test_every_one_of_many_is_counted_and_the_first_are_shown(broken: Broken) -> None:
    broken.sql(MANY)

    assert counts(broken.app)["I5"] == 20_000
    shown = run_checks(broken.app, first=3).first
    assert len([one for one in shown if one.invariant == "I5"]) == 3
    assert [one for one in findings(broken.app, at_most=1) if one.invariant == "I5"] == [
        CheckFinding(
            invariant="I5",
            what="a threshold claimed by a message that is none of its own",
            key="100",
            zh="提醒時點登記的訊息不存在或不相符",
        )
    ]


def test_many_findings_take_no_more_memory_than_a_page(broken: Broken) -> None:
    counts(broken.app)  # what is compiled and kept once is no part of it
    broken.sql(MANY)

    tracemalloc.start()
    counts(broken.app)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert most < 2_000_000  # twenty thousand rows of them would be more
