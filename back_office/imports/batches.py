"""Parts an endless run into transactions, and makes one again that another came before."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from renewal.store.again import decides_again
from renewal.store.shelf import PAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from renewal.store.engine import Store
    from renewal.store.work import Work

T = TypeVar("T")
R = TypeVar("R")


def batches(rows: Iterable[T]) -> Iterator[list[T]]:
    source = iter(rows)
    while batch := list(islice(source, PAGE)):
        yield batch


@decides_again
def in_one(store: Store, what: Callable[[Work], R], *, dry_run: bool) -> R:
    """
    Return what was decided in one transaction; a dry run's can only read.

    Raises:
        ConflictError: others changed the same rows each time that it was tried.
    """
    with store.look() if dry_run else store.work() as work:
        return what(work)
