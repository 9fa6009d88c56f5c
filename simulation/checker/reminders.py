"""I5: each threshold is reminded of once, in time, within contact hours, while it matters."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from renewal.gateways.sms.port import DeliveryReport
from renewal.rules.contact_hours import TaiwanCalendar, allowed_from
from renewal.rules.window import closes_at
from schema.policy import Channel, ConfirmBy, Policy
from schema.taipei import TAIPEI, day_of, start_of
from simulation.activity_logs import SentSms
from simulation.checker.history import History, Violation, broken, number
from simulation.checker.parsed_messages import ParsedReminder, by_mail, by_sms, read_mail, read_sms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulation.activity_logs import CaAct, CustomerAct, SentMail

DAY = timedelta(days=1)
QUIET = ((time(0), time(9)), (time(12, 30), time(13, 30)), (time(21), time.max))
URGENT = frozenset({0, 1})
#: A threshold is looked at by a scheduler that runs every hour, and not at night.
LOOKED_AT_WITHIN = timedelta(hours=2)
#: So often a text message that did not arrive may be tried again.
MOST_AGAIN = 2


@dataclass(frozen=True)
class Held:
    """A certificate of which something is known: who has it, for which product."""

    issue: CaAct
    policy: Policy
    row: CustomerAct  #: the latest of its customer with an address


@dataclass(frozen=True)
class Span:
    """From when until when a step of the ladder is the one that matters."""

    step: int
    since: datetime
    until: datetime


def held(story: History) -> list[Held]:
    found = []
    for serial, rows in story.about.items():
        issue, policy = story.issue_of.get(serial), story.policies.get(rows[-1].product)
        if issue is not None and policy is not None:
            found.append(Held(issue, policy, rows[-1]))
    return found


def step_at(moment: datetime, held: Held) -> int | None:
    """The ladder's step that a customer would name on that day."""
    left = (day_of(held.issue.not_after) - day_of(moment)).days
    return min((step for step in held.policy.ladder if step >= left), default=None)


# --- rules --------------------------------------------------------------------------------------


def every_reminder_is_understood(story: History) -> Iterator[Violation]:
    """A reminder that this judge cannot read would be judged by nobody."""
    for sms in story.sms:
        if sms.ref.startswith("M") and read_sms(sms) is None:
            yield broken("ledger", "a reminder that cannot be read as one", sms)
    for mail in story.mail:
        if mail.ref.startswith("M") and read_mail(mail) is None:
            yield broken("ledger", "a reminder that cannot be read as one", mail)


def one_message_is_handed_over_once(story: History) -> Iterator[Violation]:
    """I5: a message has one reference, and is handed over once."""
    for rows in (story.sms, story.mail):
        seen: dict[str, SentSms | SentMail] = {}
        for row in rows:
            if seen.setdefault(row.ref, row) is not row:
                yield broken("I5", f"{row.ref} was handed over twice", seen[row.ref], row)


def a_threshold_is_told_once(story: History) -> Iterator[Violation]:
    """I5: on one channel a person hears of one certificate's threshold once."""
    theirs = _by_address(story)
    for reminders in (by_sms(story), by_mail(story)):
        reminders_of: dict[tuple[str, date, int | None, str], list[ParsedReminder]] = defaultdict(
            list
        )
        for reminder in reminders:
            to = reminder.row.to
            for tail, day in reminder.tails or (("", reminder.ends),):
                reminders_of[to, day, _step(theirs.get(to, ()), day, reminder), tail].append(
                    reminder
                )
        for (to, day, _, tail), same in reminders_of.items():
            certificates = [one for one in theirs.get(to, ()) if day_of(one.issue.not_after) == day]
            once = 1 if tail else max(1, len(certificates))
            if len(same) > once + min(sum(map(_lost, same)), MOST_AGAIN):
                rows = [reminder.row for reminder in same]
                yield broken("I5", f"told {len(same)} times of one threshold", *rows)


def _lost(reminder: ParsedReminder) -> bool:
    """Its carrier says that it did not arrive: the next one is no second telling."""
    return isinstance(reminder.row, SentSms) and reminder.row.final == DeliveryReport.UNDELIVERED


def _step(theirs: list[Held] | tuple[()], day: date, reminder: ParsedReminder) -> int | None:
    steps = {step_at(reminder.row.at, one) for one in theirs if reminder.names(one.issue)}
    if len(steps) == 1:
        return steps.pop()
    return 1000 + (day - day_of(reminder.row.at)).days  # nobody known: the same day's at least


def _by_address(story: History) -> dict[str, list[Held]]:
    found: dict[str, list[Held]] = defaultdict(list)
    for one in held(story):
        for address in {one.row.mobile, one.row.mail} - {None, ""}:
            found[str(address)].append(one)
    return found


def nobody_is_disturbed(story: History) -> Iterator[Violation]:
    """
    I5: no reminder by text message in quiet hours, or on a day off unless tomorrow is too late.
    """
    for reminder in by_sms(story):
        local = reminder.row.at.astimezone(TAIPEI)
        if any(begins <= local.time() < ends for begins, ends in QUIET):
            yield broken("I5", f"reminded at {local:%H:%M} in Taipei", reminder.row)
        left = (reminder.ends - local.date()).days
        if left not in URGENT and not _is_business_day(local.date()):
            yield broken("I5", f"reminded on a day off, {local:%Y-%m-%d}", reminder.row)


@cache
def _is_business_day(day: date) -> bool:
    return TaiwanCalendar().is_business_day(day)


def one_text_message_a_day(story: History) -> Iterator[Violation]:
    """I5: one reminder by text message for a customer and a day in Taipei."""
    sharing = Counter(
        mobile for mobile, _ in {(row.mobile, row.customer) for row in story.customers}
    )
    days: dict[tuple[str, date], list[SentSms | SentMail]] = defaultdict(list)
    for reminder in by_sms(story):
        days[reminder.row.to, day_of(reminder.row.at)].append(reminder.row)
    for (to, day), rows in days.items():
        if len(rows) > max(1, sharing[to]):
            yield broken("I5", f"{len(rows)} reminders by text message on {day}", *rows)


def no_reminder_is_in_vain(story: History) -> Iterator[Violation]:
    """I5: no reminder of what is renewed, being renewed, suspended, revoked, or over."""
    theirs = _by_address(story)
    for reminder in (*by_sms(story), *by_mail(story)):
        named = [one for one in theirs.get(reminder.row.to, ()) if reminder.names(one.issue)]
        if reminder.tails:
            for one in named:
                why = _why_in_vain(story, one, reminder.row.at)
                if why:
                    yield broken("I5", f"reminded of {why}", reminder.row)
            continue
        whys = [_why_in_vain(story, one, reminder.row.at) for one in named]
        if whys and all(whys):
            yield broken("I5", f"reminded of {whys[0]}", reminder.row)


def _why_in_vain(story: History, one: Held, at: datetime) -> str | None:
    serial = number(one.issue.serial)
    if at.replace(microsecond=0) > closes_at(one.issue.not_after, one.policy.window):
        return "a certificate whose window is over"
    if story.state_at(serial, at) != "good":
        return f"a certificate that is {story.state_at(serial, at)}"
    for renewal in story.renewals_of.get(serial, ()):
        granted, new = story.granted(renewal), story.issue_of_renewal[renewal]
        ended = story.revoked_at(new.serial)
        if granted is not None and granted.at < at and (ended is None or ended > at):
            return "a renewal that is done or under way"
    if one.policy.confirm.by is ConfirmBy.CODE and _is_waited_for(story, serial, one, at):
        return "a renewal that waits for its customer"
    return None


def _is_waited_for(story: History, serial: str, one: Held, at: datetime) -> bool:
    asked = [row for row in story.asked.get(serial, ()) if row.at < at]
    if not asked or at - asked[-1].at > timedelta(days=one.policy.abandon_after_days):
        return False
    issued = [story.issue_of_renewal[key] for key in story.renewals_of.get(serial, ())]
    if any(asked[-1].at < issue.at < at for issue in issued):
        return False  # judged as that renewal
    rows = story.about[serial]
    return not any(row.did == "declined" and asked[-1].at < row.at < at for row in rows)


def no_threshold_is_missed(story: History) -> Iterator[Violation]:
    """I5: whoever can be reached and does nothing hears of each threshold before the next one."""
    reminders: dict[str, list[ParsedReminder]] = defaultdict(list)
    for reminder in (*by_sms(story), *by_mail(story)):
        reminders[reminder.row.to].append(reminder)
    for one in held(story):
        reach = [address for address in (one.row.mobile, one.row.mail) if address]
        if not reach or one.row.customer in story.unreachable:
            continue
        heard = [reminder for address in reach for reminder in reminders[address]]
        for span in _spans(story, one):
            if not _was_reminded(one, heard, span) and not _excused(story, one, heard, span):
                what = f"nobody was told of step {span.step} of {one.policy.product}"
                yield broken("I5", what, one.issue, one.row)


def _spans(story: History, one: Held) -> Iterator[Span]:
    """Each step, from when until when it is the one that matters; only within the story."""
    begins, ends = story.begins, story.ends
    if begins is None or ends is None:
        return
    closes = closes_at(one.issue.not_after, one.policy.window)
    day = day_of(one.issue.not_after)
    moments = []
    for step in sorted(one.policy.ladder, reverse=True):
        begun = moment = start_of(day - step * DAY)
        if step == one.policy.window.before_days:
            moment = one.issue.not_after - step * DAY  # the window opens late on that day
        moments.append((step, moment, begun))
    # A step matters until the day of the next one begins.
    for (step, since, _), (_, _, until) in pairwise([*moments, (0, closes, closes)]):
        if since <= closes and since < until and begins < until <= ends:
            yield Span(step, max(since, begins), min(until, closes))


def _was_reminded(one: Held, heard: list[ParsedReminder], span: Span) -> bool:
    return any(
        span.since <= reminder.row.at < span.until
        and (reminder.others or reminder.names(one.issue))
        for reminder in heard
    )


def _excused(story: History, one: Held, heard: list[ParsedReminder], span: Span) -> bool:
    """Nothing was owed, or there was no decent hour for it before the next step."""
    since, until = span.since, span.until
    serial = number(one.issue.serial)
    acted = [row for row in story.about[serial] if row.did in {"asked", "paid"}]
    if one.issue.at > since or any(row.at < until for row in acted):
        return True
    if any(deed.at < until for deed in story.deeds_on.get(serial, ())):
        return True
    if not one.row.mobile:
        return until - since < LOOKED_AT_WITHIN + timedelta(hours=8)  # nobody looks at night
    decent = allowed_from(since, Channel.SMS, TaiwanCalendar(), step=span.step)
    if until - decent < LOOKED_AT_WITHIN:
        return True
    texted = [reminder.row.at for reminder in heard if isinstance(reminder.row, SentSms)]
    return any(day_of(moment) == day_of(decent) for moment in texted)


RULES = (
    every_reminder_is_understood,
    one_message_is_handed_over_once,
    a_threshold_is_told_once,
    nobody_is_disturbed,
    one_text_message_a_day,
    no_reminder_is_in_vain,
    no_threshold_is_missed,
)
