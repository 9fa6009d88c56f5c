"""Shows what the books answer, refuse and keep, request by request."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from renewal.db.identity_map import ConflictError
from renewal.ledger.checks import (
    Balance,
    Difference,
    balances,
    pending_holds,
    recompute,
)
from renewal.ledger.ledger import CLEARING, INCOME, OWN_ACCOUNTS, UNEARNED, ledger_of
from renewal.ledger.transfers import (
    Account,
    AccountKind,
    Direct,
    Hold,
    LedgerError,
    Post,
    Refund,
    Rejection,
    TransferAnswer,
    TransferResult,
    Void,
)
from schema.tables.books import accounts
from tests.renewal.ledger.invariants import (
    ALICE,
    ALREADY,
    BOB,
    DONE,
    WORLD,
    a_busy_day,
    available,
    hold,
    journal,
    open_books,
    pay,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from renewal.db.engine import Store
    from renewal.db.unit_of_work import UnitOfWork

pytestmark = pytest.mark.shows("D03")


@contextmanager
def statements(store: Store) -> Iterator[list[str]]:
    """The statements that the database was given within the block."""
    told: list[str] = []

    def note(*args: Any) -> None:  # noqa: ANN401 - SQLAlchemy's own six
        told.append(args[2])

    sa.event.listen(store.engine, "before_cursor_execute", note)
    yield told
    sa.event.remove(store.engine, "before_cursor_execute", note)


# -- accounts


def test_the_accounts_of_the_house_are_opened_when_used(store: Store) -> None:
    with store.transaction() as work:
        ledger_of(work).hold("h", debit=CLEARING, credit=UNEARNED, amount=900, ref="R")

    with store.snapshot() as look:
        assert balances(look) == {
            CLEARING: Balance(pending_debits=900),
            UNEARNED: Balance(pending_credits=900),
        }


def test_reading_opens_no_account(store: Store) -> None:
    with store.transaction() as work:
        ledger_of(work).preload(["h"])
        account = ledger_of(work).account(INCOME)

    assert account == OWN_ACCOUNTS[INCOME]
    with store.snapshot() as look:
        assert balances(look) == {}


def test_an_account_is_opened_once(store: Store) -> None:
    with store.transaction() as work:
        first = ledger_of(work).open_account(ALICE, AccountKind.LIABILITY)
    with store.transaction() as work:
        again = ledger_of(work).open_account(ALICE, AccountKind.LIABILITY)

    assert (first, again) == (DONE, ALREADY)


@pytest.mark.parametrize(
    "other",
    [
        {"kind": AccountKind.ASSET},
        {"currency": "USD"},
        {"may_overdraw": True},
    ],
)
def test_an_account_stays_of_its_kind(store: Store, other: dict[str, Any]) -> None:
    with store.transaction() as work:
        ledger_of(work).open_account(ALICE, AccountKind.LIABILITY)

    with pytest.raises(LedgerError, match="alice"), store.transaction() as work:
        ledger_of(work).open_account(ALICE, **{"kind": AccountKind.LIABILITY, **other})


def test_what_is_available_depends_on_the_side_an_account_grows_on() -> None:
    asset = Account(id="a", kind="asset", currency="TWD", may_overdraw=False, posted=100)
    owed = Account(id="l", kind="liability", currency="TWD", may_overdraw=False, posted=-100)

    assert (asset.available, owed.available) == (100, 100)


def test_an_asset_that_must_not_be_overdrawn_is_not(store: Store) -> None:
    open_books(store)
    with store.transaction() as work:
        ledger_of(work).open_account("vault", AccountKind.ASSET)
        ledger_of(work).direct("in", debit="vault", credit=WORLD, amount=50, ref="R")

    with store.transaction() as work:
        said = [
            ledger_of(work).hold("h", debit=WORLD, credit="vault", amount=20, ref="R"),
            ledger_of(work).direct("d", debit=WORLD, credit="vault", amount=31, ref="R"),
            ledger_of(work).direct("e", debit=WORLD, credit="vault", amount=30, ref="R"),
        ]

    assert [it.result for it in said] == [
        TransferResult.DONE,
        TransferResult.REFUSED,
        TransferResult.DONE,
    ]


# -- what makes no sense


@pytest.mark.parametrize(
    ("leg", "why"),
    [
        (Hold(id="x", debit=ALICE, credit="nobody", amount=1, ref="R"), "no account nobody"),
        (Hold(id="x", debit=ALICE, credit=ALICE, amount=1, ref="R"), "both sides"),
        (Hold(id="x" * 65, debit=ALICE, credit=BOB, amount=1, ref="R"), "1 to 64"),
        (Hold(id="", debit=ALICE, credit=BOB, amount=1, ref="R"), "1 to 64"),
        (Hold(id="x", debit=ALICE, credit=BOB, amount=1, ref="R" * 33), "1 to 32"),
        (Post(id="x", of="nothing", ref="R"), "no transfer nothing"),
        (Post(id="x", of="opening", ref="R"), "a post cannot be of a direct"),
        (Void(id="x", of="opening", ref="R"), "a void cannot be of a direct"),
        (Refund(id="x", of="held", ref="R"), "a refund cannot be of a hold"),
        (
            Direct(id="x", debit=ALICE, credit=BOB, amount=1, of="held", ref="R"),
            "a direct cannot be of a hold",
        ),
        (Post(id="x", of="held", amount=0, ref="R"), "0 is no amount"),
    ],
)
def test_nonsense_is_told_and_changes_nothing(store: Store, leg: Any, why: str) -> None:  # noqa: ANN401 - any leg
    open_books(store)
    with store.transaction() as work:
        hold(ledger_of(work), "held", 100)

    with store.transaction() as work:
        with pytest.raises(LedgerError, match=why):
            ledger_of(work).chain([Hold(id="y", debit=ALICE, credit=BOB, amount=1, ref="R"), leg])
        inside = ledger_of(work).account(ALICE).available

    assert inside == 900
    assert [row.id for row in journal(store)] == ["opening", "held"]


# -- holds and what ends them


def test_a_part_is_posted_and_the_rest_set_free(store: Store) -> None:
    open_books(store)

    with store.transaction() as work:
        hold(ledger_of(work), "h", 900)
        said = ledger_of(work).post("p", of="h", amount=1, ref="R")

    assert said == DONE
    assert (available(store), available(store, BOB)) == (999, 1)


def test_no_more_is_posted_than_was_held(store: Store) -> None:
    open_books(store)
    with store.transaction() as work:
        hold(ledger_of(work), "h", 500)

    with store.transaction() as work:
        said = ledger_of(work).post("p", of="h", amount=501, ref="R")

    assert said == TransferAnswer(TransferResult.REFUSED, Rejection.TOO_MUCH)
    assert available(store) == 500


def test_a_voided_hold_is_free_again(store: Store) -> None:
    open_books(store)
    with store.transaction() as work:
        hold(ledger_of(work), "h", 900)

    with store.transaction() as work:
        said = [ledger_of(work).void(name, of="h", ref="R") for name in ("v", "v", "v-2")]
        late = ledger_of(work).post("p", of="h", ref="R")

    assert said == [DONE, ALREADY, ALREADY]
    assert late == TransferAnswer(TransferResult.REFUSED, Rejection.ENDED)
    assert available(store) == 1000


def test_a_refund_of_what_was_refunded_is_already_done(store: Store) -> None:
    open_books(store)
    with store.transaction() as work:
        pay(ledger_of(work), "p", 100)
        first = ledger_of(work).refund("r", of="p", ref="R")

    with store.transaction() as work:
        again = ledger_of(work).refund("r-2", of="p", ref="R")

    assert (first, again) == (DONE, ALREADY)
    assert available(store) == 1000


def test_a_refund_of_what_was_spent_is_refused(store: Store) -> None:
    open_books(store)
    with store.transaction() as work:
        pay(ledger_of(work), "p", 100)
        ledger_of(work).direct("spent", debit=BOB, credit=WORLD, amount=50, ref="R")

    with store.transaction() as work:
        said = ledger_of(work).refund("r", of="p", ref="R")

    assert said == TransferAnswer(TransferResult.REFUSED, Rejection.FUNDS)


def test_what_is_used_up_is_not_used_again(store: Store) -> None:
    open_books(store)
    with store.transaction() as work:
        pay(ledger_of(work), "paid", 100)
        ledger_of(work).direct("used", debit=BOB, credit=WORLD, amount=100, ref="R1", of="paid")

    with store.transaction() as work:
        said = [
            ledger_of(work).direct("x", debit=BOB, credit=WORLD, amount=100, ref="R2", of="paid"),
            ledger_of(work).refund("y", of="paid", ref="R"),
        ]
        by = ledger_of(work).ended_by("paid")

    assert said == [TransferAnswer(TransferResult.REFUSED, Rejection.ENDED)] * 2
    assert by is not None
    assert by.id == "used"


def test_the_last_dollar_may_be_held_and_not_one_more(store: Store) -> None:
    open_books(store)

    with store.transaction() as work:
        said = [hold(ledger_of(work), "h", 1000), hold(ledger_of(work), "i", 1)]

    assert said == [DONE, TransferAnswer(TransferResult.REFUSED, Rejection.FUNDS)]


# -- chains


def test_a_chain_is_done_whole(store: Store) -> None:
    open_books(store)
    legs = [
        Hold(id="h", debit=ALICE, credit=BOB, amount=900, ref="R"),
        Post(id="p", of="h", ref="R"),
        Direct(id="d", debit=BOB, credit=WORLD, amount=900, ref="R"),
    ]

    with store.transaction() as work:
        said = [ledger_of(work).chain(legs), ledger_of(work).chain(legs)]
    with store.transaction() as work:
        said.append(ledger_of(work).chain(legs))

    assert said == [DONE, ALREADY, ALREADY]
    assert (available(store), available(store, BOB)) == (100, 0)


def test_a_chain_whose_first_leg_was_done_does_the_rest(store: Store) -> None:
    open_books(store)
    first = Hold(id="h", debit=ALICE, credit=BOB, amount=900, ref="R")
    with store.transaction() as work:
        ledger_of(work).chain([first])

    with store.transaction() as work:
        said = ledger_of(work).chain([first, Post(id="p", of="h", ref="R")])

    assert said == DONE
    assert available(store, BOB) == 900


# -- answers


@pytest.mark.parametrize("answer", [DONE, ALREADY])
def test_what_is_done_now_or_earlier_holds(answer: TransferAnswer) -> None:
    answer.must_hold()

    assert answer.holds


def test_a_refusal_of_what_has_happened_already_is_an_error() -> None:
    with pytest.raises(LedgerError, match="ended"):
        TransferAnswer(TransferResult.REFUSED, Rejection.ENDED).must_hold()


# -- transactions and batches


def test_a_transaction_that_fails_leaves_nothing(store: Store) -> None:
    def pay_and_break(work: UnitOfWork) -> None:
        pay(ledger_of(work), "p", 100)
        ledger_of(work).flush()
        work.connection.execute(sa.update(accounts).values(pending_debits=-1))

    open_books(store)

    with pytest.raises(ConflictError, match="CHECK"), store.transaction() as work:
        pay_and_break(work)

    assert available(store) == 1000
    assert [row.id for row in journal(store)] == ["opening"]


def test_what_is_flushed_goes_on_in_the_same_transaction(store: Store) -> None:
    open_books(store)

    with store.transaction() as work:
        hold(ledger_of(work), "h", 600)
        ledger_of(work).flush()
        said = [hold(ledger_of(work), "i", 600), ledger_of(work).post("p", of="h", ref="R")]
        ledger_of(work).flush()
        said.append(ledger_of(work).post("p-2", of="h", ref="R"))

    assert said == [TransferAnswer(TransferResult.REFUSED, Rejection.FUNDS), DONE, ALREADY]
    assert available(store) == 400
    with store.snapshot() as look:
        assert recompute(look) == []


def test_a_batch_of_five_hundred_is_a_handful_of_statements(store: Store) -> None:
    open_books(store, alice=500)
    names = [f"p-{n}" for n in range(500)]

    with statements(store) as told, store.transaction() as work:
        ledger_of(work).preload(names, [ALICE, BOB])
        for name in names:
            assert pay(ledger_of(work), name, 1) == DONE

    assert sorted(it.split()[0] for it in told if "BEGIN" not in it) == [
        "INSERT", "SELECT", "SELECT", "SELECT", "UPDATE",
    ]  # fmt: skip
    assert available(store, BOB) == 500


def test_the_answer_does_not_depend_on_what_was_preloaded(store: Store) -> None:
    open_books(store)
    with store.transaction() as work:
        hold(ledger_of(work), "h", 900)
        ledger_of(work).post("p", of="h", ref="R")

    with store.transaction() as work:
        ledger_of(work).preload(["h", "p", "v"])
        loaded = ledger_of(work).void("v", of="h", ref="R")
    with store.transaction() as work:
        not_loaded = ledger_of(work).void("v", of="h", ref="R")

    assert loaded == not_loaded == TransferAnswer(TransferResult.REFUSED, Rejection.ENDED)


# -- the check


def test_a_sound_day_has_no_differences(store: Store) -> None:
    a_busy_day(store)

    with store.snapshot() as look:
        assert recompute(look) == []


def test_the_holds_that_are_pending_are_told_with_their_ref(store: Store) -> None:
    a_busy_day(store)

    with store.snapshot() as look:
        held = pending_holds(look)

    assert [(it.id, it.amount, it.ref) for it in held] == [("w", 50, "R")]


def tamper(store: Store, *statements: str) -> list[Difference]:
    with store.transaction() as work:
        for statement in statements:
            work.connection.exec_driver_sql(statement)
    with store.snapshot() as look:
        return recompute(look)


def test_a_balance_that_was_touched_is_found(store: Store) -> None:
    a_busy_day(store)

    found = tamper(store, "UPDATE accounts SET posted = posted - 1 WHERE id = 'alice'")

    assert {it.where for it in found} == {"alice", "TWD"}


def test_a_pending_amount_that_was_touched_is_found(store: Store) -> None:
    a_busy_day(store)

    found = tamper(store, "UPDATE accounts SET pending_credits = 0 WHERE id = 'bob'")

    assert {it.where for it in found} == {"bob", "TWD"}


ROW = (
    "INSERT INTO transfers (id, kind, debit, credit, amount, of, ref, answer, why, at, nth)"
    " VALUES ('bad', {}, 'R', 'ok', '', '2026-11-23', 0)"
)


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("'post', 'alice', 'bob', 1, 'nothing'", "ends no hold"),
        ("'post', 'alice', 'bob', 51, 'w'", "ends no hold"),
        ("'void', 'bob', 'alice', 50, 'w'", "ends no hold"),
        ("'void', 'alice', 'bob', 1, 'u'", "ends no hold"),
        ("'direct', 'alice', 'usd', 1, NULL", "mixes currencies"),
        ("'direct', 'alice', 'bob', 1, NULL", "balance"),
    ],
)
def test_a_transfer_that_was_smuggled_in_is_found(store: Store, row: str, what: str) -> None:
    a_busy_day(store)
    with store.transaction() as work:
        ledger_of(work).open_account("usd", AccountKind.ASSET, "USD", may_overdraw=True)

    found = tamper(store, ROW.format(row))

    assert any(it.what.startswith(what) for it in found)


def test_a_hold_that_ended_twice_is_found(store: Store) -> None:
    a_busy_day(store)

    found = tamper(
        store,
        "DROP INDEX uq_transfers_of_ended",
        ROW.format("'void', 'alice', 'bob', 300, 'z'"),
    )

    assert Difference(where="z", what="ended 2 times") in found


# -- the tables themselves


@pytest.mark.parametrize(
    "statement",
    [
        sa.update(accounts).where(accounts.c.id == ALICE).values(posted=1),
        sa.update(accounts).where(accounts.c.id == ALICE).values(pending_debits=-1),
        sa.update(accounts).where(accounts.c.id == ALICE).values(pending_debits=1001),
    ],
)
def test_the_table_itself_refuses_an_impossible_balance(store: Store, statement: sa.Update) -> None:
    open_books(store)

    with pytest.raises(sa.exc.IntegrityError), store.engine.connect() as connection:
        connection.execute(statement)
