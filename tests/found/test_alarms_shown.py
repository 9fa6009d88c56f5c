"""What a carrier's answer asks a person for is seen wherever that person looks."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from renewal.gateways.sms.port import Lane
from renewal.lanes import lane_of, refused_us
from renewal.store import alarms
from renewal.store.alarms import Kind
from renewal.store.lanes import stopped_lanes
from schema.policy import Channel
from tests.scenario.sample import open_sample
from tests.scenario.scenario import START, Scenario
from xuqi.cli.context import CliContext
from xuqi.cli.main import xuqi
from xuqi.serving.collector import StoreCollector

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CODES = lane_of(Channel.SMS, Lane.CODES)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Scenario]:
    opened = open_sample(tmp_path / "home")
    with opened.app.store.transaction() as work:
        refused_us(work, CODES, "20005", b"one")
    yield opened
    opened.close()


def status(world: Scenario, *args: str, lang: str = "en") -> str:
    context = CliContext(home=world.home, clock=world.clock, environment={})
    result = CliRunner().invoke(xuqi, ["--lang", lang, "status", *args], obj=context)
    context.close()
    assert result.exit_code == 0, result.output
    return result.stdout


def samples(world: Scenario) -> dict[str, dict[tuple[str, ...], float]]:
    of = StoreCollector(world.app.store, world.app.policies)
    return {
        family.name: {tuple(one.labels.values()): one.value for one in family.samples}
        for family in of.collect()
    }


def test_status_names_the_lane_that_stands_still_its_code_and_since_when(world: Scenario) -> None:
    world.wait(seconds=20)

    [lane] = json.loads(status(world, "--json"))["for_people"]["stopped_lanes"]

    assert (lane["name"], lane["code"]) == ("sms codes", "20005")
    assert lane["since"].startswith(START.isoformat()[:16])
    assert "lane stopped: sms codes, code 20005, since 2026-03-02 10:00" in status(world)
    assert "管道停止：sms codes，代碼 20005，自 2026-03-02 10:00" in status(world, lang="zh-TW")


def test_it_is_a_metric_that_alerts_ask_for(world: Scenario) -> None:
    world.wait(seconds=20)

    told = samples(world)

    assert told["xuqi_alarms_open"] == {("lane stopped", "sms codes"): 1.0}
    assert told["xuqi_lane_stopped_seconds"][("sms codes",)] == pytest.approx(20, abs=1)


def test_a_lane_that_goes_on_is_told_no_more(world: Scenario) -> None:
    world.wait(days=1)

    with world.app.store.snapshot() as look:
        stopped = stopped_lanes(look)

    assert stopped == []
    assert samples(world)["xuqi_lane_stopped_seconds"] == {}
    assert "lane stopped" not in status(world)


def test_an_alarm_that_is_raised_again_counts_from_then(world: Scenario) -> None:
    key = f"{Kind.LANE_STOPPED.value}:sms codes:20005"
    with world.app.store.transaction() as work:
        alarms.end(work, key)
    world.wait(hours=3)

    with world.app.store.transaction() as work:
        refused_us(work, CODES, "20005", b"two")
    with world.app.store.snapshot() as look:
        [again] = alarms.open_alarms(look)

    assert again.first_at - START > timedelta(hours=2)
