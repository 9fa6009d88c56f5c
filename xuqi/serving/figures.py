"""Tells Prometheus how the whole house stands, as its store has it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)

from producers.relay import CODES, OTHERS
from renewal.errors import XuqiError
from renewal.eventlog.port import LogUnavailableError
from renewal.rules.ladder import threshold_moment
from renewal.rules.quiet import TaiwanCalendar, allowed_from
from renewal.store import gauges, leases, lists
from scheduler.timetable import LEASE
from schema.codec import kind_name
from schema.events import Topic
from schema.policy import Channel
from xuqi.house import CONSUMERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from prometheus_client.core import Metric

    from renewal.cycle import Policies
    from renewal.eventlog.kafka import Backlog
    from renewal.store.engine import Store
    from renewal.store.gauges import Decided
    from renewal.store.work import Work

#: Seconds that counts are good for; and looking never takes more than a tenth of the time.
GOOD_FOR, SHARE = 10.0, 10.0
PAGE = 5_000
#: Seconds between the first moment at which a reminder may be sent and its hand-over.
DELAYS = (60, 300, 900, 3_600, 4 * 3_600, 12 * 3_600, 24 * 3_600, 3 * 24 * 3_600)
#: What ``decisions`` says of codes, by what it means for whoever watches over them.
CODES_ARE = {
    "requested": "asked",
    "sent": "sent",
    "used": "verified",
    "wrong": "wrong",
    "refused": "refused",
    "failed": "failed",
    "dropped": "dropped",
    "not sent": "not sent",
}


class Row(NamedTuple):
    labels: Sequence[str]
    value: float


@dataclass(eq=False)  # a registry knows its collectors by identity
class Figures:
    """
    Counts over the store. What was decided before this process began is not counted.
    """

    store: Store
    policies: Policies
    backlog: Backlog | None = None  #: of a log that is fed by relays
    _calendar: TaiwanCalendar = field(default_factory=TaiwanCalendar)
    _last: int | None = None
    _decided: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    _codes: Counter[str] = field(default_factory=Counter)
    _delays: dict[str, _Delays] = field(default_factory=dict)
    _told: Sequence[Metric] = ()
    _good_until: float = 0.0
    _alone: threading.Lock = field(default_factory=threading.Lock)

    def collect(self) -> Iterator[Metric]:
        """
        Yield nothing while the database does not answer: old figures would look like new ones.
        """
        with self._alone:
            began = time.monotonic()
            if began >= self._good_until:
                try:
                    with self.store.look() as look:
                        self._told = [*self._standing(look), *self._growing(look)]
                except XuqiError:
                    self._told = ()
                now = time.monotonic()
                self._good_until = now + max(GOOD_FOR, SHARE * (now - began))
            yield from self._told

    def describe(self) -> Iterable[Metric]:
        return ()  # else registering would ask the store

    # --- what stands in the store now -----------------------------------------------------------

    def _standing(self, look: Work) -> Iterator[Metric]:
        yield from self._consumers(look)
        yield from self._states(look)
        yield from self._branches(look)
        yield from self._schedule(look)
        if self.backlog is not None:
            codes = [Topic.CODES.value]
            lanes = {
                lane: gauges.not_relayed(look, lane, codes, others=lane == OTHERS)
                for lane in (CODES, OTHERS)
            }
            rows = [Row([lane], count) for lane, count in lanes.items()]
            yield gauge("relay_lag_events", "Events that wait for the relay.", ["lane"], rows)

    def _consumers(self, look: Work) -> Iterator[Metric]:
        """
        Yield no lag while the broker does not answer; everything else is in the store.
        """
        behind: Mapping[str, int] = {}
        silent = False
        if self.backlog is not None:
            try:
                behind = self.backlog.of({it.group: it.topics for it in CONSUMERS})
            except LogUnavailableError:
                silent = True
        found = {
            it.group: lists.standing(
                look,
                it.group,
                it.topics,
                [kind_name(kind) for kind in it.kinds],
                behind=0 if silent else behind.get(it.group),
            )
            for it in CONSUMERS
        }
        lag = ("lag_events", "Events that a consumer has not taken yet.", "behind")
        for name, says, value in (
            *(() if silent else (lag,)),
            (
                "parked_events",
                "Events that wait for their time, or behind one that does.",
                "parked",
            ),
            ("dead_letters", "Events given up that nobody has dealt with.", "dead"),
        ):
            rows = [Row([group], getattr(it, value)) for group, it in found.items()]
            yield gauge(f"consumer_{name}", says, ["consumer"], rows)

    def _states(self, look: Work) -> Iterator[Metric]:
        found = lists.by_state(look)
        for name in ("certificates", "renewals"):
            rows = [Row([state], count) for state, count in found[name].items()]
            yield gauge(name, f"How many {name} there are in each state.", ["state"], rows)
        sent = [Row(names, count) for names, count in gauges.messages_by_state(look).items()]
        labels = ["kind", "channel", "state"]
        yield gauge("messages", "Messages of a kind on a channel, by state.", labels, sent)

    def _branches(self, look: Work) -> Iterator[Metric]:
        found, labels = gauges.at_branches(look), ["branch", "state"]
        counts = [Row(names, count) for names, (count, _) in found.items()]
        yield gauge("branch_renewals", "Open renewals at a branch, by state.", labels, counts)
        ages = [
            Row(names, (look.at - since).total_seconds()) for names, (_, since) in found.items()
        ]
        says = "Since when the longest of them has stood still."
        yield gauge("branch_oldest_seconds", says, labels, ages)

    def _schedule(self, look: Work) -> Iterator[Metric]:
        lease, owed = leases.current(look, LEASE), lists.next_reminder(look)
        leads = lease is not None and lease.until > look.at
        yield gauge("scheduler_led", "Whether any scheduler leads.", [], [Row([], leads)])
        overdue = max(0.0, (look.at - owed).total_seconds()) if owed else 0.0
        says = "For how long the next look at a certificate has been due."
        yield gauge("reminder_overdue_seconds", says, [], [Row([], overdue)])

    # --- what has been decided since ------------------------------------------------------------

    def _growing(self, look: Work) -> Iterator[Metric]:
        self._count(look)
        labels = ["about", "what", "channel"]
        decided = CounterMetricFamily("xuqi_decisions", "What was decided.", labels=labels)
        for names, count in self._decided.items():
            decided.add_metric(names, count)
        yield decided
        codes = CounterMetricFamily("xuqi_codes", "One-time codes, by result.", labels=["result"])
        for result in CODES_ARE.values():
            codes.add_metric([result], self._codes[result])
        yield codes
        says = "From the first moment at which a reminder might be sent to its hand-over."
        delay = HistogramMetricFamily("xuqi_reminder_delay_seconds", says, labels=["threshold"])
        for threshold, delays in self._delays.items():
            delay.add_metric([threshold], delays.buckets(), delays.total)
        yield delay

    def _count(self, look: Work) -> None:
        if self._last is None:
            self._last = gauges.newest_decision(look)
        while page := gauges.decided_after(look, self._last, PAGE):
            for one in page:
                self._take(one)
            self._last = page[-1].id

    def _take(self, one: Decided) -> None:
        self._decided[one.about, one.what, one.channel or ""] += 1
        if one.about == "code" and one.what in CODES_ARE:
            self._codes[CODES_ARE[one.what]] += 1
        if (one.about, one.what) == ("reminder", "sent"):
            self._delayed(one)

    def _delayed(self, one: Decided) -> None:
        if one.threshold is None or one.not_after is None or one.product is None:
            return
        channel = Channel(one.channel) if one.channel else Channel.MAIL
        policy = self.policies.of(one.product)
        passed = threshold_moment(one.threshold, one.not_after, policy)
        planned = allowed_from(passed, channel, self._calendar, step=one.threshold)
        delays = self._delays.setdefault(str(one.threshold), _Delays())
        delays.observe((one.at - planned).total_seconds())


class _Delays:
    def __init__(self) -> None:
        self.total = 0.0
        self._seen = [0] * (len(DELAYS) + 1)

    def observe(self, seconds: float) -> None:
        self.total += seconds
        self._seen[sum(seconds > limit for limit in DELAYS)] += 1

    def buckets(self) -> list[tuple[str, float]]:
        limits = [*(str(float(limit)) for limit in DELAYS), "+Inf"]
        return [(limit, sum(self._seen[: n + 1])) for n, limit in enumerate(limits)]


def gauge(name: str, says: str, labels: Sequence[str], rows: Iterable[Row]) -> Metric:
    family = GaugeMetricFamily(f"xuqi_{name}", says, labels=labels)
    for row in rows:
        family.add_metric(row.labels, row.value)
    return family
