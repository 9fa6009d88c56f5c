"""A renewal that waits at a branch for its token expires, and its customer is told."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from scheduler import jobs
from tests.scenario.sample import BROWSER, CARD

if TYPE_CHECKING:
    from tests.scenario.scenario import Scenario


def told(world: Scenario, customer: int) -> list[str]:
    query = "SELECT kind FROM messages WHERE customer = :c AND handed_at IS NOT NULL ORDER BY id"
    return [kind for (kind,) in world.rows(query, c=customer)]


def pass_days(world: Scenario, days: int) -> None:
    world.wait(days=days)
    jobs.tend(world.store, world.policies)
    world.drain_over(timedelta(days=2))


def test_a_job_that_nobody_comes_for_is_given_up_and_its_customer_told(world: Scenario) -> None:
    renewal = world.requested(CARD)
    station = world.station(CARD)
    world.drain()

    pass_days(world, world.policies.of("cooperative-card").abandon_after_days)
    station.take()

    assert world.renewal(renewal.id).state == "abandoned"
    assert told(world, CARD).count("job-expired") == 1
    assert "原憑證不受影響" in "\n".join(world.letters())
    job = station.journal.job(renewal.id)
    assert job is not None
    assert job.step == "ended"


def test_a_day_before_it_is_still_waited_for(world: Scenario) -> None:
    renewal = world.requested(CARD)

    world.wait(days=world.policies.of("cooperative-card").abandon_after_days - 1)
    jobs.tend(world.store, world.policies)
    world.drain()

    assert world.renewal(renewal.id).state == "requested"
    assert "job-expired" not in told(world, CARD)


def test_who_has_asked_again_is_not_told_of_the_old_one(world: Scenario) -> None:
    world.requested(CARD)
    world.wait(days=world.policies.of("cooperative-card").abandon_after_days)
    jobs.tend(world.store, world.policies)
    world.requested(CARD)

    world.drain_over(timedelta(days=1))

    assert "job-expired" not in told(world, CARD)


def test_a_renewal_in_the_browser_that_is_given_up_is_no_job_of_a_branch(world: Scenario) -> None:
    world.requested(BROWSER)

    pass_days(world, world.policies.of("securities-browser").abandon_after_days)

    assert "job-expired" not in told(world, BROWSER)
