"""The invariants of the books hold, and each of them is able to fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from renewal.errors import XuqiError
from tests.renewal.ledger.invariants import INVARIANTS
from tests.renewal.ledger.mutants import MUTANTS

if TYPE_CHECKING:
    from renewal.db.engine import Store
    from tests.renewal.ledger.mutants import Mutant

pytestmark = pytest.mark.shows("D03")


@pytest.mark.parametrize("name", INVARIANTS)
def test_it_holds_that(store: Store, name: str) -> None:
    INVARIANTS[name](store)


@pytest.mark.parametrize(
    ("name", "mutant"), MUTANTS, ids=[f"{mutant.__name__}-{name}" for name, mutant in MUTANTS]
)
def test_a_mutant_is_caught(
    store: Store, monkeypatch: pytest.MonkeyPatch, name: str, mutant: Mutant
) -> None:
    mutant(monkeypatch, store)

    with pytest.raises((AssertionError, XuqiError, pytest.fail.Exception)):
        INVARIANTS[name](store)


def test_every_invariant_has_a_mutant() -> None:
    assert {name for name, _ in MUTANTS} == set(INVARIANTS)
