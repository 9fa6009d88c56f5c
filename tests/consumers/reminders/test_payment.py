"""A payment that was asked for silences reminders; one that the bank declines does not for ever."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from scheduler import jobs
from tests.scenario.sample import TOKEN

if TYPE_CHECKING:
    from tests.scenario.scenario import Scenario


def test_a_declined_payment_brings_the_reminder_back(world: Scenario) -> None:
    world.wait(minutes=1)
    world.weather.bank = lambda _booking: "refused"
    world.centre.pay(TOKEN)
    jobs.remind(world.app.store, world.app.policies)
    reminders = next(c for c in world.app.consumers() if c.group == "reminders")
    delivery = world.app.runner(reminders)
    delivery.run_once()
    delivery.reader.close()
    assert ("suppressed", "reminder_paid") in world.decisions(TOKEN, "reminder")

    world.drain()
    world.wait(minutes=1)
    jobs.remind(world.app.store, world.app.policies)
    world.drain_over(timedelta(hours=1))

    assert ("sent", "") in world.decisions(TOKEN, "reminder")
