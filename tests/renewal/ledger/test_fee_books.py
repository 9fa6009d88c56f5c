"""Shows what becomes of a renewal's fee in the books."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from renewal.ledger import fee_postings
from renewal.ledger.checks import balances, pending_holds, recompute
from renewal.ledger.fee_postings import (
    entitlement_consumed,
    fee_captured,
    fee_held,
    fee_prepaid,
    fee_refunded,
    fee_voided,
    refund_owed,
)
from renewal.ledger.ledger import CLEARING, INCOME, REFUNDS, UNEARNED
from renewal.ledger.transfers import LedgerError, Rejection, TransferAnswer, TransferResult
from tests.renewal.ledger.invariants import ALREADY, DONE
from tests.renewal.ledger.test_books import statements

if TYPE_CHECKING:
    from renewal.db.engine import Store
    from renewal.db.unit_of_work import UnitOfWork

pytestmark = pytest.mark.shows("D03")

ENDED = TransferAnswer(TransferResult.REFUSED, Rejection.ENDED)
HOLD = "R1-1:1"


def held(work: UnitOfWork) -> TransferAnswer:
    return fee_held(work, "R1-1", 900, HOLD)


def posted(store: Store) -> dict[str, int]:
    """What is booked on each account that is not at zero; debits are positive."""
    with store.snapshot() as look:
        assert recompute(look) == []
        return {name: it.posted for name, it in balances(look).items() if it.posted}


def pending(store: Store) -> list[str]:
    with store.snapshot() as look:
        return [hold.id for hold in pending_holds(look)]


def test_a_held_fee_is_nobodys_yet(store: Store) -> None:
    with store.transaction() as work:
        said = held(work)

    assert said == DONE
    assert posted(store) == {}
    assert pending(store) == [HOLD]


def test_a_captured_fee_is_earned(store: Store) -> None:
    with store.transaction() as work:
        held(work)

    with store.transaction() as work:
        said = [fee_captured(work, "R1-1", hold=HOLD), fee_captured(work, "R1-1", hold=HOLD)]

    assert said == [DONE, ALREADY]
    assert posted(store) == {CLEARING: 900, INCOME: -900}
    assert pending(store) == []


def test_a_part_of_a_fee_is_captured_and_the_rest_set_free(store: Store) -> None:
    with store.transaction() as work:
        held(work)

    with store.transaction() as work:
        fee_captured(work, "R1-1", hold=HOLD, amount=500)

    assert posted(store) == {CLEARING: 500, INCOME: -500}
    assert pending(store) == []


def test_a_voided_fee_leaves_no_trace_in_the_balances(store: Store) -> None:
    with store.transaction() as work:
        held(work)

    with store.transaction() as work:
        said = [fee_voided(work, "R1-1", hold=HOLD), fee_voided(work, "R1-1", hold=HOLD)]

    assert said == [DONE, ALREADY]
    assert posted(store) == {}
    assert pending(store) == []


def test_a_fee_is_captured_or_voided_and_never_both(store: Store) -> None:
    with store.transaction() as work:
        held(work)
        fee_held(work, "R2-1", 900, "R2-1:1")
        fee_captured(work, "R1-1", hold=HOLD)
        fee_voided(work, "R2-1", hold="R2-1:1")

    with store.transaction() as work:
        said = [
            fee_voided(work, "R1-1", hold=HOLD),
            fee_captured(work, "R2-1", hold="R2-1:1"),
        ]

    assert said == [ENDED, ENDED]
    assert posted(store) == {CLEARING: 900, INCOME: -900}


def test_a_fee_that_was_never_held_cannot_be_captured(store: Store) -> None:
    with pytest.raises(LedgerError, match=HOLD), store.transaction() as work:
        fee_captured(work, "R1-1", hold=HOLD)


def test_what_is_paid_first_is_owed_until_it_is_used(store: Store) -> None:
    with store.transaction() as work:
        said = [fee_prepaid(work, "P1", 500), fee_prepaid(work, "P1", 500)]

    assert said == [DONE, ALREADY]
    assert posted(store) == {CLEARING: 500, UNEARNED: -500}


def test_an_entitlement_is_used_by_one_renewal(store: Store) -> None:
    with store.transaction() as work:
        fee_prepaid(work, "P1", 500)
        fee_prepaid(work, "P2", 500)

    with store.transaction() as work:
        said = [
            entitlement_consumed(work, "R1-1", payment="P1"),
            entitlement_consumed(work, "R1-1", payment="P1"),
            entitlement_consumed(work, "R2-1", payment="P1"),
        ]
    with store.transaction() as work:
        later = entitlement_consumed(work, "R2-1", payment="P1")

    assert said == [DONE, ALREADY, ENDED]
    assert later == ENDED
    assert posted(store) == {CLEARING: 1000, UNEARNED: -500, INCOME: -500}


def test_what_was_not_paid_cannot_be_used(store: Store) -> None:
    with pytest.raises(LedgerError, match="P1:paid"), store.transaction() as work:
        entitlement_consumed(work, "R1-1", payment="P1")


def test_a_refund_is_owed_and_then_paid(store: Store) -> None:
    with store.transaction() as work:
        fee_prepaid(work, "P1", 500)
    with store.transaction() as work:
        owed = [refund_owed(work, "P1"), refund_owed(work, "P1")]
    owing = posted(store)

    with store.transaction() as work:
        paid = [fee_refunded(work, "P1"), fee_refunded(work, "P1")]

    assert owed == paid == [DONE, ALREADY]
    assert owing == {CLEARING: 500, REFUNDS: -500}
    assert posted(store) == {}


def test_a_refund_may_be_booked_in_one_go(store: Store) -> None:
    with store.transaction() as work:
        fee_prepaid(work, "P1", 500)

    with store.transaction() as work:
        said = fee_refunded(work, "P1")

    assert said == DONE
    assert posted(store) == {}


def test_an_entitlement_is_used_or_refunded_and_never_both(store: Store) -> None:
    with store.transaction() as work:
        for payment in ("P1", "P2"):
            fee_prepaid(work, payment, 500)
        entitlement_consumed(work, "R1-1", payment="P1")
        refund_owed(work, "P2")

    with store.transaction() as work:
        said = [fee_refunded(work, "P1"), entitlement_consumed(work, "R2-1", payment="P2")]

    assert said == [ENDED, ENDED]
    assert posted(store) == {CLEARING: 1000, INCOME: -500, REFUNDS: -500}


def test_five_hundred_fees_are_captured_with_a_handful_of_statements(store: Store) -> None:
    renewals = [f"R{n}-1" for n in range(500)]
    with store.transaction() as work:
        for renewal in renewals:
            fee_held(work, renewal, 900, f"{renewal}:1")

    with statements(store) as told, store.transaction() as work:
        fee_postings.preload(work, holds=[f"{renewal}:1" for renewal in renewals])
        for renewal in renewals:
            assert fee_captured(work, renewal, hold=f"{renewal}:1") == DONE

    assert sorted(it.split()[0] for it in told if "BEGIN" not in it) == [
        "INSERT", "INSERT", "SELECT", "SELECT", "SELECT", "UPDATE",
    ]  # fmt: skip
    assert posted(store) == {CLEARING: 450_000, INCOME: -450_000}
