"""Ways in which the books could be wrong: each breaks one thing, and one invariant must say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from renewal.ledger import ledger as stored
from renewal.ledger import posting
from renewal.ledger import transfers as rules
from renewal.ledger.ledger import Ledger
from renewal.ledger.posting import Posting
from renewal.ledger.transfers import Account, Rejection, Transfer, TransferAnswer
from schema.tables import metadata
from schema.tables.books import accounts, transfers

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from renewal.db.engine import Store

    Mutant = Callable[[pytest.MonkeyPatch, Store], None]

Changed = tuple[Account, Account]


def the_credit_is_forgotten(patch: pytest.MonkeyPatch, _: Store) -> None:
    whole = Posting._changed

    def half(page: Posting, asked: Transfer, before: Transfer | None) -> Changed:
        return whole(page, asked, before)[0], page.account(asked.credit)

    patch.setattr(Posting, "_changed", half)


def the_triggers_are_gone(_: pytest.MonkeyPatch, store: Store) -> None:
    with store.engine.connect() as connection:
        for verb in ("update", "delete"):
            connection.exec_driver_sql(f"DROP TRIGGER transfers_no_{verb}")
        connection.commit()


def a_known_id_is_done_again(patch: pytest.MonkeyPatch, _: Store) -> None:
    enter = Posting.enter

    def forgetful(page: Posting, leg: rules.Leg) -> tuple[TransferAnswer, Transfer]:
        page.transfers[leg.id] = None
        return enter(page, leg)

    patch.setattr(Posting, "enter", forgetful)


def content_is_not_compared(patch: pytest.MonkeyPatch, _: Store) -> None:
    patch.setattr(posting, "_repeated_answer", lambda _known, _asked: rules.ALREADY)


def earlier_transfers_are_not_read(patch: pytest.MonkeyPatch, _: Store) -> None:
    def blind(books: Ledger, ids: Any) -> None:  # noqa: ANN401 - whatever was asked
        for name in ids:
            books._page.transfers.setdefault(name, None)

    patch.setattr(Ledger, "load_transfers", blind)


def _written_over(patch: pytest.MonkeyPatch) -> None:
    names = ("posted", "pending_debits", "pending_credits")
    values: dict[str, sa.BindParameter[int]] = {it: sa.bindparam(f"more_{it}") for it in names}
    over = sa.update(accounts).where(accounts.c.id == sa.bindparam("account")).values(values)

    def absolute(books: Ledger, name: str) -> dict[str, Any]:
        now = books._page.account(name)
        books._read[name] = now
        return {"account": name} | {f"more_{it}": getattr(now, it) for it in names}

    patch.setattr(stored, "_move", over)
    patch.setattr(Ledger, "_movement", absolute)


def balances_are_written_over(patch: pytest.MonkeyPatch, _: Store) -> None:
    _written_over(patch)


def the_rest_of_a_hold_stays_held(patch: pytest.MonkeyPatch, _: Store) -> None:
    changed = Posting._changed

    def stingy(page: Posting, asked: Transfer, before: Transfer | None) -> Changed:
        if before is not None and before.kind == "hold":
            before = msgspec.structs.replace(before, amount=asked.amount)
        return changed(page, asked, before)

    patch.setattr(Posting, "_changed", stingy)


def what_is_held_counts_as_there(patch: pytest.MonkeyPatch, _: Store) -> None:
    patch.setattr(Account, "available", property(lambda account: -account.posted))


def balances_are_not_written(patch: pytest.MonkeyPatch, _: Store) -> None:
    patch.setattr(Ledger, "_move_balances", lambda _books: None)


def funds_are_not_looked_at(patch: pytest.MonkeyPatch, _: Store) -> None:
    patch.setattr(Posting, "_lowered", lambda *_: [])


def _unguarded(patch: pytest.MonkeyPatch) -> None:
    free = sa.update(accounts).where(
        accounts.c.id == sa.bindparam("account"), sa.bindparam("needed") >= 0
    )
    patch.setattr(stored, "_move", free.values(stored._after))


def the_update_is_unguarded(patch: pytest.MonkeyPatch, _: Store) -> None:
    _unguarded(patch)


def neither_update_nor_table_guards(patch: pytest.MonkeyPatch, store: Store) -> None:
    _unguarded(patch)
    _without(store, patch, "available")


def _without(store: Store, patch: pytest.MonkeyPatch, name: str) -> None:
    kept = [it for it in accounts.constraints if it.name != f"ck_accounts_{name}"]
    assert len(kept) < len(accounts.constraints)
    patch.setattr(accounts, "constraints", set(kept))
    metadata.drop_all(store.engine, tables=[transfers, accounts])
    metadata.create_all(store.engine, tables=[accounts, transfers])


def amounts_are_not_looked_at(patch: pytest.MonkeyPatch, _: Store) -> None:
    patch.setattr(Posting, "_refuse_nonsense", lambda *_: None)


def currencies_are_not_looked_at(patch: pytest.MonkeyPatch, _: Store) -> None:
    patch.setattr(Posting, "_refuse_nonsense", lambda *_: None)


def a_refund_repeats_the_payment(patch: pytest.MonkeyPatch, _: Store) -> None:
    as_transfer = Posting._as_transfer

    def repeating(page: Posting, leg: rules.Leg) -> Transfer:
        asked = as_transfer(page, leg)
        if asked.kind != "refund":
            return asked
        return msgspec.structs.replace(asked, debit=asked.credit, credit=asked.debit)

    patch.setattr(Posting, "_as_transfer", repeating)


def a_refusal_is_written_as_done(patch: pytest.MonkeyPatch, _: Store) -> None:
    def careless(page: Posting, asked: Transfer, why: Rejection) -> tuple[TransferAnswer, Transfer]:
        page.transfers[asked.id] = asked
        return TransferAnswer(rules.TransferResult.REFUSED, why), asked

    patch.setattr(Posting, "refuse", careless)


def a_refusal_is_not_written(patch: pytest.MonkeyPatch, _: Store) -> None:
    patch.setattr(Ledger, "_refuse", lambda *_, **__: None)


def the_place_follows_the_name(patch: pytest.MonkeyPatch, _: Store) -> None:
    write = Ledger._write_transfers

    def sorted_first(books: Ledger) -> None:
        books._new.sort(key=lambda transfer: transfer.id)
        write(books)

    patch.setattr(Ledger, "_write_transfers", sorted_first)


def an_end_is_forgotten(patch: pytest.MonkeyPatch, _: Store) -> None:
    patch.setattr(Ledger, "_remember", _remember_no_end)


def _remember_no_end(books: Ledger, transfer: Transfer, wanted: set[str]) -> None:
    if transfer.id in wanted:
        books._page.transfers[transfer.id] = transfer


def a_hold_may_end_twice(patch: pytest.MonkeyPatch, store: Store) -> None:
    patch.setattr(Ledger, "_remember", _remember_no_end)
    nobody_watches_that_a_hold_ends_once(patch, store)


def nobody_watches_that_a_hold_ends_once(_: pytest.MonkeyPatch, store: Store) -> None:
    with store.engine.connect() as connection:
        connection.exec_driver_sql("DROP INDEX uq_transfers_of_ended")
        connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
        connection.commit()


def a_broken_chain_is_half_done(patch: pytest.MonkeyPatch, _: Store) -> None:
    patch.setattr(Posting, "draft", lambda page: page)


MUTANTS: list[tuple[str, Mutant]] = [
    ("every_transfer_is_balanced", the_credit_is_forgotten),
    ("the_journal_is_append_only", the_triggers_are_gone),
    ("a_duplicate_changes_nothing", a_known_id_is_done_again),
    ("an_id_means_one_thing", content_is_not_compared),
    ("concurrent_duplicates_collapse", earlier_transfers_are_not_read),
    ("no_update_of_a_hot_account_is_lost", balances_are_written_over),
    ("money_is_neither_made_nor_lost", the_rest_of_a_hold_stays_held),
    ("what_is_held_is_not_available", what_is_held_counts_as_there),
    ("balances_are_what_the_journal_says", balances_are_not_written),
    ("nobody_overdraws_at_once", funds_are_not_looked_at),
    ("nobody_overdraws_by_overtaking", neither_update_nor_table_guards),
    ("nobody_overdraws_even_for_a_moment", the_update_is_unguarded),
    ("amounts_are_exact", amounts_are_not_looked_at),
    ("currencies_are_not_mixed", currencies_are_not_looked_at),
    ("a_reversal_is_a_compensation", a_refund_repeats_the_payment),
    ("the_balances_can_be_rebuilt", a_refusal_is_written_as_done),
    ("the_journal_has_the_order_in_which_it_happened", the_place_follows_the_name),
    ("a_refusal_stays_a_refusal", content_is_not_compared),
    ("a_refusal_stays_a_refusal", a_refusal_is_not_written),
    ("a_hold_ends_once", an_end_is_forgotten),
    ("a_hold_ends_once", a_hold_may_end_twice),
    ("a_hold_ends_once_whoever_is_faster", nobody_watches_that_a_hold_ends_once),
    ("a_chain_with_a_failing_leg_does_nothing", a_broken_chain_is_half_done),
]
