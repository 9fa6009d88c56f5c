"""Parts an endless run into transactions, and makes one again that another came before."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from renewal.store.shelf import PAGE, ConflictError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from renewal.store.engine import Store
    from renewal.store.work import Work

T = TypeVar("T")
R = TypeVar("R")
TRIES = 5


def batches(rows: Iterable[T]) -> Iterator[list[T]]:
    source = iter(rows)
    while batch := list(islice(source, PAGE)):
        yield batch


def in_one(store: Store, what: Callable[[Work], R], *, dry_run: bool) -> R:
    """
    Return what was decided in one transaction; a dry run's can only read.

    Raises:
        ConflictError: others changed the same rows each time that it was tried.
    """
    for _ in range(TRIES - 1):
        try:
            return _once(store, what, dry_run=dry_run)
        except ConflictError:
            continue
    return _once(store, what, dry_run=dry_run)


def _once(store: Store, what: Callable[[Work], R], *, dry_run: bool) -> R:
    with store.look() if dry_run else store.work() as work:
        return what(work)
