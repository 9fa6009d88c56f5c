"""Sends many dead letters again: those that were picked, or all that a filter takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from back_office.actions import must_say_why
from renewal.db.retry import retry_on_conflict
from renewal.delivery import dead_letters
from renewal.delivery.dead_letters import LetterNotOpenError
from renewal.store import audit

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from renewal.db.engine import Store
    from renewal.delivery.dead_letters import LetterFilter

BATCH = 100  #: in one transaction, so that the lock on the trail is short
MOST_AT_ONCE = 5_000  #: of all that match; what is left is said


@dataclass(frozen=True, kw_only=True)
class ReplayCount:
    """``skipped``: another had dealt with them since they were looked at."""

    done: int = 0
    skipped: int = 0

    def __add__(self, other: ReplayCount) -> ReplayCount:
        return ReplayCount(done=self.done + other.done, skipped=self.skipped + other.skipped)


@dataclass(frozen=True)
class Replaying:
    """
    A batch is one transaction: what was cut off by a crash between two is sent by the next call,
    and none is sent twice. Each letter has its line in the audit trail.
    """

    store: Store

    def matching(self, chosen: LetterFilter, *, who: str, why: str) -> ReplayCount:
        """Those that match now; one that dies again meanwhile is not sent again and again."""
        with self.store.snapshot() as look:
            left = min(dead_letters.count(look, chosen), MOST_AT_ONCE)
        numbers = list(self._numbers(chosen, left))
        return self.picked(numbers, who=who, why=why)

    def picked(self, numbers: Collection[int], *, who: str, why: str) -> ReplayCount:
        must_say_why(who, why)
        ordered, found = sorted(set(numbers)), ReplayCount()
        for start in range(0, len(ordered), BATCH):
            found += self._batch(ordered[start : start + BATCH], who, why)
        return found

    @retry_on_conflict
    def _batch(self, numbers: Collection[int], who: str, why: str) -> ReplayCount:
        done = 0
        with self.store.transaction() as work:
            for number in numbers:
                try:
                    dead_letters.replay(work, number)
                except LetterNotOpenError:
                    continue
                audit.write(work, who=who, did="replay", object_=f"dead letter {number}", why=why)
                done += 1
        return ReplayCount(done=done, skipped=len(numbers) - done)

    def _numbers(self, chosen: LetterFilter, left: int) -> Iterator[int]:
        after = 0
        while left > 0:
            with self.store.snapshot() as look:
                page = dead_letters.list_open(
                    look, after=after, at_most=min(left, dead_letters.PAGE), chosen=chosen
                )
            if not page:
                return
            yield from (one.id for one in page)
            after, left = page[-1].id, left - len(page)
