"""Prometheus metrics of this process: its loops, gateway calls and disk."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily

from renewal.errors import (
    GatewayRefusedError,
    GatewayUnavailableError,
    GatewayUnsureError,
    XuqiError,
)
from renewal.gateways.ca.embedded.http import HttpAnswer
from xuqi.bootstrap import LazyGateways
from xuqi.serving.public_site import health

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from prometheus_client.core import Metric
    from prometheus_client.registry import Collector

    from renewal.db.engine import Store
    from xuqi.bootstrap import Gateways
    from xuqi.serving.loops import Loop
    from xuqi.serving.public_site import Headers

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PROVIDERS = ("sms", "mail", "ca", "bank")
#: Seconds. A carrier answers within one, a CA within ten; after thirty a call is given up.
CALL_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_JOB_IS_OVER = frozenset({"done", "ended"})


class Meters:
    """Counters of what happens. No label names a person, a certificate or a number."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.calls = Counter(
            "xuqi_provider_calls",
            "Calls to the outside; misconfigured: the provider refuses us, not the one call.",
            ["provider", "call", "result"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "xuqi_provider_seconds",
            "How long a call to the outside took.",
            ["provider", "call"],
            buckets=CALL_SECONDS,
            registry=self.registry,
        )

    def metered(self, outside: Gateways | LazyGateways) -> LazyGateways:
        """The same gateways, with every call counted."""
        return LazyGateways(**{name: partial(self._metered, outside, name) for name in PROVIDERS})

    def _metered(self, outside: Gateways | LazyGateways, name: str) -> Any:  # noqa: ANN401 - any gateway
        return _Metered(self, name, getattr(outside, name))


class _Metered:
    def __init__(self, meters: Meters, provider: str, gateway: object) -> None:
        self._meters, self._provider, self._gateway = meters, provider, gateway

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the gateway has
        found = getattr(self._gateway, name)
        return partial(self._call, name, found) if callable(found) else found

    def _call(
        self, name: str, call: Callable[..., object], *args: object, **more: object
    ) -> object:
        began, result = time.perf_counter(), "broke"
        try:
            answer = call(*args, **more)
            result = "ok"
        except XuqiError as error:
            result = result_of(error)
            raise
        else:
            return answer
        finally:
            self._meters.calls.labels(self._provider, name, result).inc()
            seconds = self._meters.seconds.labels(self._provider, name)
            seconds.observe(time.perf_counter() - began)


def result_of(error: XuqiError) -> str:
    match error:
        case GatewayUnavailableError():
            return "unavailable" if error.spends_a_try else "misconfigured"
        case GatewayRefusedError():
            return "refused"
        case GatewayUnsureError():
            return "unsure"
    return "broke"


@dataclass(frozen=True, kw_only=True, eq=False)  # a registry knows it by identity
class ProcessCollector:
    """The state of this process when it is scraped."""

    home: Path
    store: Store
    loops: Sequence[Loop]

    def collect(self) -> Iterator[Metric]:
        yield from self._loops()
        yield from self._disk()
        yield self._station()
        up = GaugeMetricFamily("xuqi_store_up", "Whether the database answers this process.")
        up.add_metric([], self._store_answers())
        yield up

    def _loops(self) -> Iterator[Metric]:
        gauges: Sequence[tuple[str, str, Callable[[Loop], object]]] = (
            ("up", "Whether the loop turns.", lambda it: it.thread.is_alive()),
            ("troubled", "Whether its last turn failed; it tries again.", lambda it: it.trouble),
            ("given_up", "Whether it stopped, as most events failed.", lambda it: it.given_up),
        )
        for name, says, holds in gauges:
            family = GaugeMetricFamily(f"xuqi_loop_{name}", says, labels=["loop"])
            for loop in self.loops:
                family.add_metric([loop.name], bool(holds(loop)))
            yield family

    def _disk(self) -> Iterator[Metric]:
        disk = shutil.disk_usage(self.home)
        for name, says, value in (
            ("free", "Free bytes where everything is kept.", disk.free),
            ("size", "Size of the disk where everything is kept.", disk.total),
        ):
            family = GaugeMetricFamily(f"xuqi_home_{name}_bytes", says)
            family.add_metric([], value)
            yield family

    def _station(self) -> Metric:
        family = GaugeMetricFamily(
            "xuqi_station_jobs",
            "Jobs of the station's journal that are not over, by their last step.",
            labels=["branch", "step"],
        )
        for path in sorted((self.home / "station").glob("*.jsonl")):
            for step, count in open_steps(path).items():
                family.add_metric([path.stem, step], count)
        return family

    def _store_answers(self) -> bool:
        try:
            with self.store.snapshot():
                return True
        except XuqiError:
            return False


def open_steps(journal: Path) -> dict[str, int]:
    """Count the open jobs of a journal by their last step; its incomplete last line is skipped."""
    last = {}
    for line in journal.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n"):
            entry = json.loads(line)
            last[entry["renewal"]] = entry["step"]
    steps = [step for step in last.values() if step not in _JOB_IS_OVER]
    return {step: steps.count(step) for step in sorted(set(steps))}


@dataclass(frozen=True, kw_only=True)
class Monitor:
    """Answers on the metrics port: ``/metrics``, ``/livez`` and ``/readyz``."""

    meters: Meters
    troubles: Callable[[], Sequence[str]]
    collectors: Sequence[object] = field(default=())

    def __post_init__(self) -> None:
        for collector in self.collectors:
            self.meters.registry.register(cast("Collector", collector))

    def answer(self, method: str, path: str, headers: Headers, body: bytes) -> HttpAnswer:  # noqa: ARG002 - one of those that answer
        route = urlsplit(path).path
        if route == "/metrics":
            return HttpAnswer(HTTPStatus.OK, CONTENT_TYPE, generate_latest(self.meters.registry))
        signs = health(route, self.troubles)
        return signs or HttpAnswer(HTTPStatus.NOT_FOUND, CONTENT_TYPE, b"404 Not Found\n")
