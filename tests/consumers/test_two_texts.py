"""Of two texts for one day, a reminder and a notice that can wait, the reminder is told in time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from renewal.eventlog.embedded import EmbeddedLog
from renewal.gateways.sms.mailbox import SmsAnswerLost, SmsUnavailable
from renewal.outcome import Outcome
from renewal.store.messages import TextCounts, texts_since
from scheduler import jobs
from schema.codec import decode
from schema.events import Change, NotCollectedDue
from schema.taipei import TAIPEI
from tests.scenario.rows import mobile_of
from tests.scenario.sample import BROWSER, CARD

if TYPE_CHECKING:
    from tests.scenario.scenario import Scenario

LAST_DAY = datetime(2026, 3, 4, 23, 59, 59, tzinfo=TAIPEI)  #: a Wednesday
COMPONENTS = (("notices", "reminders"), ("reminders", "notices"))


def add_left(
    world: Scenario,
    number: int,
    closes: datetime = LAST_DAY - timedelta(days=1),
    customer: int = BROWSER,
) -> None:
    """Take the customer's mail, and add a certificate whose window closes then."""
    with world.app.store.transaction() as work:
        work.customers.change(work.customers.get(customer), mail_sealed=None, mail_hash=None)
        work.certificates.put(
            replace(
                work.certificates.get(BROWSER),
                id=90 + number,
                customer=customer,
                slot=f"slot {number}",
                serial=f"{number:032x}",
                not_after=closes - timedelta(days=30),
                told=-27,
                remind_at=None,
                state="active",
            )
        )


def let_end(world: Scenario) -> None:
    """The customer's other certificate ends on the last day, and its step 0 is still to be told."""
    begins = LAST_DAY - timedelta(days=1) + timedelta(seconds=1)
    with world.app.store.transaction() as work:
        row = work.certificates.get(BROWSER)
        work.certificates.change(row, not_after=LAST_DAY, told=1, remind_at=begins)


def suspend_other(world: Scenario) -> None:
    """The customer is owed no reminder."""
    with world.app.store.transaction() as work:
        row = work.certificates.get(BROWSER)
        work.certificates.change(row, state="suspended", remind_at=None)


def live(world: Scenario, until: str, components: tuple[str, ...] = COMPONENTS[0]) -> None:
    """Half-hour by half-hour; by minutes where quiet hours end, the parked before the scheduler."""
    app, end = world.app, datetime.fromisoformat(until).replace(tzinfo=TAIPEI)
    while (now := world.clock.now().astimezone(TAIPEI)) < end:
        for component in components:
            if component == "reminders":
                jobs.remind(app.store, app.policies)
            world.drain_to(component)
        jobs.leave(app.store, app.policies)
        step = 1 if now.hour in {9, 14} else 30
        whole = now.replace(minute=now.minute - now.minute % step, second=0, microsecond=0)
        world.clock.advance_to(whole + timedelta(minutes=step))


def told(world: Scenario) -> list[tuple[str, str]]:
    """Which texts the customer got, and when in Taipei."""
    found = []
    for row in world.outside("sms"):
        if row["to"] != mobile_of(BROWSER):
            continue
        at = datetime.fromisoformat(row["at"]).astimezone(TAIPEI)
        found.append(("reminder" if row["ref"][0] == "M" else "notice", f"{at:%m-%d %H:%M}"))
    return found


@pytest.mark.parametrize("components", COMPONENTS, ids="-".join)
def test_a_reminder_that_was_put_off_for_the_night_goes_before_a_notice_that_was(
    world: Scenario, components: tuple[str, ...]
) -> None:
    add_left(world, 1)
    let_end(world)

    live(world, "2026-03-07 00:00", components)

    assert told(world) == [
        ("reminder", "03-04 09:00"),  # step 0, on its day
        ("reminder", "03-05 09:00"),  # step -1
        ("notice", "03-06 14:30"),
    ]


def test_windows_that_close_together_are_told_of_on_one_day_each(world: Scenario) -> None:
    for number in range(7):
        add_left(world, number)
    suspend_other(world)

    live(world, "2026-03-13 00:00")

    days = ("04", "05", "06", "09", "10", "11", "12")  # the 7th and 8th are a week-end
    assert told(world) == [("notice", f"03-{day} 14:30") for day in days]


def away_until(world: Scenario, moment: datetime) -> None:
    """The carrier of texts cannot be reached before then."""
    world.weather.sms = lambda _sms: SmsUnavailable() if world.clock.now() < moment else None


def test_a_notice_whose_carrier_was_away_goes_on_the_same_day(world: Scenario) -> None:
    away_until(world, LAST_DAY.replace(hour=16))
    add_left(world, 1)
    suspend_other(world)

    live(world, "2026-03-05 12:00")

    ((kind, at),) = told(world)
    assert kind == "notice"
    assert at.startswith("03-04 1")


def test_two_that_waited_for_their_carrier_over_midnight_are_told_on_one_day_each(
    world: Scenario,
) -> None:
    away_until(world, LAST_DAY + timedelta(hours=14))
    add_left(world, 1)
    add_left(world, 2)
    suspend_other(world)

    live(world, "2026-03-07 00:00")

    assert [at[:5] for _, at in told(world)] == ["03-05", "03-06"]


def test_a_notice_that_answers_takes_the_days_text_before_one_that_can_wait(
    world: Scenario,
) -> None:
    """Both are of one batch."""
    closes = LAST_DAY.replace(hour=14, minute=45, second=0)
    add_left(world, 1, closes)
    world.clock.advance_to(closes + timedelta(seconds=1))
    world.app.back_office.ask_change(BROWSER, Change.SUSPEND, who="teller 7", why="asked for")
    world.drain_to("revocation", "records")
    jobs.leave(world.app.store, world.app.policies)

    live(world, "2026-03-06 00:00")

    assert told(world) == [("notice", "03-04 14:45"), ("notice", "03-05 14:30")]


def test_a_notice_whose_answer_was_lost_before_a_week_end_is_sent_once(world: Scenario) -> None:
    closes = LAST_DAY + timedelta(days=2, hours=-3, seconds=-3)  # Friday, 20:59:56
    add_left(world, 1, closes)
    suspend_other(world)
    lost = iter([SmsAnswerLost()])
    world.weather.sms = lambda _sms: next(lost, None)
    world.clock.advance_to(closes + timedelta(seconds=1))
    jobs.leave(world.app.store, world.app.policies)

    live(world, "2026-03-10 18:00")

    assert told(world) == [("notice", "03-06 20:59")]
    assert world.rows("SELECT state FROM messages WHERE kind = 'expired'") == [("handed over",)]
    assert world.dead() == []


def test_a_notice_of_yesterday_that_is_being_handed_over_is_one_of_todays(world: Scenario) -> None:
    """A reminder's member looks at that moment whether the day is free."""
    away_until(world, LAST_DAY)
    add_left(world, 1)
    suspend_other(world)
    world.clock.advance_to(LAST_DAY - timedelta(hours=3, minutes=10))  # 20:49 of the day
    jobs.leave(world.app.store, world.app.policies)
    world.drain_to("notices")
    [(body,)] = world.rows("SELECT body FROM parked")
    world.clock.advance_to(LAST_DAY + timedelta(hours=15))
    (notices,) = world.app.consumers(["notices"])

    with world.app.store.transaction() as work:
        notices.preload([decode(body)], work)
        begun = notices.prepare(decode(body), work, outcome_unknown=False)

    assert not isinstance(begun, Outcome)
    with world.app.store.transaction() as work:
        since = LAST_DAY + timedelta(seconds=1)
        assert texts_since(work, [BROWSER], since) == {BROWSER: TextCounts(notices=1)}


def test_a_notice_that_waits_keeps_nothing_of_a_like_number_waiting(world: Scenario) -> None:
    """What is owed to customer 91 has nothing to do with certificate 91."""
    renewal, _ = world.issued()
    add_left(world, 1, world.clock.now() - timedelta(hours=1), customer=CARD)
    jobs.leave(world.app.store, world.app.policies)
    world.drain_to("notices")
    waits = world.rows("SELECT topic, key FROM parked")

    due = NotCollectedDue(renewal=renewal.id, customer=91, step=7)
    EmbeddedLog(world.app.store).append([due])
    world.drain_to("notices")

    assert waits == world.rows("SELECT topic, key FROM parked") == [("certificates", "91")]
    assert world.rows("SELECT state FROM messages WHERE kind = 'not-collected'") == [
        ("handed over",)
    ]
