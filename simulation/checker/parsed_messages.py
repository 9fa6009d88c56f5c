"""Parses reminders from their words, as their readers do, in both languages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from schema.taipei import day_of
from simulation.checker.history import number

if TYPE_CHECKING:
    from simulation.activity_logs import CaAct, SentMail, SentSms
    from simulation.checker.history import History

DATE = r"(?P<date>\d{4}/\d{2}/\d{2})"
IN_SMS = (
    re.compile(rf"[將已]於{DATE}到期（(?:剩|逾期)\d+天）"),
    re.compile(rf"將於今日（{DATE}）到期"),
    re.compile(rf"最早一張於{DATE}到期（剩\d+天）"),
    re.compile(rf"expires on {DATE} \(\d+ days? left\)"),
    re.compile(rf"expires today \({DATE}\)"),
    re.compile(rf"expired on {DATE} \(\d+ days? ago\)"),
)
HOW_MANY = re.compile(r"您有(\d+)張憑證|(\d+) of your certificates")
IN_SUBJECT = re.compile(
    r"憑證(?:逾期未更新|今日到期|即將到期)通知（共\d+張）"
    r"|of your certificates (?:have expired or|expire soon)"
    r"|Your certificate (?:has expired$|expires today|expires soon)"
)
IN_MAIL = re.compile(
    r"^[^｜|\n]+[｜|] ?(?P<tail>[0-9a-f]+) ?[｜|] ?(?P<date>\d{4}/\d{2}/\d{2})", re.MULTILINE
)
AND_MORE = re.compile(r"其餘 \d+ 張|and \d+ more, see")


@dataclass(frozen=True)
class ParsedReminder:
    """A message as its reader understands it: of which certificates it speaks."""

    row: SentSms | SentMail
    ends: date  #: of the nearest one
    tails: tuple[tuple[str, date], ...]  #: serial's end and day; a text message names none
    others: bool  #: it speaks of more than it names

    def names(self, issue: CaAct) -> bool:
        day = day_of(issue.not_after)
        if not self.tails:
            return day == self.ends
        serial = number(issue.serial)
        return any(serial.endswith(tail) and day == ends for tail, ends in self.tails)


def read_sms(sms: SentSms) -> ParsedReminder | None:
    for form in IN_SMS:
        found = form.search(sms.body)
        if found:
            return ParsedReminder(sms, _date(found["date"]), (), bool(HOW_MANY.search(sms.body)))
    return None


def read_mail(mail: SentMail) -> ParsedReminder | None:
    if not IN_SUBJECT.search(mail.subject):
        return None
    rows = tuple((found["tail"], _date(found["date"])) for found in IN_MAIL.finditer(mail.body))
    if not rows:
        return None
    return ParsedReminder(mail, min(day for _, day in rows), rows, bool(AND_MORE.search(mail.body)))


def _date(text: str) -> date:
    return date.fromisoformat(text.replace("/", "-"))


def by_sms(story: History) -> list[ParsedReminder]:
    return [reminder for sms in story.sms if (reminder := read_sms(sms))]


def by_mail(story: History) -> list[ParsedReminder]:
    return [reminder for mail in story.mail if (reminder := read_mail(mail))]
