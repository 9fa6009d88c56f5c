"""The books answer as a simple model of them does, whatever is asked in whatever order."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from renewal.clock import VirtualClock
from renewal.db.encryption import FieldCipher
from renewal.db.engine import Store
from renewal.ledger.checks import pending_holds, recompute
from renewal.ledger.ledger import ledger_of
from renewal.ledger.transfers import AccountKind, OtherContentError, TransferAnswer, TransferResult
from renewal.secret import Secret
from schema.tables import metadata

if TYPE_CHECKING:
    from renewal.db.unit_of_work import UnitOfWork

NAMES = ("alice", "bob", "world")
AMOUNTS = st.integers(1, 120)
SIDES = st.sampled_from([(a, b) for a in NAMES for b in NAMES if a != b])


@dataclass(frozen=True)
class Asked:
    kind: str
    id: str
    debit: str = ""
    credit: str = ""
    amount: int | None = None
    of: str = ""


@dataclass
class Model:
    """Two purses that must not run dry, and a world that may; what is held is out of the purse."""

    free: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NAMES, 0))
    said: dict[str, TransferResult] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    holds: dict[str, tuple[str, str, int]] = field(default_factory=dict)  # those that are pending
    ended: dict[str, tuple[str, int]] = field(default_factory=dict)
    held: dict[str, tuple[str, str, int]] = field(default_factory=dict)  # all that were asked
    moved: dict[str, tuple[str, str, int]] = field(default_factory=dict)  # what a refund may undo

    def answer(self, asked: Asked) -> TransferResult:
        before = self.said.get(asked.id)
        if before is not None:
            return (
                TransferResult.REFUSED
                if before is TransferResult.REFUSED
                else TransferResult.ALREADY
            )
        said: TransferResult = getattr(self, asked.kind)(asked)
        if said is not TransferResult.ALREADY:
            self.said[asked.id] = said
            self.asked.append(asked)
        return said

    def hold(self, asked: Asked) -> TransferResult:
        assert asked.amount
        self.held[asked.id] = (asked.debit, asked.credit, asked.amount)
        if not self._take(asked.debit, asked.amount):
            return TransferResult.REFUSED
        self.holds[asked.id] = self.held[asked.id]
        return TransferResult.DONE

    def direct(self, asked: Asked) -> TransferResult:
        assert asked.amount
        self.held[asked.id] = (asked.debit, asked.credit, asked.amount)
        if not self._take(asked.debit, asked.amount):
            return TransferResult.REFUSED
        self.free[asked.credit] += asked.amount
        self.moved[asked.id] = self.held[asked.id]
        return TransferResult.DONE

    def post(self, asked: Asked) -> TransferResult:
        debit, credit, held = self.held[asked.of]
        amount = held if asked.amount is None else asked.amount
        if self.ended.get(asked.of) == ("post", amount):
            return TransferResult.ALREADY
        if asked.of not in self.holds or amount > held:
            return TransferResult.REFUSED
        del self.holds[asked.of]
        self.free[debit] += held - amount
        self.free[credit] += amount
        self.ended[asked.of] = ("post", amount)
        self.moved[asked.id] = self.held[asked.id] = (debit, credit, amount)
        return TransferResult.DONE

    def void(self, asked: Asked) -> TransferResult:
        debit, _, held = self.held[asked.of]
        if self.ended.get(asked.of) == ("void", held):
            return TransferResult.ALREADY
        if asked.of not in self.holds:
            return TransferResult.REFUSED
        del self.holds[asked.of]
        self.free[debit] += held
        self.ended[asked.of] = ("void", held)
        return TransferResult.DONE

    def refund(self, asked: Asked) -> TransferResult:
        debit, credit, amount = self.held[asked.of]
        if asked.of in self.ended:
            return TransferResult.ALREADY
        if asked.of not in self.moved or not self._take(credit, amount):
            return TransferResult.REFUSED
        self.free[debit] += amount
        self.ended[asked.of] = ("refund", amount)
        return TransferResult.DONE

    def _take(self, name: str, amount: int) -> bool:
        if name != "world" and self.free[name] < amount:
            return False
        self.free[name] -= amount
        return True


def ask(work: UnitOfWork, asked: Asked) -> TransferAnswer:
    fields: dict[str, Any] = {"ref": "R"}
    if asked.kind in ("hold", "direct"):
        fields |= {"debit": asked.debit, "credit": asked.credit, "amount": asked.amount}
    else:
        fields["of"] = asked.of
    if asked.kind == "post":
        fields["amount"] = asked.amount
    answer = getattr(ledger_of(work), asked.kind)(asked.id, **fields)
    assert isinstance(answer, TransferAnswer)
    return answer


class PowerCutError(Exception):
    pass


class BooksAgainstModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        vault = FieldCipher({1: Secret(b"a key for tests" * 4)})
        start = datetime(2026, 11, 23, tzinfo=UTC)
        self.store = Store("sqlite://", clock=VirtualClock(start), cipher=vault)
        metadata.create_all(self.store.engine)
        self.model, self.names = Model(), 0

    @initialize()
    def open_the_books(self) -> None:
        with self.store.transaction() as work:
            for name in NAMES:
                ledger_of(work).open_account(
                    name, AccountKind.LIABILITY, may_overdraw=name == "world"
                )
        self.begin()

    def begin(self) -> None:
        self.transaction = self.store.transaction()
        self.work = self.transaction.__enter__()
        self.kept = copy.deepcopy(self.model)

    def name(self) -> str:
        self.names += 1
        # The names do not sort as they are given.
        return f"{self.names % 7}-{self.names}"

    def check(self, asked: Asked) -> None:
        assert ask(self.work, asked).result is self.model.answer(asked)

    def of(self, kinds: tuple[str, ...], which: int) -> str | None:
        found = [it.id for it in self.model.asked if it.kind in kinds]
        return found[which % len(found)] if found else None

    @rule(amount=AMOUNTS, to=st.sampled_from(["alice", "bob"]))
    def top_up(self, amount: int, to: str) -> None:
        self.check(Asked("direct", self.name(), "world", to, amount))

    @rule(sides=SIDES, amount=AMOUNTS)
    def pay(self, sides: tuple[str, str], amount: int) -> None:
        self.check(Asked("direct", self.name(), *sides, amount))

    @rule(sides=SIDES, amount=AMOUNTS)
    def hold(self, sides: tuple[str, str], amount: int) -> None:
        self.check(Asked("hold", self.name(), *sides, amount))

    @rule(which=st.integers(0, 9), amount=st.none() | AMOUNTS)
    def post(self, which: int, amount: int | None) -> None:
        of = self.of(("hold",), which)
        if of is not None:
            self.check(Asked("post", self.name(), amount=amount, of=of))

    @rule(sides=SIDES, amount=AMOUNTS, taken=AMOUNTS)
    def hold_and_post(self, sides: tuple[str, str], amount: int, taken: int) -> None:
        held = self.name()
        self.check(Asked("hold", held, *sides, amount))
        self.check(Asked("post", self.name(), amount=taken, of=held))

    @rule(which=st.integers(0, 9))
    def void(self, which: int) -> None:
        of = self.of(("hold",), which)
        if of is not None:
            self.check(Asked("void", self.name(), of=of))

    @rule(which=st.integers(0, 9))
    def refund(self, which: int) -> None:
        of = self.of(("direct",), which)
        if of is not None:
            self.check(Asked("refund", self.name(), of=of))

    @precondition(lambda self: self.model.asked)
    @rule(which=st.integers(0, 99))
    def ask_again(self, which: int) -> None:
        asked = self.model.asked[which % len(self.model.asked)]
        self.check(asked)

    @precondition(lambda self: self.model.asked)
    @rule(which=st.integers(0, 99))
    def use_an_id_for_something_else(self, which: int) -> None:
        asked = self.model.asked[which % len(self.model.asked)]
        if asked.kind in ("hold", "direct"):
            assert asked.amount is not None
            with pytest.raises(OtherContentError):
                ask(self.work, replace(asked, amount=asked.amount + 1))

    @rule()
    def flush(self) -> None:
        self.work.flush()

    @rule()
    def commit(self) -> None:
        self.transaction.__exit__(None, None, None)
        with self.store.snapshot() as look:
            assert recompute(look) == []
            assert {it.id for it in pending_holds(look)} == set(self.model.holds)
        self.begin()

    @rule()
    def lose_power(self) -> None:
        cut = PowerCutError()
        self.transaction.__exit__(PowerCutError, cut, None)
        self.model = self.kept
        self.begin()

    @invariant()
    def what_is_available_is_what_the_model_says(self) -> None:
        if hasattr(self, "work"):
            now = {name: ledger_of(self.work).account(name).available for name in NAMES}
            assert now == self.model.free

    def teardown(self) -> None:
        if hasattr(self, "transaction"):
            self.transaction.__exit__(None, None, None)
        self.store.close()


@pytest.mark.shows("D03")
def test_the_books_answer_as_the_model_does() -> None:
    run_state_machine_as_test(
        BooksAgainstModel,
        settings=settings(
            max_examples=40,
            stateful_step_count=40,
            deadline=None,
            database=None,
            phases=(Phase.generate,),  # to shrink a day at the bank takes minutes
        ),
    )
