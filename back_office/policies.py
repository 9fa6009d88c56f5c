"""Computes anew what was derived from policies that have changed since."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from back_office.actions import must_say_why
from renewal.db.retry import retry_on_conflict
from renewal.lifecycle.certificates import schedule_reminder
from renewal.rules import reminder_schedule
from renewal.store import audit
from renewal.store import certificates as queries
from schema.states import CertificateState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from renewal.db.engine import Store
    from renewal.db.rows import Certificate
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies

_PAGE = 500


@dataclass(frozen=True, kw_only=True)
class PoliciesApplied:
    """What was done, or in a dry run: what would be."""

    dry_run: bool
    looked_at: int
    changed: int  #: certificates whose next reminder is at another moment by the policies of now
    without_policy: int  #: certificates in force of products that no policy file is for


def apply_policies(
    store: Store, policies: Policies, *, dry_run: bool, who: str, why: str
) -> PoliciesApplied:
    """
    Set for each certificate in force when it is looked at next, by the policies of now.

    It goes through them in transactions of 500; a second run changes nothing.
    """
    if not dry_run:
        _on_the_trail(store, who, why)
    after = looked_at = changed = without = 0
    while True:
        page = _page(store, policies, after, dry_run=dry_run)
        if not page.rows:
            break
        after = page.rows[-1].id
        looked_at += len(page.rows)
        changed += page.changed
        without += sum(row.product not in policies.by_product for row in page.rows)
    return PoliciesApplied(
        dry_run=dry_run, looked_at=looked_at, changed=changed, without_policy=without
    )


@dataclass(frozen=True, kw_only=True)
class _Page:
    rows: Sequence[Certificate]
    changed: int


@retry_on_conflict
def _on_the_trail(store: Store, who: str, why: str) -> None:
    with store.transaction() as work:
        must_say_why(who, why)
        audit.write(work, who=who, did="apply policies", object_="all certificates", why=why)


@retry_on_conflict
def _page(store: Store, policies: Policies, after: int, *, dry_run: bool) -> _Page:
    with store.snapshot() if dry_run else store.transaction() as work:
        rows = queries.listed(
            work, state=CertificateState.ACTIVE, product=None, after=after, at_most=_PAGE
        )
        other = [row for row in rows if _is_other(work, row, policies)]
        if not dry_run:
            for row in other:
                schedule_reminder(work, row, policies)
        return _Page(rows=rows, changed=len(other))


def _is_other(work: UnitOfWork, row: Certificate, policies: Policies) -> bool:
    """Say so unless both moments are the same, or both have come already."""
    policy = policies.by_product.get(row.product)
    if policy is None or row.customer is None:
        return False
    try:
        moment = reminder_schedule.next_look(work.at, row.not_after, policy, row.told)
    except OverflowError:  # RFC 5280, 4.1.2.5: it never ends
        return False
    if moment is None or row.remind_at is None:
        return moment is not row.remind_at
    return max(moment, work.at) != max(row.remind_at, work.at)
