"""Prometheus metrics of the whole installation, from its store."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)

from consumers.registry import consumer_types, standing
from producers.relay import CODES, OTHERS
from renewal.db import leases
from renewal.errors import XuqiError
from renewal.eventlog.port import LogUnavailableError
from renewal.rules.contact_hours import Calendar, TaiwanCalendar, allowed_from
from renewal.rules.reminder_schedule import threshold_moment
from renewal.store import alarms, console, metrics, picture, reconciliations, reports
from renewal.store.lanes import stopped_lanes
from scheduler.timetable import LASTS, LEASE
from schema.events import Topic
from schema.policy import Channel
from schema.taipei import day_of, start_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from prometheus_client.core import Metric

    from renewal.db.engine import Store
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.eventlog.kafka import Backlog
    from renewal.rules.policies import Policies
    from renewal.store.metrics import LoggedDecision

#: Seconds that counts are good for; and looking never takes more than a tenth of the time.
GOOD_FOR, SHARE = 10.0, 10.0
PAGE = 5_000
WEEKS = timedelta(weeks=12)
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


class Sample(NamedTuple):
    labels: Sequence[str]
    value: float


@dataclass(eq=False)  # a registry knows its collectors by identity
class StoreCollector:
    """Counts over the store. What was decided before this process began is not counted."""

    store: Store
    policies: Policies
    backlog: Backlog | None = None  #: of a log that is fed by relays
    calendar: Calendar = field(default_factory=TaiwanCalendar)
    _last: int | None = None
    _decided: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    _codes: Counter[str] = field(default_factory=Counter)
    _delays: dict[str, _Delays] = field(default_factory=dict)
    _metrics: Sequence[Metric] = ()
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
                    with self.store.snapshot() as look:
                        self._metrics = [*self._standing(look), *self._growing(look)]
                except XuqiError:
                    self._metrics = ()
                now = time.monotonic()
                self._good_until = now + max(GOOD_FOR, SHARE * (now - began))
            yield from self._metrics

    def describe(self) -> Iterable[Metric]:
        return ()  # else registering would ask the store

    # --- what stands in the store now -----------------------------------------------------------

    def _standing(self, look: UnitOfWork) -> Iterator[Metric]:
        yield from self._consumers(look)
        yield from self._states(look)
        yield from self._branches(look)
        yield from self._schedule(look)
        yield from self._for_people(look)
        yield from self._picture(look)
        if self.backlog is not None:
            codes = [Topic.CODES.value]
            lanes = {
                lane: metrics.not_relayed(look, lane, codes, others=lane == OTHERS)
                for lane in (CODES, OTHERS)
            }
            rows = [Sample([lane], count) for lane, count in lanes.items()]
            yield gauge("relay_lag_events", "Events that wait for the relay.", ["lane"], rows)

    def _for_people(self, look: UnitOfWork) -> Iterator[Metric]:
        open_alarms = Counter((one.kind, one.subject) for one in alarms.open_alarms(look))
        rows = [Sample(names, count) for names, count in open_alarms.items()]
        yield gauge("alarms_open", "What people must look at.", ["kind", "subject"], rows)
        lanes = [
            Sample([one.name], (look.at - (one.since or look.at)).total_seconds())
            for one in stopped_lanes(look)
        ]
        says = "For how long a lane has let nothing out; none while it goes on."
        yield gauge("lane_stopped_seconds", says, ["lane"], lanes)

    def _picture(self, look: UnitOfWork) -> Iterator[Metric]:
        """What the console's live picture shows and no other figure says."""
        today = start_of(day_of(look.at))
        ending = [
            Sample([str(week), product], count)
            for week, product, count in console.expiring_by_week(look, today, today + WEEKS)
        ]
        says = "Certificates in force that end in a week from today on: 0 is this one."
        yield gauge("certificates_ending", says, ["week", "product"], ending)
        runs = [Sample([state], count) for state, count in picture.runs_by_state(look).items()]
        yield gauge("runs", "Bulk runs in each state.", ["state"], runs)
        stations = [Sample([one.branch], one.enrolled) for one in picture.stations_by_branch(look)]
        yield gauge("stations", "Stations of a branch that are enrolled.", ["branch"], stations)
        ages = [
            Sample([job], (look.at - done).total_seconds())
            for job, done in picture.jobs_done(look).items()
        ]
        yield gauge("job_age_seconds", "Since when a job was done the last time.", ["what"], ages)
        newest = reconciliations.newest(look)
        since = [Sample([], (look.at - one.began_at).total_seconds()) for one in newest]
        says = "Since when the last reconciliation began; none before the first."
        yield gauge("reconciliation_age_seconds", says, [], since)

    def _consumers(self, look: UnitOfWork) -> Iterator[Metric]:
        """Yield no lag while the broker does not answer; everything else is in the store."""
        behind: Mapping[str, int] = {}
        silent = False
        if self.backlog is not None:
            try:
                behind = self.backlog.of({it.group: it.topics for it in consumer_types()})
            except LogUnavailableError:
                silent = True
        found = standing(look, behind if self.backlog is not None else None)
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
            rows = [Sample([group], getattr(it, value)) for group, it in found.items()]
            yield gauge(f"consumer_{name}", says, ["consumer"], rows)

    def _states(self, look: UnitOfWork) -> Iterator[Metric]:
        found = reports.by_state(look)
        for name in ("certificates", "renewals"):
            rows = [Sample([state], count) for state, count in found[name].items()]
            yield gauge(name, f"How many {name} there are in each state.", ["state"], rows)
        sent = [Sample(names, count) for names, count in metrics.messages_by_state(look).items()]
        labels = ["kind", "channel", "state"]
        yield gauge("messages", "Messages of a kind on a channel, by state.", labels, sent)

    def _branches(self, look: UnitOfWork) -> Iterator[Metric]:
        found, labels = metrics.at_branches(look), ["branch", "state"]
        counts = [Sample(names, count) for names, (count, _) in found.items()]
        yield gauge("branch_renewals", "Open renewals at a branch, by state.", labels, counts)
        ages = [
            Sample(names, (look.at - since).total_seconds()) for names, (_, since) in found.items()
        ]
        says = "Since when the longest of them has stood still."
        yield gauge("branch_oldest_seconds", says, labels, ages)

    def _schedule(self, look: UnitOfWork) -> Iterator[Metric]:
        lease, owed = leases.current(look, LEASE), reports.next_reminder(look)
        leads = (
            lease is not None
            and lease.until > look.at
            and not leases.lies_in_the_future(lease, look.at, LASTS)
        )
        yield gauge("scheduler_led", "Whether any scheduler leads.", [], [Sample([], leads)])
        overdue = max(0.0, (look.at - owed).total_seconds()) if owed else 0.0
        says = "For how long the next look at a certificate has been due."
        yield gauge("reminder_overdue_seconds", says, [], [Sample([], overdue)])

    # --- what has been decided since ------------------------------------------------------------

    def _growing(self, look: UnitOfWork) -> Iterator[Metric]:
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

    def _count(self, look: UnitOfWork) -> None:
        if self._last is None:
            self._last = metrics.newest_decision(look)
        while page := metrics.decided_after(look, self._last, PAGE):
            for one in page:
                self._take(one)
            self._last = page[-1].id

    def _take(self, one: LoggedDecision) -> None:
        self._decided[one.about, one.what, one.channel or ""] += 1
        if one.about == "code" and one.what in CODES_ARE:
            self._codes[CODES_ARE[one.what]] += 1
        if (one.about, one.what) == ("reminder", "sent"):
            self._delayed(one)

    def _delayed(self, one: LoggedDecision) -> None:
        if one.threshold is None or one.not_after is None or one.product is None:
            return
        channel = Channel(one.channel) if one.channel else Channel.MAIL
        policy = self.policies.of(one.product)
        passed = threshold_moment(one.threshold, one.not_after, policy)
        planned = allowed_from(passed, channel, self.calendar, step=one.threshold)
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


def gauge(name: str, says: str, labels: Sequence[str], rows: Iterable[Sample]) -> Metric:
    family = GaugeMetricFamily(f"xuqi_{name}", says, labels=labels)
    for row in rows:
        family.add_metric(row.labels, row.value)
    return family
