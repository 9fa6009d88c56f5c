"""Compares our books with each system outside, and keeps what differs with its next step."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from threading import Thread
from typing import TYPE_CHECKING

from back_office.staff import StaffRole
from renewal.db.retry import retry_on_conflict
from renewal.errors import NotNowError
from renewal.store import audit
from renewal.store import reconciliations as queries
from renewal.store.reconciliations import KeptDifference
from schema.reasons import ReconcileReason, RefusalReason

if TYPE_CHECKING:
    from renewal.db.advisory_lock import AdvisoryLock
    from renewal.db.engine import Store
    from renewal.db.unit_of_work import UnitOfWork

log = logging.getLogger(__name__)

LOCK = "reconcile"
SIDES = ("bank", "ca", "carrier", "token")
BATCH = 500
MAX_KEPT = 10_000  #: differences of one reconciliation; the rest is counted


@dataclass(frozen=True, kw_only=True)
class ReconciledDifference:
    """``side``: who looks at it (bank, ca, carrier or token); ``key``: at what."""

    side: str
    code: ReconcileReason
    key: str


#: By side, what finds its differences.
Comparisons = Mapping[str, Callable[[], Iterator[ReconciledDifference]]]


@dataclass(frozen=True, kw_only=True)
class BegunReconciliation:
    number: int
    lock: AdvisoryLock  #: held until it has ended


@dataclass(frozen=True)
class Reconciling:
    """Nothing but the result is written. One at a time, whichever process does it."""

    store: Store
    comparisons: Comparisons

    def begin(self, *, who: str) -> BegunReconciliation:
        """
        Put on record that somebody reconciles; ``carry_out`` does it.

        Raises:
            NotNowError: another one is under way.
        """
        lock = self.store.advisory_lock(LOCK)
        if not lock.acquire():
            lock.close()
            raise NotNowError(RefusalReason.RECONCILING, LOCK)
        try:
            return BegunReconciliation(number=self._begun(who), lock=lock)
        except BaseException:
            lock.close()
            raise

    def carry_out(self, begun: BegunReconciliation) -> Iterator[ReconciledDifference]:
        """Yield each difference once it is kept; the lock is released at the end."""
        found, compared = 0, ""
        try:
            for side, compare in self.comparisons.items():
                differences = compare()
                while some := list(islice(differences, BATCH)):
                    self._keep(begun.number, some, found)
                    found += len(some)
                    self._mark(begun.number, compared, found)
                    yield from some
                compared = f"{compared} {side}".strip()
                self._mark(begun.number, compared, found)
            self._mark(begun.number, compared, found, ended=True)
        finally:
            begun.lock.close()

    def in_background(self, *, who: str) -> int:
        """Begin one, and go on with it in a thread of this process."""
        begun = self.begin(who=who)
        thread = Thread(target=self._exhaust, args=(begun,), name=LOCK, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread can be had; nobody else would release it
            begun.lock.close()
            raise
        return begun.number

    def is_under_way(self) -> bool:
        lock = self.store.advisory_lock(LOCK)
        try:
            return not lock.acquire()
        finally:
            lock.close()

    def _exhaust(self, begun: BegunReconciliation) -> None:
        try:
            for _ in self.carry_out(begun):
                pass
        except Exception as error:  # the thread's own end: what was found so far is kept
            log.error(  # noqa: TRY400 - its text may name a customer
                "reconciliation cut off",
                extra={"reconciliation": begun.number, "error": type(error).__name__},
            )
            raise

    @retry_on_conflict
    def _begun(self, who: str) -> int:
        with self.store.transaction() as work:
            number = queries.begin(work, who)
            audit.write(
                work, who=who, did="reconcile", object_=f"reconciliation {number}",
                why="with the bank, the CA, the carriers and the tokens",
            )  # fmt: skip
        return number

    @retry_on_conflict
    def _keep(self, number: int, some: Sequence[ReconciledDifference], before: int) -> None:
        rows = [
            KeptDifference(at, one.side, one.code.value, one.key[:120])
            for at, one in enumerate(some, before + 1)
            if at <= MAX_KEPT
        ]
        with self.store.transaction() as work:
            queries.keep(work, number, rows)

    @retry_on_conflict
    def _mark(self, number: int, compared: str, found: int, *, ended: bool = False) -> None:
        with self.store.transaction() as work:
            queries.mark(work, number, compared=compared, found=found, ended=ended)


def owner_of(code: ReconcileReason) -> StaffRole:
    """Whose work a difference is; what cannot be asked is the administrator's."""
    is_setting = code is ReconcileReason.NOT_ASKED
    return StaffRole.ADMINISTRATOR if is_setting else StaffRole.OPERATOR


def door_of(look: UnitOfWork, one: KeptDifference) -> str:
    """The page on which its owner takes the next step."""
    if one.code == ReconcileReason.NOT_ASKED:
        return "/"
    if one.side == "carrier":
        return "/messages?state=handed+over"
    key = one.item.rpartition("/")[0] if one.side == "bank" else one.item
    if key.isdecimal() and one.code != ReconcileReason.CA_NO_ROW:
        return f"/certificates/{key}"
    renewal = look.renewals.find(key)
    if renewal is not None:
        return f"/certificates/{renewal.certificate}"
    return "/money" if one.side == "bank" else "/certificates"
