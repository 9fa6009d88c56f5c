"""A certificate is announced once on entering its window, and once on leaving it un-renewed."""

from __future__ import annotations

import re
import threading
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from renewal.rules.policies import Policies
from renewal.store import certificates as queries
from scheduler import jobs
from tests.scenario.reminding import BROWSER, CARD, POLICIES, Scenario, taipei

if TYPE_CHECKING:
    from datetime import datetime

    import sqlalchemy as sa

    from renewal.store.certificates import Due

END = taipei("2026-03-20 23:59:59")
DAY = timedelta(days=1)
#: Ends of certificates with the first and the last second of their window, from the manual.
SAMPLES = [
    ("2021-10-29 23:59:59", "2021-09-29 23:59:59", "2021-11-28 23:59:59"),
    ("2021-11-04 23:59:59", "2021-10-05 23:59:59", "2021-12-04 23:59:59"),
    ("2021-11-05 23:59:59", "2021-10-06 23:59:59", "2021-12-05 23:59:59"),
    ("2022-03-30 23:59:59", "2022-02-28 23:59:59", "2022-04-29 23:59:59"),
    ("2024-02-29 23:59:59", "2024-01-30 23:59:59", "2024-03-30 23:59:59"),  # a leap day
    ("2024-03-30 23:59:59", "2024-02-29 23:59:59", "2024-04-29 23:59:59"),
]
SECOND = timedelta(seconds=1)


def told(town: Scenario) -> Counter[tuple[str, str]]:
    """How often what was said of which certificate."""
    found = town.rows("SELECT kind, key FROM events WHERE topic = 'certificates'")
    return Counter((kind, key) for kind, key in found)


def scanned(town: Scenario, moment: datetime) -> tuple[int, int]:
    """How many a scan announces at that moment, and how many leave."""
    town.clock.set(moment)
    entered = jobs.scan(town.store, POLICIES).announced
    return entered, jobs.leave(town.store, POLICIES).announced


@pytest.mark.shows("B06", "D01")
@pytest.mark.parametrize(("ends", "opens", "closes"), SAMPLES)
def test_the_windows_of_the_manual_hold_to_the_second(
    town: Scenario, ends: str, opens: str, closes: str
) -> None:
    town.add(1, taipei(ends))

    before = scanned(town, taipei(opens) - timedelta(milliseconds=1))
    at_opening = scanned(town, taipei(opens))
    in_the_last_second = scanned(town, taipei(closes) + SECOND - timedelta(milliseconds=1))
    after = scanned(town, taipei(closes) + SECOND)

    assert [before, at_opening, in_the_last_second, after] == [(0, 0), (1, 0), (0, 0), (0, 1)]
    assert set(told(town).values()) == {1}


@pytest.mark.parametrize(("ends", "opens", "closes"), SAMPLES)
def test_the_last_second_of_the_window_still_counts_as_entering(
    town: Scenario, ends: str, opens: str, closes: str
) -> None:
    town.add(1, taipei(ends))
    town.add(2, taipei(ends) - SECOND)

    entered = scanned(town, taipei(closes))

    assert entered == (1, 1)


def test_a_scan_that_was_full_gets_further_each_time(town: Scenario) -> None:
    for number in range(1, 13):
        town.add(number, END + number % 3 * DAY, product=(BROWSER, CARD)[number % 2])

    runs = [jobs.scan(town.store, POLICIES, at_most=5, page=3) for _ in range(4)]

    assert [(run.announced, run.full) for run in runs] == [
        (5, True), (5, True), (2, False), (0, False),
    ]  # fmt: skip
    assert set(told(town).values()) == {1}
    assert len(told(town)) == 12


def test_a_full_leave_gets_past_those_that_are_being_renewed(town: Scenario) -> None:
    for number in range(1, 13):
        town.add(number, END)
    busy = {number: town.request(number) for number in range(1, 8)}
    town.clock.set(END + 31 * DAY)

    runs = [jobs.leave(town.store, POLICIES, at_most=2, page=3) for _ in range(4)]

    assert [(run.announced, run.full) for run in runs] == [
        (2, True), (2, True), (1, False), (0, False),
    ]  # fmt: skip
    for renewal in busy.values():
        town.abandon(renewal)
    assert jobs.leave(town.store, POLICIES).announced == 7
    assert {town.certificate(number).state for number in range(1, 13)} == {"expired"}


def test_two_threads_that_scan_at_once_announce_each_once(town: Scenario) -> None:
    for number in range(1, 61):
        town.add(number, END)
    found: list[int] = []

    def scan() -> None:
        found.append(jobs.scan(town.store, POLICIES, page=4).announced)

    threads = [threading.Thread(target=scan) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(found) == 60
    assert len(told(town)) == 60
    assert set(told(town).values()) == {1}


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.data())
def test_whatever_the_clock_does_each_is_announced_once(
    town: Scenario, data: st.DataObject
) -> None:
    first = 1 + (town.rows("SELECT coalesce(max(id), 0) FROM certificates")[0][0])
    ends = data.draw(st.lists(st.integers(-40 * 86_400, 40 * 86_400), min_size=1, max_size=4))
    jumps = data.draw(st.lists(st.integers(-70 * 86_400, 70 * 86_400), min_size=1, max_size=5))
    for number, offset in enumerate(ends, start=first):
        town.add(number, END + offset * SECOND)

    seen: dict[int, set[str]] = {number: set() for number in range(first, first + len(ends))}
    for jump in jumps:
        town.clock.set(END + jump * SECOND)
        announced = {due.id for _, due in jobs.would_announce(town.store, POLICIES)}
        before = told(town)
        jobs.scan(town.store, POLICIES, page=2)
        jobs.scan(town.store, POLICIES, page=2)
        news = told(town) - before
        assert {int(key) for _, key in news} == announced
        jobs.leave(town.store, POLICIES, page=2)
        for number, offset in enumerate(ends, start=first):
            if abs(jump - offset) <= 30 * 86_400 and "left" not in seen[number]:
                seen[number].add("entered")
            elif jump - offset > 30 * 86_400:
                seen[number].add("left")

    for number, expected in seen.items():
        said = {kind for (kind, key), _ in told(town).items() if key == str(number)}
        assert ("renewal-due.v1" in said) == ("entered" in expected)
        assert ("renewal-window-left.v1" in said) == ("left" in expected)
    assert set(told(town).values()) <= {1}


def test_a_dry_run_changes_nothing(town: Scenario) -> None:
    for number in range(1, 8):
        town.add(number, END, product=(BROWSER, CARD)[number % 2])

    first = [due.id for _, due in jobs.would_announce(town.store, POLICIES, at_most=5)]
    again = [due.id for _, due in jobs.would_announce(town.store, POLICIES, at_most=5)]

    assert first == again
    assert len(first) == 5
    assert not told(town)
    assert jobs.scan(town.store, POLICIES, at_most=5).announced == 5
    assert {key for _, key in told(town)} == {str(key) for key in first}


def test_a_dry_run_over_many_pages_names_each_once(
    town: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "PAGE", 3)
    for number in range(1, 12):
        town.add(number, END)  # all at one moment, as certificates end at the end of a day

    found = [due.id for _, due in jobs.would_announce(town.store, POLICIES)]

    assert found == list(range(1, 12))


@pytest.mark.parametrize("state", ["pending", "suspended", "superseded", "revoked", "expired"])
def test_only_what_is_in_force_is_announced(town: Scenario, state: str) -> None:
    town.add(1, END)
    town.change(1, state=state)

    assert scanned(town, END) == (0, 0)
    assert scanned(town, END + 60 * DAY) == (0, 0)


def test_a_product_without_a_policy_keeps_no_other_waiting(town: Scenario) -> None:
    town.add(1, END, product="gone")
    town.add(2, END)

    only = Policies({BROWSER: POLICIES.of(BROWSER)})

    assert jobs.scan(town.store, only).announced == 1
    assert jobs.tend(town.store, Policies({})).announced == 0


# --- how the database finds them ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (queries._to_announce, "ix_certificates_to_announce_sqlite"),
        (queries._to_leave, "ix_certificates_to_leave_sqlite"),
        (queries._to_remind, "ix_certificates_to_remind_sqlite"),
    ],
)
def test_a_scan_reads_a_page_of_its_index_and_nothing_else(
    town: Scenario, query: sa.Select[tuple[Due]], index: str
) -> None:
    dialect = town.store.engine.dialect
    statement = str(query.compile(dialect=dialect, compile_kwargs={"render_postcompile": True}))
    with town.store.snapshot() as look:
        held = statement.count("?")
        plan = look.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", (None,) * held)
        steps = [row[3] for row in plan]

    assert len(steps) == 1, steps
    assert re.match(rf"SEARCH certificates USING COVERING INDEX {index} \(.+\)", steps[0]), steps
