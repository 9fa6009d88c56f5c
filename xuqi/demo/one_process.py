"""The bank of the demo in one process, on the embedded log."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from renewal.store import figures
from scheduler import jobs, reports
from schema.codec import kind_name
from xuqi.demo.counter import OwnCounter

if TYPE_CHECKING:
    from datetime import datetime

    from renewal.delivery import Delivery
    from renewal.gateways.ledger import OutsideLedger
    from xuqi.demo.bank import Counter, MovedClock, TypePin
    from xuqi.house import House


@dataclass
class OneProcess:
    """
    Consumers work one after another: the same story has the same order.
    """

    house: House
    clock: MovedClock
    cards: OutsideLedger
    _deliveries: list[tuple[Delivery, frozenset[str]]] = field(init=False)
    _seen: int = 0
    next_due: datetime | None = None
    _changes: int = -1

    def __post_init__(self) -> None:
        self._deliveries = [
            (self.house.delivery(consumer), frozenset(map(kind_name, consumer.kinds)))
            for consumer in self.house.consumers()
        ]

    def tick(self) -> None:
        house = self.house
        for job in (jobs.scan, jobs.remind, jobs.leave, jobs.tend):
            job(house.store, house.policies)
        reports.ask(house.store, house.outside.sms)

    def work(self) -> None:
        while self._may_have_news():
            with self.house.store.look() as look:
                news = figures.news(look, self._seen)
            self._changes, self.next_due = self.house.store.changes, news.next_due
            if not news.kinds and not news.due:
                break
            self._seen = news.newest
            for delivery, kinds in self._deliveries:
                if delivery.consumer.group in news.due or not news.kinds.isdisjoint(kinds):
                    delivery.run_once()
            self._changes = -1

    def _may_have_news(self) -> bool:
        """
        Whether anything was written since the last look, or a waiting is over.
        """
        over = self.next_due is not None and self.next_due <= self.clock.now()
        return over or self.house.store.changes != self._changes

    def counter(self, branch: str, type_pin: TypePin) -> Counter:
        house = self.house
        return OwnCounter(
            log=house.log,
            clock=house.clock,
            keys=house.keys,
            home=house.settings.home,
            branch=branch,
            cards=self.cards,
            type_pin=type_pin,
        )
