"""Random stories of one town, judged over what the carriers took in and nothing else."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from renewal.gateways.mail.mailbox import MailAnswerLost, MailUnavailable
from renewal.gateways.sms.mailbox import SmsAnswerLost, SmsUnavailable
from renewal.rules.contact_hours import TaiwanCalendar
from schema.taipei import TAIPEI
from tests.scenario.reminding import BROWSER, CARD, DAY, HOUR, POLICIES, TOKEN, Scenario, taipei
from tests.scenario.rows import mail_of, mobile_of

if TYPE_CHECKING:
    from renewal.gateways.mail.mailbox import Outcome as MailOutcome
    from renewal.gateways.mail.port import Mail
    from renewal.gateways.sms.mailbox import Outcome
    from renewal.gateways.sms.port import Sms

BEGIN = taipei("2026-02-25 08:00")
POINTS = ("after intent", "before the call", "after the call", "after answer", "before commit",
          "committed", "before the offset")  # fmt: skip
CALENDAR = TaiwanCalendar()


class Killed(BaseException):
    pass


@dataclass
class Life:
    """One customer with one certificate, and when nothing was to be told of it."""

    number: int
    product: str
    ends: datetime
    silent: list[tuple[datetime, datetime | None]] = field(default_factory=list)
    renewal: str | None = None
    suspended: bool = False

    @property
    def is_silent(self) -> bool:
        return bool(self.silent) and self.silent[-1][1] is None

    def silent_between(self, since: datetime, until: datetime) -> bool:
        return any(a < until and (b is None or b > since) for a, b in self.silent)


@dataclass
class Walk:
    """Chooses what happens, and remembers when carriers and scheduler were there."""

    town: Scenario
    chance: random.Random
    lives: list[Life]
    weather: str = "fine"
    since: datetime = BEGIN
    fine: list[tuple[datetime, datetime]] = field(default_factory=list)  # looked at, and fine
    lost: list[tuple[str, datetime]] = field(default_factory=list)  # answers: whose, when

    def go(self, until: datetime) -> None:
        town = self.town
        town.weather.sms, town.weather.mail = self.sms, self.mail
        while town.clock.now() < until:
            self.happen()
            before = town.clock.now()
            town.clock.set(before + self.chance.choice([HOUR, 3 * HOUR, 9 * HOUR, 2 * DAY]))
            self.turn()
            if self.weather == "fine" and town.clock.now() - before < 10 * HOUR:
                self.fine.append((before, town.clock.now()))

    def happen(self) -> None:
        life = self.chance.choice(self.lives)
        if self.weather == "away" and self.town.clock.now() - self.since > 2 * DAY:
            self.weather = "fine"  # with no carrier at all for three days, tries are spent
        match self.chance.randrange(14):
            case 0 | 1:
                before = self.weather
                self.weather = self.chance.choice(["away", "no texts", "losing", "fine", "fine"])
                if before != self.weather:
                    self.since = self.town.clock.now()
            case 2 if life.product == BROWSER and not life.is_silent:
                self.begin(life)
            case 3 if not life.is_silent:
                self.town.suspend(life.number)
                life.suspended = True
                life.silent.append((self.town.clock.now(), None))
            case 4 | 5 if life.is_silent:
                self.end(life)
            case 6:
                self.town.restart()
            case 7 | 8:
                self.kill()
            case _:
                pass

    def begin(self, life: Life) -> None:
        row = self.town.certificate(life.number)
        window = POLICIES.of(life.product).window
        near = abs(self.town.clock.now() - life.ends) < timedelta(days=window.before_days)
        if row.state == "active" and near:
            life.renewal = self.town.request(life.number)
            life.silent.append((self.town.clock.now(), None))

    def end(self, life: Life) -> None:
        if life.renewal is not None:
            self.town.abandon(life.renewal)
        elif self.town.certificate(life.number).state == "suspended":
            self.town.resume(life.number)
        life.renewal, life.suspended = None, False
        life.silent[-1] = (life.silent[-1][0], self.town.clock.now())

    def kill(self) -> None:
        point, left = self.chance.choice(POINTS), self.chance.randrange(1, 4)

        def probe(name: str) -> None:
            nonlocal left
            left -= name == point
            if left == 0:
                raise Killed

        self.town.probe = probe

    def turn(self) -> None:
        try:
            self.town.turn()
        except Killed:
            self.town.restart()
        self.town.probe = lambda _point: None
        self.town.turn()

    def sms(self, sms: Sms) -> Outcome | None:
        if self.weather in {"away", "no texts"}:  # without texts for as long as it may be
            return SmsUnavailable()
        return SmsAnswerLost() if self.loses(sms.to) else None

    def mail(self, mail: Mail) -> MailOutcome | None:
        if self.weather == "away":
            return MailUnavailable()
        return MailAnswerLost() if self.loses(mail.to) else None

    def loses(self, to: str) -> bool:
        lost = self.weather == "losing" and self.chance.random() < 0.5
        if lost:
            self.lost.append((to, self.town.clock.now()))
        return lost


@dataclass(frozen=True)
class Heard:
    at: datetime
    channel: str
    ref: str
    left: int


def heard(town: Scenario, life: Life) -> list[Heard]:
    mine = {mobile_of(life.number), mail_of(life.number)}
    rows: list[tuple[str, dict[str, Any]]] = [
        (name, row) for name in ("sms", "mail") for row in town.outside(name) if row["to"] in mine
    ]
    found = [
        Heard(at, name, row["ref"], (day(life.ends) - day(at)).days)
        for name, row in rows
        for at in [datetime.fromisoformat(row["at"]).astimezone(UTC)]
    ]
    return sorted(found, key=lambda one: one.at)


def day(moment: datetime) -> date:
    return moment.astimezone(TAIPEI).date()


def spans(life: Life) -> list[tuple[int, datetime, datetime]]:
    """Each step, from when until when it is the most urgent one."""
    policy = POLICIES.of(life.product)
    closes = life.ends + timedelta(days=policy.window.after_days, seconds=1)
    moments = []
    for step in policy.ladder:
        local = datetime.combine(day(life.ends) - step * DAY, time(), TAIPEI)
        if step <= policy.window.before_days:
            local = max(local, life.ends - timedelta(days=policy.window.before_days))
        if local < closes:
            moments.append((step, local))
    ends = [moment for _, moment in moments[1:]] + [closes]
    return [(step, since, end) for (step, since), end in zip(moments, ends, strict=True)]


def may_be_told(life: Life, moment: datetime, step: int) -> bool:
    if POLICIES.of(life.product).channels[0] == "mail":
        return True
    local = moment.astimezone(TAIPEI)
    decent = time(9) <= local.time() < time(12, 30) or time(13, 30) <= local.time() < time(21)
    return decent and (step in {0, 1} or CALENDAR.is_business_day(local.date()))


def judge(walk: Walk) -> None:
    for life in walk.lives:
        told = heard(walk.town, life)
        assert len({one.ref for one in told}) == len(told), "one message handed over twice"
        assert len({day(one.at) for one in told if one.channel == "sms"}) == sum(
            one.channel == "sms" for one in told
        ), "two texts on a day"
        for one in told:
            assert not life.silent_between(one.at, one.at + timedelta(microseconds=1)), "in vain"
            assert may_be_told(life, one.at, one.left) or one.channel == "mail", "disturbed"
        for step, since, until in spans(life):
            in_span = [one for one in told if since <= one.at < until]
            assert len(in_span) <= 1, f"step {step} was told {len(in_span)} times"
            if since < BEGIN or life.silent_between(since, until):
                continue
            chances = [
                moment
                for _, moment in walk.fine
                if since < moment < until and may_be_told(life, moment, step)
            ]
            # The first chance may be the retry of an outage that waits an hour for its turn; a
            # text that is found out to have been sent is counted as that day's.
            found_out = any(to == f"+8869{life.number:08d}" and at < until for to, at in walk.lost)
            enough = DAY if found_out else 2 * HOUR
            if chances and chances[-1] - chances[0] > enough:
                assert in_span, f"step {step} of {life.number} was missed: {chances}"


@pytest.mark.shows("D06")
@pytest.mark.parametrize("seed", [*range(10), 147, 154])
def test_whatever_happens_each_threshold_is_told_once_and_never_in_vain(
    town: Scenario, seed: int
) -> None:
    chance = random.Random(seed)
    town.clock.set(BEGIN)
    lives = [
        Life(
            number,
            chance.choice([BROWSER, BROWSER, TOKEN, CARD]),
            datetime.combine(
                date(2026, 3, 1) + chance.randrange(30) * DAY, time(23, 59, 59), TAIPEI
            ),
        )
        for number in range(1, 7)
    ]
    for life in lives:
        town.add(life.number, life.ends, product=life.product)
    walk = Walk(town, chance, lives)

    walk.go(BEGIN + 60 * DAY)

    judge(walk)
    assert town.dead() == []
