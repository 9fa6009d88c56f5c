"""Assigns each item of a bulk run to its bucket when its renewal has ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from renewal.lifecycle import runs as lifecycle
from renewal.outcome import Done, Outcome, not_for
from renewal.store import runs as queries
from schema.events import (
    CertificateActivated,
    Event,
    RenewalAbandoned,
    RenewalRefused,
    Topic,
)
from schema.reasons import EndReason, RunReason
from schema.stored_reasons import read_reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consumers.registry import Installation
    from renewal.db.rows import RunItem
    from renewal.db.unit_of_work import UnitOfWork
    from schema.reasons import Reason


@dataclass(frozen=True, kw_only=True)
class Runs:
    """All its work is in the store: it calls no outside system."""

    group: ClassVar[str] = "runs"
    topics: ClassVar[tuple[str, ...]] = (Topic.RENEWALS.value,)
    kinds: ClassVar[tuple[type[Event], ...]] = (
        CertificateActivated,
        RenewalRefused,
        RenewalAbandoned,
    )

    items: dict[str, RunItem] = field(default_factory=dict)  #: of the batch, by renewal

    @classmethod
    def of(cls, _: Installation) -> Runs:
        return cls()

    def preload(self, events: Sequence[Event], work: UnitOfWork) -> None:
        keys = {event.renewal for event in events if hasattr(event, "renewal")}
        self.items.clear()
        self.items.update(
            {item.renewal: item for item in queries.of_renewals(work, sorted(keys)) if item.renewal}
        )
        work.renewals.load(self.items)

    def prepare(self, event: Event, work: UnitOfWork, *, outcome_unknown: bool) -> Outcome:
        del outcome_unknown
        if not isinstance(event, CertificateActivated | RenewalRefused | RenewalAbandoned):
            return not_for(self.group, event)
        item = self.items.pop(event.renewal, None)  # a second event of it finds nothing to do
        if item is None:
            return Done()
        if isinstance(event, CertificateActivated):
            lifecycle.item_renewed(work, item)
        else:
            self._ended(work, item, event)
        return Done()

    def _ended(
        self, work: UnitOfWork, item: RunItem, event: RenewalRefused | RenewalAbandoned
    ) -> None:
        renewal = work.renewals.get(event.renewal)
        why = read_reason(renewal.why or "")
        if isinstance(event, RenewalRefused):
            lifecycle.item_refused(work, item, why)
        elif _nobody_acted(why):
            lifecycle.item_failed(work, item, RunReason.NOT_FINISHED.why())
        else:
            lifecycle.item_declined(work, item, why)


def _nobody_acted(why: Reason) -> bool:
    return why.code is EndReason.NOT_FINISHED
