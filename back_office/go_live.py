"""Begins with what is due already: the system before this one has told the customers of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from back_office.actions import must_say_why
from renewal.db.retry import retry_on_conflict
from renewal.errors import XuqiError
from renewal.lifecycle.certificates import told_elsewhere
from renewal.rules import reminder_schedule
from renewal.store import audit
from renewal.store import certificates as queries
from schema.states import CertificateState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from renewal.db.engine import Store
    from renewal.db.rows import Certificate
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies

_PAGE = 500


class GoLiveError(XuqiError):
    """Another number of reminders is owed than somebody has agreed to."""


@dataclass(frozen=True, kw_only=True)
class GoLive:
    """What was taken for told, or in a dry run: what would be."""

    dry_run: bool
    looked_at: int
    by_product: Mapping[str, int]  #: certificates whose reminder that is owed now is not sent

    @property
    def told(self) -> int:
        return sum(self.by_product.values())


def go_live(
    store: Store,
    policies: Policies,
    *,
    dry_run: bool,
    who: str = "",
    why: str = "",
    agreed: int | None = None,
) -> GoLive:
    """
    Take each reminder that is owed at this moment for one that the old system has sent. Later
    steps are reminded of as before. A second run finds nothing.

    Raises:
        GoLiveError: ``agreed`` is not the number of certificates that it would concern.
    """
    would = _through(store, policies, dry_run=True)
    if dry_run:
        return would
    if agreed != would.told:
        raise GoLiveError(
            f"{would.told} reminders are owed now: agree to that number by --yes {would.told}"
        )
    _on_the_trail(store, who, why)
    return _through(store, policies, dry_run=False)


def _through(store: Store, policies: Policies, *, dry_run: bool) -> GoLive:
    after = looked_at = 0
    counts: Counter[str] = Counter()
    while True:
        rows, found = _page(store, policies, after, dry_run=dry_run)
        if not rows:
            return GoLive(dry_run=dry_run, looked_at=looked_at, by_product=dict(counts))
        after, looked_at = rows[-1].id, looked_at + len(rows)
        counts.update(row.product for row in found)


@retry_on_conflict
def _on_the_trail(store: Store, who: str, why: str) -> None:
    with store.transaction() as work:
        must_say_why(who, why)
        audit.write(work, who=who, did="go live", object_="all certificates", why=why)


@retry_on_conflict
def _page(
    store: Store, policies: Policies, after: int, *, dry_run: bool
) -> tuple[Sequence[Certificate], list[Certificate]]:
    with store.snapshot() if dry_run else store.transaction() as work:
        rows = queries.listed(
            work, state=CertificateState.ACTIVE, product=None, after=after, at_most=_PAGE
        )
        owed = [(row, step) for row in rows if (step := _owed(work, row, policies)) is not None]
        if not dry_run:
            for row, step in owed:
                told_elsewhere(work, row, policies.of(row.product), step)
        return rows, [row for row, _ in owed]


def _owed(work: UnitOfWork, row: Certificate, policies: Policies) -> int | None:
    policy = policies.by_product.get(row.product)
    if policy is None or row.customer is None:
        return None
    return reminder_schedule.reminder_owed(work.at, row.not_after, policy, row.told)
