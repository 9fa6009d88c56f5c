"""Shows what Prometheus is told: of each process, of the whole house, and of no person."""

from __future__ import annotations

import json
import re
import socket
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families as parsed

from consumers.registry import CONSUMERS
from producers.relay import CODES, OTHERS
from renewal.clock import TAIPEI
from renewal.errors import (
    GatewayRefusedError,
    GatewayUnavailableError,
    GatewayUnsureError,
)
from renewal.eventlog.port import LogUnavailableError
from renewal.gateways.sms.port import DeliveryReport, GatewayMisconfiguredError
from schema.tables.renewals import OPEN
from tests.house.sources import ROOT
from tests.xuqi import sample
from tests.xuqi.serving.test_serve import fetched, serving
from xuqi.bootstrap import Gateways
from xuqi.serving.collector import CODES_ARE, StoreCollector
from xuqi.serving.metrics import PROVIDERS, Meters, Monitor, ProcessCollector, open_steps

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from renewal.eventlog.kafka import Backlog
    from tests.xuqi.sample import Bank

CODE = ("metrics.py", "collector.py")
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def samples(text: bytes) -> Samples:
    return {
        (one.name, frozenset(one.labels.items())): one.value
        for family in parsed(text.decode())
        for one in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


def figures(bank: Bank) -> StoreCollector:
    return StoreCollector(bank.app.store, bank.app.policies)


def on_kafka(behind: int = 0, *, silent: bool = False) -> Backlog:
    class Told:
        def of(self, groups: Mapping[str, object]) -> Mapping[str, int]:
            if silent:
                raise LogUnavailableError("Kafka: no answer")
            return dict.fromkeys(groups, behind)

    return cast("Backlog", Told())


def told(of: StoreCollector) -> Samples:
    of._good_until = 0.0
    registry = CollectorRegistry()
    registry.register(of)
    return samples(generate_latest(registry))


def test_a_served_house_tells_of_itself_on_a_port_of_its_own(tmp_path: Path) -> None:
    port = free_port()
    with sample.opened(tmp_path / "bank", at=datetime.now(UTC)) as bank:
        bank.browser()

        with serving(bank.home, XUQI_METRICS_PORT=str(port)) as url:
            there = samples(fetched(f"http://127.0.0.1:{port}/metrics"))
            signs = [fetched(f"http://127.0.0.1:{port}{place}") for place in ("/livez", "/readyz")]
            with pytest.raises(OSError, match="404"):
                fetched(f"{url}/metrics")

    assert signs == [b"200 OK\n", b"200 OK\n"]
    assert value(there, "xuqi_store_up") == 1
    assert value(there, "xuqi_loop_up", loop="otp") == 1
    assert value(there, "xuqi_loop_given_up", loop="otp") == 0
    assert value(there, "xuqi_certificates", state="active") == 1
    assert value(there, "xuqi_home_free_bytes") > 0


def test_what_waits_is_counted_for_each_consumer(bank: Bank) -> None:
    of = figures(bank)
    before = told(of)
    bank.run("scan")
    waiting = told(of)
    bank.drain()

    assert value(before, "xuqi_consumer_lag_events", consumer="reminders") == 0
    assert value(waiting, "xuqi_consumer_lag_events", consumer="reminders") == 1
    assert value(told(of), "xuqi_consumer_lag_events", consumer="reminders") == 0


def test_on_kafka_the_broker_says_how_far_they_are_behind(bank: Bank) -> None:
    of = StoreCollector(bank.app.store, bank.app.policies, on_kafka(behind=7))
    bank.run("scan")

    assert value(told(of), "xuqi_consumer_lag_events", consumer="reminders") == 7


def test_a_silent_broker_leaves_no_lag_and_takes_nothing_else_along(bank: Bank) -> None:
    of = StoreCollector(bank.app.store, bank.app.policies, on_kafka(silent=True))

    found = told(of)

    assert "xuqi_consumer_lag_events" not in {name for name, _ in found}
    assert value(found, "xuqi_consumer_dead_letters", consumer="reminders") == 0


def test_figures_are_not_read_again_at_every_question(bank: Bank) -> None:
    of = figures(bank)
    told(of)
    bank.run("scan")

    registry = CollectorRegistry()
    registry.register(of)
    again = samples(generate_latest(registry))

    assert value(again, "xuqi_consumer_lag_events", consumer="reminders") == 0


def test_codes_are_counted_as_they_are_sent_and_verified(bank: Bank) -> None:
    of = figures(bank)
    told(of)
    sent = bank.json("code", "send", "1")
    bank.drain()
    wrong = f"{(int(bank.last_code()) + 1) % 10_000:04d}"
    bank.run("code", "enter", sent["challenge"], "1", typed=f"{wrong}\n")
    bank.run("code", "enter", sent["challenge"], "1", typed=f"{bank.last_code()}\n")

    found = told(of)

    counts = {it: value(found, "xuqi_codes_total", result=it) for it in ("sent", "wrong", "failed")}
    assert counts == {"sent": 1, "wrong": 1, "failed": 0}
    assert value(found, "xuqi_messages", kind="code", channel="sms", state="handed over") == 1


@pytest.mark.parametrize(
    ("late", "bucket"), [(timedelta(0), "60.0"), (timedelta(minutes=10), "900.0")]
)
def test_a_reminders_delay_begins_when_it_might_have_been_sent(
    tmp_path: Path, late: timedelta, bucket: str
) -> None:
    # The 14-day step of this certificate passes at midnight; an SMS may be sent from nine.
    day = datetime(2026, 3, 2, tzinfo=TAIPEI)
    with sample.opened(tmp_path / "bank", at=day - timedelta(days=1)) as bank:
        bank.end = day + timedelta(days=15, seconds=-1)
        bank.browser()
        of = figures(bank)
        told(of)
        bank.clock.advance_to(day + timedelta(hours=9) + late)
        bank.run("scan")
        bank.drain()

        found = told(of)

    name, labels = "xuqi_reminder_delay_seconds", {"threshold": "14"}
    assert value(found, f"{name}_count", **labels) == 1
    assert value(found, f"{name}_sum", **labels) == pytest.approx(late.total_seconds(), abs=1)
    assert value(found, f"{name}_bucket", le=bucket, **labels) == 1
    under = [
        count
        for (of_name, of_labels), count in found.items()
        if of_name == f"{name}_bucket" and float(dict(of_labels)["le"]) < float(bucket)
    ]
    assert sum(under) == 0


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (None, "ok"),
        (GatewayUnavailableError("away"), "unavailable"),
        (GatewayMisconfiguredError("no such account"), "misconfigured"),
        (GatewayRefusedError("no"), "refused"),
        (GatewayUnsureError("lost"), "unsure"),
        (ZeroDivisionError(), "broke"),
    ],
)
def test_a_call_to_a_provider_is_counted_by_its_result(
    error: Exception | None, result: str
) -> None:
    class Weather:
        def report(self, _carrier_id: str) -> tuple[DeliveryReport, str]:
            if error is not None:
                raise error
            return DeliveryReport.DELIVERED, ""

    meters = Meters()
    others: dict[str, Any] = dict.fromkeys(("mail", "ca", "bank"))
    outside = Gateways(sms=Weather(), **others)  # type: ignore[arg-type]

    if error is None:
        assert meters.metered(outside).sms.report("1") == (DeliveryReport.DELIVERED, "")
    else:
        with pytest.raises(type(error)):
            meters.metered(outside).sms.report("1")

    found = samples(generate_latest(meters.registry))
    labels = {"provider": "sms", "call": "report"}
    assert value(found, "xuqi_provider_calls_total", result=result, **labels) == 1
    assert value(found, "xuqi_provider_seconds_count", **labels) == 1


def test_a_database_that_is_away_leaves_no_old_figures(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = figures(bank)
    assert told(of)
    monkeypatch.setattr(bank.app.store, "snapshot", _away)

    process = ProcessCollector(home=bank.home, store=bank.app.store, loops=())
    monitor = Monitor(meters=Meters(), troubles=list, collectors=(process,))
    status, _, body, _ = monitor.answer("GET", "/metrics", {}, b"")

    assert told(of) == {}
    assert (status, value(samples(body), "xuqi_store_up")) == (200, 0)


def _away() -> Iterator[None]:
    from renewal.db.engine import StoreUnavailableError  # noqa: PLC0415 - of this test only

    raise StoreUnavailableError("the database does not answer")


def test_a_stations_open_jobs_are_counted_by_their_last_step(tmp_path: Path) -> None:
    journal = tmp_path / "001.jsonl"
    lines = [
        '{"renewal":"R1","step":"waiting for token","at":"x"}',
        '{"renewal":"R1","step":"token seen","at":"x"}',
        '{"renewal":"R2","step":"token seen","at":"x"}',
        '{"renewal":"R3","step":"done","at":"x"}',
        '{"renewal":"R2","st',
    ]
    journal.write_text("\n".join(lines))

    assert open_steps(journal) == {"token seen": 2}


@pytest.mark.shows("B09")
def test_no_label_names_a_person_a_certificate_or_a_renewal(bank: Bank) -> None:
    of = figures(bank)
    told(of)
    bank.run("scan")
    bank.drain()
    bank.run("renewals", "start", "1", "--who", "T01", "--why", "asked")
    bank.json("code", "send", "1")
    bank.drain()

    labels: Mapping[str, set[str]] = {}
    for _, pairs in told(of):
        for name, what in pairs:
            labels.setdefault(name, set()).add(what)  # type: ignore[attr-defined]

    allowed = {
        "about", "branch", "channel", "consumer", "kind", "le", "product", "result", "state",
        "threshold", "week", "what",
    }  # fmt: skip
    assert set(labels) <= allowed
    free = re.compile(r"[A-Za-z ,]*")
    figures_and_keys = {"le", "threshold", "branch", "product", "week"}
    words = {it for name in labels.keys() - figures_and_keys for it in labels[name]}
    assert {it for it in words if not free.fullmatch(it)} == set()


# --- the dashboard and the alerts ---------------------------------------------------------------

#: What each type adds to its name in its series.
SERIES = {
    "gauge": ("",),
    "counter": ("_total",),
    "histogram": ("_bucket", "_sum", "_count"),
}
#: Prometheus's own.
THEIRS = {"up", "le", "instance", "job"}


def expressions() -> Iterator[str]:
    alerts = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
    for group in alerts["groups"]:
        yield from (rule["expr"] for rule in group["rules"])
    board = json.loads((ROOT / "deploy/grafana/dashboards/xuqi.json").read_text())
    for panel in board["panels"]:
        yield from (target["expr"] for target in panel["targets"])


def families(bank: Bank) -> dict[str, set[str]]:
    """The names under which each metric's series are told."""
    of = StoreCollector(bank.app.store, bank.app.policies, on_kafka())
    process = ProcessCollector(home=bank.home, store=bank.app.store, loops=())
    found = [*of.collect(), *process.collect(), *Meters().registry.collect()]
    return {one.name: {one.name + end for end in SERIES[one.type]} for one in found}


def test_the_dashboard_and_the_alerts_ask_for_nothing_that_is_not_told(bank: Bank) -> None:
    told_names = families(bank)

    asked = set(re.findall(r"\bxuqi_[a-z_]+", " ".join(expressions())))

    assert asked - set().union(*told_names.values()) == set()
    assert {name for name, series in told_names.items() if not series & asked} == set()


def test_they_part_it_by_labels_that_there_are() -> None:
    text = " ".join(expressions())
    parted = [it.split(",") for it in re.findall(r"by \(([a-z, ]+)\)", text)]
    matched = re.findall(r"[{,]([a-z]+)=", text)
    source = "".join((ROOT / "xuqi/serving" / name).read_text() for name in CODE)

    labels = {it.strip() for names in parted for it in names} | set(matched)

    assert {it for it in labels - THEIRS if f'"{it}"' not in source} == set()


def test_a_broker_that_is_away_at_a_quiet_hour_is_seen_by_who_waits_for_it() -> None:
    """A relay that has nothing to give does not ask for it; a consumer does all the time."""
    troubled = [it for it in expressions() if "xuqi_loop_troubled" in it and "store_up" in it]

    (seen,) = re.findall(r'xuqi_loop_troubled(?:{loop=~"([^"]+)"})?', " ".join(troubled))

    loops = {*CONSUMERS, CODES, OTHERS}
    assert {loop for loop in loops if not re.fullmatch(seen or ".*", loop)} == set()


def test_what_an_alert_looks_for_in_a_label_is_said_by_the_code() -> None:
    said = {
        "result": {"ok", "unavailable", "misconfigured", "refused", "unsure", "broke"}
        | set(CODES_ARE.values()),
        "provider": set(PROVIDERS),
        "consumer": set(CONSUMERS),
        "lane": {CODES, OTHERS},
        "state": set(OPEN),
    }

    asked = [
        (label, value)
        for label, values in re.findall(r'([a-z]+)=~?"([^"]+)"', " ".join(expressions()))
        for value in values.split("|")
        if label in said
    ]

    assert len(asked) > 5
    assert [one for one in asked if one[1] not in said[one[0]]] == []
