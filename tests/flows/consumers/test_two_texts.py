"""Of two texts for one day, a reminder and a notice that can wait, the reminder is told in time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from renewal.gateways.sms.mailbox import Unavailable
from renewal.rules.taipei import TAIPEI
from scheduler import jobs
from tests.flows.world import BROWSER, mobile_of

if TYPE_CHECKING:
    from renewal.gateways.sms.port import Sms
    from tests.flows.world import World

LAST_DAY = datetime(2026, 3, 4, 23, 59, 59, tzinfo=TAIPEI)  #: a Wednesday
ROOMS = (("notices", "reminders"), ("reminders", "notices"))


def add_left(world: World, number: int) -> None:
    """
    Take the customer's mail, and add a certificate whose window closes before the last day begins.
    """
    with world.house.store.work() as work:
        work.customers.change(work.customers.get(BROWSER), mail_sealed=None, mail_hash=None)
        work.certificates.put(
            replace(
                work.certificates.get(BROWSER),
                id=90 + number,
                slot=f"slot {number}",
                serial=f"{number:032x}",
                not_after=LAST_DAY - timedelta(days=31),
                told=-27,
                remind_at=None,
                state="active",
            )
        )


def let_end(world: World) -> None:
    """
    The customer's other certificate ends on the last day, and its step 0 is still to be told.
    """
    begins = LAST_DAY.replace(hour=0, minute=0, second=0)
    with world.house.store.work() as work:
        row = work.certificates.get(BROWSER)
        work.certificates.change(row, not_after=LAST_DAY, told=1, remind_at=begins)


def suspend_other(world: World) -> None:
    """
    The customer is owed no reminder.
    """
    with world.house.store.work() as work:
        work.certificates.change(work.certificates.get(BROWSER), state="suspended", remind_at=None)


def live(world: World, until: str, rooms: tuple[str, ...] = ROOMS[0]) -> None:
    """
    Half-hour by half-hour; by minutes where quiet hours end, the parked before the scheduler.
    """
    house, end = world.house, datetime.fromisoformat(until).replace(tzinfo=TAIPEI)
    while (now := world.clock.now().astimezone(TAIPEI)) < end:
        for room in rooms:
            if room == "reminders":
                jobs.remind(house.store, house.policies)
            world.drain_to(room)
        jobs.leave(house.store, house.policies)
        step = 1 if now.hour in {9, 13} else 30
        whole = now.replace(minute=now.minute - now.minute % step, second=0, microsecond=0)
        world.clock.advance_to(whole + timedelta(minutes=step))


def told(world: World) -> list[tuple[str, str]]:
    """
    Which texts the customer got, and when in Taipei.
    """
    found = []
    for row in world.outside("sms"):
        if row["to"] != mobile_of(BROWSER):
            continue
        at = datetime.fromisoformat(row["at"]).astimezone(TAIPEI)
        found.append(("reminder" if row["ref"][0] == "M" else "notice", f"{at:%m-%d %H:%M}"))
    return found


@pytest.mark.parametrize("rooms", ROOMS, ids="-".join)
def test_a_reminder_that_was_put_off_for_the_night_goes_before_a_notice_that_was(
    world: World, rooms: tuple[str, ...]
) -> None:
    add_left(world, 1)
    let_end(world)

    live(world, "2026-03-07 00:00", rooms)

    assert told(world) == [
        ("reminder", "03-04 09:00"),  # step 0, on its day
        ("reminder", "03-05 09:00"),  # step -1
        ("notice", "03-06 13:30"),
    ]


def test_windows_that_close_together_are_told_of_on_one_day_each(world: World) -> None:
    for number in range(3):
        add_left(world, number)
    suspend_other(world)

    live(world, "2026-03-07 00:00")

    assert told(world) == [("notice", f"03-0{day} 13:30") for day in (4, 5, 6)]


def test_a_notice_whose_carrier_was_away_goes_on_the_same_day(world: World) -> None:
    def away(_sms: Sms) -> Unavailable | None:
        return Unavailable() if world.clock.now().astimezone(TAIPEI).hour < 15 else None

    world.weather.sms = away
    add_left(world, 1)
    suspend_other(world)

    live(world, "2026-03-05 12:00")

    ((kind, at),) = told(world)
    assert kind == "notice"
    assert at.startswith("03-04 1")
