"""Shows that of two schedulers one leads, and that a leader of the past changes nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from renewal.db import leases
from renewal.db.leases import NotLeadingError
from renewal.gateways.sms.null import NullSms
from renewal.rules.policies import Policies
from scheduler.timetable import LASTS, LEASE, Timetable
from schema.policy import load_policies
from tests.scenario.stores import opened, sqlite_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from renewal.clock import VirtualClock
    from renewal.db.engine import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with opened(sqlite_url(tmp_path), make=True) as store:
        yield store


def scheduler(store: Store, name: str) -> Timetable:
    return Timetable(
        store=store, policies=Policies(load_policies(None)), sms=NullSms(), holder=name
    )


def later(store: Store, by: timedelta) -> None:
    clock: VirtualClock = store.clock  # type: ignore[assignment] # the stores of tests have one
    clock.advance_to(clock.now() + by)


def test_the_second_does_not_lead_while_the_first_does(store: Store) -> None:
    first, second = scheduler(store, "first"), scheduler(store, "second")

    assert first.lead() == 1
    assert second.lead() is None
    assert first.run("scan") is not None
    assert second.run("scan") is None


def test_the_first_keeps_its_term_as_long_as_it_keeps_the_lease(store: Store) -> None:
    first = scheduler(store, "first")
    first.lead()
    later(store, LASTS - timedelta(seconds=1))

    assert first.lead() == 1
    later(store, LASTS - timedelta(seconds=1))
    assert first.lead() == 1


def test_the_second_takes_over_when_the_first_is_gone(store: Store) -> None:
    first, second = scheduler(store, "first"), scheduler(store, "second")
    first.lead()

    later(store, LASTS - timedelta(seconds=1))
    too_early = second.lead()
    later(store, timedelta(seconds=1))
    in_time = second.lead()

    assert (too_early, in_time) == (None, 2)
    assert second.run("scan") is not None


def test_the_second_leads_at_once_when_the_first_has_stopped(store: Store) -> None:
    first, second = scheduler(store, "first"), scheduler(store, "second")
    first.lead()

    first.stop()

    assert second.lead() == 2


def test_a_leader_that_slept_through_its_term_is_fenced_off(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = scheduler(store, "first"), scheduler(store, "second")
    term = first.lead()
    assert term is not None
    later(store, LASTS)
    second.lead()

    # It was paused after it had looked at its lease, and does not know of the second.
    done = first.run_in_term("scan", term)

    assert done is None
    assert "term 1 of scheduler is over" in caplog.text
    assert first.run("scan") is None


def test_a_job_stops_between_two_transactions_when_its_scheduler_does(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    first = scheduler(store, "first")
    term = first.lead()
    assert term is not None

    first.stop()

    assert first.run_in_term("scan", term) is None
    assert "is being given up" in caplog.text


def test_a_fenced_transaction_leaves_nothing(store: Store) -> None:
    with store.transaction() as work:
        term = leases.take(work, LEASE, "first", LASTS)
    assert term is not None
    later(store, LASTS)
    with store.transaction() as work:
        leases.take(work, LEASE, "second", LASTS)

    def write_and_look() -> None:
        with store.transaction() as work:
            leases.leave(work, LEASE, "second", 2)  # stands for whatever the job had written
            leases.fence(work, LEASE, term)

    with pytest.raises(NotLeadingError):
        write_and_look()

    with store.snapshot() as look:
        lease = leases.current(look, LEASE)
        assert lease is not None
        assert lease.until > look.at


def test_who_comes_back_after_a_lapse_has_a_new_term(store: Store) -> None:
    first = scheduler(store, "first")
    first.lead()
    later(store, LASTS)

    assert first.lead() == 2


def test_the_timetable_runs_every_job_by_itself(store: Store) -> None:
    ran: set[str] = set()

    class Told(Timetable):
        def run(self, name: str) -> object:
            done = super().run(name)
            if done is not None:
                ran.add(name)
                store.announce_change()
            return done

    told = Told(store=store, policies=Policies(load_policies(None)), sms=NullSms())
    told.start()
    try:
        while ran != set(told.every):
            store.wait_for_change(store.changes, timedelta(seconds=10))
    finally:
        told.stop()

    with store.snapshot() as look:
        lease = leases.current(look, LEASE)
        assert lease is not None
        assert lease.until <= look.at  # given up, so that the next one leads at once
