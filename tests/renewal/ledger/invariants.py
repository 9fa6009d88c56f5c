"""What must hold of the books, after the public Ledger Conformance Kit, as functions of a store."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from renewal.db.identity_map import ConflictError
from renewal.ledger.checks import balances, rebuilt, recompute
from renewal.ledger.ledger import Ledger, ledger_of
from renewal.ledger.transfers import (
    AccountKind,
    Direct,
    Hold,
    LedgerError,
    OtherContentError,
    Post,
    Rejection,
    TransferAnswer,
    TransferResult,
)
from schema.tables.books import transfers

if TYPE_CHECKING:
    from collections.abc import Callable

    from renewal.db.engine import Store
    from renewal.db.unit_of_work import UnitOfWork

WORLD, ALICE, BOB = "world", "alice", "bob"
DONE, ALREADY = TransferAnswer(TransferResult.DONE), TransferAnswer(TransferResult.ALREADY)
NO_FUNDS = TransferAnswer(TransferResult.REFUSED, Rejection.FUNDS)
MANY = 8


def open_books(store: Store, *, alice: int = 1000) -> None:
    """Two customers who must not overdraw, and the world that their money comes from."""
    with store.transaction() as work:
        ledger_of(work).open_account(WORLD, AccountKind.ASSET, may_overdraw=True)
        ledger_of(work).open_account(ALICE, AccountKind.LIABILITY)
        ledger_of(work).open_account(BOB, AccountKind.LIABILITY)
        if alice:
            top_up(work, "opening", alice)


def top_up(work: UnitOfWork, name: str, amount: int) -> TransferAnswer:
    return ledger_of(work).direct(name, debit=WORLD, credit=ALICE, amount=amount, ref="R")


def pay(books: Ledger, name: str, amount: int) -> TransferAnswer:
    return books.direct(name, debit=ALICE, credit=BOB, amount=amount, ref="R")


def hold(books: Ledger, name: str, amount: int) -> TransferAnswer:
    return books.hold(name, debit=ALICE, credit=BOB, amount=amount, ref="R")


def available(store: Store, name: str = ALICE) -> int:
    with store.snapshot() as look:
        return ledger_of(look).account(name).available


def journal(store: Store) -> list[Any]:
    query = sa.select(transfers).order_by(transfers.c.at, transfers.c.nth)
    with store.snapshot() as look:
        return list(look.connection.execute(query))


def a_busy_day(store: Store) -> None:
    """Everything that can happen to money, refusals too, over several transactions."""
    open_books(store)
    with store.transaction() as work:
        hold(ledger_of(work), "z", 300)
        hold(ledger_of(work), "y", 300)
        hold(ledger_of(work), "x", 900)
        ledger_of(work).post("a", of="z", amount=120, ref="R")
        ledger_of(work).void("b", of="y", ref="R")
    with store.transaction() as work:
        hold(ledger_of(work), "w", 50)
        pay(ledger_of(work), "v", 200)
        pay(ledger_of(work), "u", 5000)
        ledger_of(work).refund("c", of="v", ref="R")
        ledger_of(work).refund("d", of="u", ref="R")


# -- the invariants


def every_transfer_is_balanced(store: Store) -> None:
    a_busy_day(store)

    with store.snapshot() as look:
        now = balances(look).values()

    assert sum(balance.posted for balance in now) == 0
    assert sum(balance.pending_debits - balance.pending_credits for balance in now) == 0


def the_journal_is_append_only(store: Store) -> None:
    open_books(store)

    for statement in (sa.update(transfers).values(amount=1), sa.delete(transfers)):
        with pytest.raises(ConflictError, match="append-only"), store.transaction() as work:
            work.connection.execute(statement)

    assert available(store) == 1000


def a_duplicate_changes_nothing(store: Store) -> None:
    open_books(store)

    with store.transaction() as work:
        first = [pay(ledger_of(work), "p", 100), pay(ledger_of(work), "p", 100)]
    with store.transaction() as work:
        then = [pay(ledger_of(work), "p", 100)]

    assert first + then == [DONE, ALREADY, ALREADY]
    assert available(store) == 900
    assert len(journal(store)) == 2


def an_id_means_one_thing(store: Store) -> None:
    open_books(store)
    with store.transaction() as work:
        pay(ledger_of(work), "p", 100)

    with pytest.raises(OtherContentError), store.transaction() as work:
        pay(ledger_of(work), "p", 101)

    assert available(store) == 900


def concurrent_duplicates_collapse(store: Store) -> None:
    open_books(store)

    said = at_once(store, lambda work, _: pay(ledger_of(work), "p", 100))

    assert Counter(said) == {DONE: 1, ALREADY: MANY - 1}
    assert available(store) == 900


def no_update_of_a_hot_account_is_lost(store: Store) -> None:
    open_books(store)

    said = at_once(store, lambda work, n: pay(ledger_of(work), f"p-{n}", 10))
    with overtaken(store, lambda books: pay(books, "slow", 10)), store.transaction() as work:
        pay(ledger_of(work), "fast", 10)

    assert set(said) == {DONE}
    assert available(store) == 1000 - 10 * (MANY + 2)
    assert available(store, BOB) == 10 * (MANY + 2)


def money_is_neither_made_nor_lost(store: Store) -> None:
    open_books(store)

    with store.transaction() as work:
        hold(ledger_of(work), "h", 900)
        ledger_of(work).post("p", of="h", amount=400, ref="R")

    assert available(store) == 600
    assert available(store, BOB) == 400
    with store.snapshot() as look:
        assert {it.pending_debits + it.pending_credits for it in balances(look).values()} == {0}


def what_is_held_is_not_available(store: Store) -> None:
    open_books(store)

    with store.transaction() as work:
        said = [
            hold(ledger_of(work), "h", 900),
            pay(ledger_of(work), "p", 101),
            pay(ledger_of(work), "q", 100),
        ]

    assert said == [DONE, NO_FUNDS, DONE]


def balances_are_what_the_journal_says(store: Store) -> None:
    a_busy_day(store)

    with store.snapshot() as look:
        assert recompute(look) == []


def nobody_overdraws_at_once(store: Store) -> None:
    open_books(store, alice=100)

    said = at_once(store, lambda work, n: pay(ledger_of(work), f"p-{n}", 30))

    assert Counter(said) == {DONE: 3, NO_FUNDS: MANY - 3}
    assert available(store) == 10


def nobody_overdraws_by_overtaking(store: Store) -> None:
    open_books(store, alice=100)

    with (
        pytest.raises(ConflictError),
        overtaken(store, lambda books: pay(books, "slow", 60)),
        store.transaction() as work,
    ):
        pay(ledger_of(work), "fast", 60)

    assert available(store) == 40


def nobody_overdraws_even_for_a_moment(store: Store) -> None:
    def there_and_back(books: Ledger) -> None:
        pay(books, "there", 60)
        books.direct("back", debit=BOB, credit=ALICE, amount=60, ref="R")

    open_books(store, alice=100)

    with (
        pytest.raises(ConflictError),
        overtaken(store, there_and_back),
        store.transaction() as work,
    ):
        pay(ledger_of(work), "fast", 60)

    assert [row.id for row in journal(store)] == ["opening", "fast"]


def amounts_are_exact(store: Store) -> None:
    odd = 2**53 + 1  # the first whole number that a float cannot hold
    open_books(store, alice=odd)

    for amount in (100.0, True, "100", 0, -1):
        with pytest.raises(LedgerError), store.transaction() as work:
            pay(ledger_of(work), "p", amount)  # type: ignore[arg-type]

    assert available(store) == odd
    assert [row.amount for row in journal(store)] == [odd]


def currencies_are_not_mixed(store: Store) -> None:
    open_books(store)
    with store.transaction() as work:
        ledger_of(work).open_account("usd", AccountKind.ASSET, "USD", may_overdraw=True)

    with pytest.raises(LedgerError, match="mixes TWD and USD"), store.transaction() as work:
        ledger_of(work).direct("p", debit=ALICE, credit="usd", amount=1, ref="R")

    assert available(store) == 1000


def a_reversal_is_a_compensation(store: Store) -> None:
    open_books(store)
    with store.transaction() as work:
        pay(ledger_of(work), "p", 100)

    with store.transaction() as work:
        said = ledger_of(work).refund("back", of="p", ref="R")

    assert said == DONE
    assert (available(store), available(store, BOB)) == (1000, 0)
    assert [(row.kind, row.debit, row.credit) for row in journal(store)[1:]] == [
        ("direct", ALICE, BOB),
        ("refund", BOB, ALICE),
    ]


def the_balances_can_be_rebuilt(store: Store) -> None:
    a_busy_day(store)

    with store.snapshot() as look:
        assert rebuilt(look) == balances(look)
        assert rebuilt(look)[ALICE].posted == -(1000 - 120)
        assert rebuilt(look)[ALICE].pending_debits == 50


def the_journal_has_the_order_in_which_it_happened(store: Store) -> None:
    open_books(store, alice=0)
    with store.transaction() as work:
        top_up(work, "z", 100)
        hold(ledger_of(work), "y", 100)
        ledger_of(work).post("x", of="y", ref="R")
        ledger_of(work).direct("w", debit=BOB, credit=ALICE, amount=100, ref="R")
        pay(ledger_of(work), "v", 100)

    told = [row.id for row in journal(store)]

    assert told == ["z", "y", "x", "w", "v"]


def a_refusal_stays_a_refusal(store: Store) -> None:
    open_books(store, alice=100)
    with store.transaction() as work:
        first = [hold(ledger_of(work), "h", 900), hold(ledger_of(work), "h", 900)]
    with store.transaction() as work:
        top_up(work, "more", 5000)

    with store.transaction() as work:
        then = [hold(ledger_of(work), "h", 900), ledger_of(work).post("p", of="h", ref="R")]
        anew = hold(ledger_of(work), "h-2", 900)

    assert first + then[:1] == [NO_FUNDS] * 3
    assert then[1] == TransferAnswer(TransferResult.REFUSED, Rejection.OF_REFUSED)
    assert anew == DONE
    assert available(store) == 4200


def a_hold_ends_once(store: Store) -> None:
    open_books(store)
    with store.transaction() as work:
        hold(ledger_of(work), "h", 900)
        first = ledger_of(work).post("p", of="h", ref="R")

    with store.transaction() as work:
        again = ledger_of(work).post("p-2", of="h", ref="R")
        otherwise = [
            ledger_of(work).post("p-3", of="h", amount=1, ref="R"),
            ledger_of(work).void("v", of="h", ref="R"),
        ]

    assert (first, again) == (DONE, ALREADY)
    assert otherwise == [TransferAnswer(TransferResult.REFUSED, Rejection.ENDED)] * 2
    assert (available(store), available(store, BOB)) == (100, 900)


def a_hold_ends_once_whoever_is_faster(store: Store) -> None:
    open_books(store)
    with store.transaction() as work:
        hold(ledger_of(work), "h", 900)

    with (
        pytest.raises(ConflictError),
        overtaken(store, lambda books: books.void("v", of="h", ref="R")),
        store.transaction() as work,
    ):
        ledger_of(work).post("p", of="h", ref="R")

    assert (available(store), available(store, BOB)) == (100, 900)


def a_chain_with_a_failing_leg_does_nothing(store: Store) -> None:
    open_books(store)
    legs = [
        Hold(id="h", debit=ALICE, credit=BOB, amount=900, ref="R"),
        Post(id="p", of="h", ref="R"),
        Direct(id="d", debit=ALICE, credit=BOB, amount=101, ref="R"),
    ]

    with store.transaction() as work:
        said = [ledger_of(work).chain(legs), ledger_of(work).chain(legs)]
    with store.transaction() as work:
        top_up(work, "more", 5000)
        said.append(ledger_of(work).chain(legs))

    assert said[0] == NO_FUNDS
    assert {it.result for it in said} == {TransferResult.REFUSED}
    assert (available(store), available(store, BOB)) == (6000, 0)
    assert [row.why for row in journal(store)] == ["", "chain", "chain", "funds", ""]


INVARIANTS = {
    function.__name__: function
    for function in (
        every_transfer_is_balanced,
        the_journal_is_append_only,
        a_duplicate_changes_nothing,
        an_id_means_one_thing,
        concurrent_duplicates_collapse,
        no_update_of_a_hot_account_is_lost,
        money_is_neither_made_nor_lost,
        what_is_held_is_not_available,
        balances_are_what_the_journal_says,
        nobody_overdraws_at_once,
        nobody_overdraws_by_overtaking,
        nobody_overdraws_even_for_a_moment,
        amounts_are_exact,
        currencies_are_not_mixed,
        a_reversal_is_a_compensation,
        the_balances_can_be_rebuilt,
        the_journal_has_the_order_in_which_it_happened,
        a_refusal_stays_a_refusal,
        a_hold_ends_once,
        a_hold_ends_once_whoever_is_faster,
        a_chain_with_a_failing_leg_does_nothing,
    )
}


# -- how several do it at once


def at_once(store: Store, ask: Callable[[UnitOfWork, int], TransferAnswer]) -> list[TransferAnswer]:
    """Ask from several threads; who was overtaken asks again, as delivery does."""

    def ask_until_answered(number: int) -> TransferAnswer:
        for _ in range(MANY):
            try:
                with store.transaction() as work:
                    said = ask(work, number)
            except ConflictError:
                continue
            return said
        raise AssertionError("never answered")

    with ThreadPoolExecutor(MANY) as pool:
        return list(pool.map(ask_until_answered, range(MANY)))


class overtaken:  # noqa: N801 - reads as a sentence
    """
    Decide on what is read now, and write it after the block: as two transactions on PostgreSQL do.

    SQLite has one writer, so this shows there what only the guards at ``flush`` can stop.
    """

    def __init__(self, store: Store, decide: Callable[[Ledger], object]) -> None:
        self.store = store
        self.decide = decide

    def __enter__(self) -> None:
        with self.store.snapshot() as look:
            self.books = Ledger(look.connection, look.at)
            self.decide(self.books)

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            with self.store.transaction() as work:
                self.books._connection = work.connection
                self.books.flush()
