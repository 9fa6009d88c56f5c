"""Splits an endless stream into transactions and retries one that met a conflict."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from renewal.db.identity_map import PAGE
from renewal.db.retry import retry_on_conflict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from renewal.db.engine import Store
    from renewal.db.unit_of_work import UnitOfWork

T = TypeVar("T")
R = TypeVar("R")


def batches(rows: Iterable[T]) -> Iterator[list[T]]:
    source = iter(rows)
    while batch := list(islice(source, PAGE)):
        yield batch


@retry_on_conflict
def in_one_transaction(store: Store, what: Callable[[UnitOfWork], R], *, dry_run: bool) -> R:
    """
    Return what was decided in one transaction; a dry run's can only read.

    Raises:
        ConflictError: others changed the same rows each time that it was tried.
    """
    with store.snapshot() if dry_run else store.transaction() as work:
        return what(work)
