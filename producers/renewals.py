"""Facts about renewals: given up, issued but not collected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renewal import cycle
from schema.events import NotCollectedDue

if TYPE_CHECKING:
    from renewal.cycle import Policies
    from renewal.store.rows import Renewal
    from renewal.store.work import Work


def given_up(work: Work, renewal: Renewal, policies: Policies) -> None:
    """
    Say that a renewal was not finished in time, and end it.
    """
    for event in cycle.abandon(work, renewal, "not finished in time", policies):
        work.emit(event)


def not_collected(work: Work, renewal: Renewal, step: int) -> None:
    """
    Say that a new certificate has waited so many days for its customer, and mark that it was said.
    """
    work.renewals.change(renewal, collected_told=step)
    work.emit(NotCollectedDue(renewal=renewal.id, customer=renewal.customer, step=step))
