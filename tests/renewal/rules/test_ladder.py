"""After any downtime there is one reminder, the most urgent; none early, none in vain."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from renewal.rules.reminder_schedule import (
    collection_reminder_owed,
    days_left,
    next_look,
    next_moment,
    reminder_owed,
    threshold_moment,
    thresholds,
)
from schema.policy import Policy, load_policies
from schema.taipei import TAIPEI

POLICIES = load_policies()
BROWSER = POLICIES["securities-browser"]
CORPORATE = POLICIES["corporate-token"]
TICK = timedelta(microseconds=1)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)

ANY_POLICY = st.sampled_from(list(POLICIES.values()))
ENDS = st.dates(datetime(2021, 1, 1, tzinfo=UTC).date(), datetime(2030, 1, 1, tzinfo=UTC).date())


def taipei(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=TAIPEI)


def night(day: object) -> datetime:
    return taipei(f"{day}T23:59:59")


END = night("2026-10-29")


def oracle(not_after: datetime, policy: Policy) -> list[tuple[int, datetime]]:
    """The steps that can be told, worked out by hand from the sentences of the policy."""
    local = not_after.astimezone(TAIPEI)
    midnight = local.replace(hour=0, minute=0, second=0)
    opens = local - policy.window.before_days * DAY
    closes = local + policy.window.after_days * DAY
    steps = []
    for step in policy.ladder:
        moment = midnight - step * DAY
        if opens.date() == moment.date():
            moment = opens
        if moment <= closes:
            steps.append((step, moment))
    return steps


def scan(moments: list[datetime], not_after: datetime, policy: Policy) -> list[tuple[int, int]]:
    """Run a scheduler at these moments; return which of them told which step."""
    told: int | None = None
    messages = []
    for number, now in enumerate(moments):
        step = reminder_owed(now, not_after, policy, told)
        if step is not None:
            told = step
            messages.append((number, step))
    return messages


@pytest.mark.shows("D06")
@settings(max_examples=400)
@given(
    policy=ANY_POLICY,
    day=ENDS,
    off_at=st.integers(-70 * 1440, 40 * 1440),
    span=st.integers(0, 60 * 1440),
)
@example(policy=BROWSER, day=END.date(), off_at=-30 * 1440, span=60 * 1440)
@example(policy=CORPORATE, day=END.date(), off_at=-60 * 1440, span=60 * 1440)
def test_after_any_downtime_exactly_one_message_the_most_urgent(
    policy: Policy, day: object, off_at: int, span: int
) -> None:
    not_after = night(day)
    off = not_after + off_at * MINUTE
    on = off + span * MINUTE
    before = [moment for _, moment in oracle(not_after, policy) if moment <= off]

    messages = scan([*before, on, on, on + TICK], not_after, policy)

    missed = [step for step, moment in oracle(not_after, policy) if off < moment <= on]
    closed = on > not_after + policy.window.after_days * DAY + timedelta(seconds=1) - TICK
    after = [step for number, step in messages if number >= len(before)]
    assert len(messages) - len(after) == len(before)
    assert after == ([] if closed else missed[-1:])


def test_every_span_of_downtime_up_to_60_days_ends_in_the_most_urgent_message_at_most() -> None:
    for policy in POLICIES.values():
        steps = oracle(END, policy)
        closes = END + policy.window.after_days * DAY
        for offset in range(-70, 35):
            off = END + offset * DAY
            told = min((step for step, moment in steps if moment <= off), default=None)
            for span in range(61):
                on = off + span * DAY
                missed = [step for step, moment in steps if off < moment <= on <= closes]

                assert reminder_owed(on, END, policy, told) == (missed[-1] if missed else None)


@settings(max_examples=150)
@given(policy=ANY_POLICY, scans=st.lists(st.integers(-70 * 1440, 40 * 1440), max_size=40))
def test_however_it_is_scanned_a_step_is_told_once_in_order_and_never_early(
    policy: Policy, scans: list[int]
) -> None:
    moments = [END + off * MINUTE for off in sorted(scans)]

    messages = scan(moments, END, policy)

    told = [step for _, step in messages]
    passes = dict(oracle(END, policy))
    assert told == sorted(set(told), reverse=True)
    assert all(moments[number] >= passes[step] for number, step in messages)


@settings(max_examples=150)
@given(policy=ANY_POLICY, day=ENDS, off=st.integers(-100 * 1440, 40 * 1440))
def test_to_look_only_when_told_to_misses_nothing(policy: Policy, day: object, off: int) -> None:
    not_after = night(day)
    start = now = not_after + off * MINUTE
    told: int | None = None
    looks = []
    while (look := next_look(now, not_after, policy, told)) is not None:
        told = reminder_owed(look, not_after, policy, told)
        looks.append((told, max(look, now)))
        now = look

    closes = not_after + policy.window.after_days * DAY
    steps = oracle(not_after, policy)
    late = [(step, start) for step, moment in steps if moment <= start <= closes][-1:]
    assert looks == late + [(step, moment) for step, moment in steps if moment > start]


def test_a_reminder_waits_for_the_second_in_which_the_window_opens() -> None:
    opens = taipei("2026-09-29T23:59:59")

    assert threshold_moment(30, END, BROWSER) == opens
    assert reminder_owed(opens - TICK, END, BROWSER, None) is None
    assert reminder_owed(opens, END, BROWSER, None) == 30


def test_a_step_before_the_window_is_a_notice_at_the_start_of_its_day() -> None:
    assert threshold_moment(60, END, CORPORATE) == taipei("2026-08-30T00:00:00")


def test_a_step_inside_the_window_passes_at_midnight_in_taipei() -> None:
    midnight = taipei("2026-10-22T00:00:00")

    assert threshold_moment(7, END, BROWSER) == midnight
    assert reminder_owed(midnight - TICK, END, BROWSER, 14) is None
    assert reminder_owed(midnight, END, BROWSER, 14) == 7
    assert next_moment(midnight - TICK, END, BROWSER, 14) == midnight
    assert next_moment(midnight, END, BROWSER, 14) == taipei("2026-10-26T00:00:00")
    assert next_moment(midnight, END, BROWSER, 7) == taipei("2026-10-26T00:00:00")


def test_a_clock_that_goes_back_repeats_nothing() -> None:
    back = taipei("2026-10-22T00:00:00")

    assert reminder_owed(back, END, BROWSER, 1) is None
    assert next_moment(back, END, BROWSER, 1) == taipei("2026-10-29T00:00:00")


def test_a_step_that_passes_in_the_last_second_of_the_window_is_told() -> None:
    not_after = taipei("2026-10-29T00:00:00")

    assert reminder_owed(not_after, not_after, CORPORATE, 1) == 0
    assert reminder_owed(not_after + DAY, not_after, CORPORATE, 1) is None


@pytest.mark.shows("A02")
def test_nothing_is_told_once_the_window_has_closed() -> None:
    late = taipei("2026-10-30T00:00:00")

    assert -1 not in dict(thresholds(END, CORPORATE))
    assert reminder_owed(END, END, CORPORATE, 1) == 0
    assert reminder_owed(late, END, CORPORATE, None) is None
    assert next_moment(END, END, CORPORATE, 0) is None


def test_where_the_window_goes_on_after_expiry_so_does_the_ladder() -> None:
    assert reminder_owed(taipei("2026-10-30T00:00:00"), END, BROWSER, 0) == -1
    assert reminder_owed(taipei("2026-11-28T23:59:59"), END, BROWSER, -14) == -27
    assert reminder_owed(taipei("2026-11-29T00:00:00"), END, BROWSER, -14) is None
    assert next_moment(taipei("2026-11-25T00:00:00"), END, BROWSER, -27) is None


@pytest.mark.parametrize(
    ("now", "left"),
    [
        ("2026-10-28T23:59:59", 1),
        ("2026-10-29T00:00:00", 0),
        ("2026-10-29T23:59:59", 0),
        ("2026-10-30T00:00:00", -1),
    ],
)
def test_days_left_are_days_of_the_calendar_in_taipei(now: str, left: int) -> None:
    assert days_left(taipei(now), END) == left
    assert days_left(taipei(now).astimezone(UTC), END.astimezone(UTC)) == left


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="without a time zone"):
        days_left(datetime(2026, 10, 1), END)  # noqa: DTZ001 - the point


def test_what_is_issued_and_not_collected_is_reminded_of_by_full_days() -> None:
    issued = taipei("2026-10-01T18:30:00")

    assert collection_reminder_owed(issued + DAY - TICK, issued, BROWSER, None) is None
    assert collection_reminder_owed(issued + DAY, issued, BROWSER, None) == 1
    assert collection_reminder_owed(issued + 2 * DAY, issued, BROWSER, 1) is None


def test_after_a_downtime_one_reminder_to_collect_until_the_renewal_is_given_up() -> None:
    issued = taipei("2026-10-01T18:30:00")

    assert collection_reminder_owed(issued + 13 * DAY, issued, BROWSER, None) == 7
    assert collection_reminder_owed(issued + 14 * DAY - TICK, issued, BROWSER, 1) == 7
    assert collection_reminder_owed(issued + 14 * DAY, issued, BROWSER, 1) is None


def test_nobody_is_reminded_of_a_certificate_that_never_ends() -> None:
    never = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    now = datetime(2026, 11, 23, tzinfo=UTC)

    for policy in load_policies().values():
        assert reminder_owed(now, never, policy, None) is None
        moment = next_look(now, never, policy, None)
        assert moment is None or moment.year > 9990


@pytest.mark.shows("D06")
def test_on_the_day_the_window_opens_no_earlier_notice_is_sent() -> None:
    policy = load_policies()["corporate-token"]  # a notice at 60 days, the window at 30
    not_after = datetime(2026, 4, 1, 23, 59, 59, tzinfo=TAIPEI)
    opening_day = datetime(2026, 3, 2, 9, tzinfo=TAIPEI)

    assert reminder_owed(opening_day - timedelta(days=1), not_after, policy, None) == 60
    assert reminder_owed(opening_day, not_after, policy, None) is None
    assert reminder_owed(opening_day + timedelta(days=1), not_after, policy, None) == 30
    look = next_look(opening_day, not_after, policy, None)
    assert look == datetime(2026, 3, 2, 23, 59, 59, tzinfo=TAIPEI)
