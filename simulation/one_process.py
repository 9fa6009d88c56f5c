"""The bank of the demo in one process, on the embedded log."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from renewal.store import counts
from scheduler import delivery_receipts, jobs
from schema.codec import kind_name
from simulation.counter import OwnCounter

if TYPE_CHECKING:
    from datetime import datetime

    from renewal.delivery import ConsumerRunner
    from renewal.gateways.activity_log import ActivityLog
    from simulation.bank import Counter, MovedClock, TypePin
    from xuqi.bootstrap import App


@dataclass
class OneProcess:
    """Consumers work one after another: the same story has the same order."""

    app: App
    clock: MovedClock
    cards: ActivityLog
    _deliveries: list[tuple[ConsumerRunner, frozenset[str]]] = field(init=False)
    _seen: int = 0
    next_due: datetime | None = None
    _changes: int = -1

    def __post_init__(self) -> None:
        self._deliveries = [
            (self.app.runner(consumer), frozenset(map(kind_name, consumer.kinds)))
            for consumer in self.app.consumers()
        ]

    def tick(self) -> None:
        app = self.app
        for job in (jobs.scan, jobs.remind, jobs.leave, jobs.tend):
            job(app.store, app.policies)
        delivery_receipts.ask(app.store, app.gateways.sms)

    def work(self) -> None:
        while self._may_have_news():
            with self.app.store.snapshot() as look:
                news = counts.news(look, self._seen)
            self._changes, self.next_due = self.app.store.changes, news.next_due
            if not news.kinds and not news.due:
                break
            self._seen = news.newest
            for delivery, kinds in self._deliveries:
                if delivery.consumer.group in news.due or not news.kinds.isdisjoint(kinds):
                    delivery.run_once()
            self._changes = -1

    def _may_have_news(self) -> bool:
        """Whether anything was written since the last look, or a waiting is over."""
        over = self.next_due is not None and self.next_due <= self.clock.now()
        return over or self.app.store.changes != self._changes

    def counter(self, branch: str, type_pin: TypePin) -> Counter:
        app = self.app
        return OwnCounter(
            log=app.log,
            clock=app.clock,
            keys=app.keys,
            home=app.settings.home,
            branch=branch,
            cards=self.cards,
            type_pin=type_pin,
        )
