"""I6: a code is accepted once, in time, from its recipient, before too many wrong tries."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

from schema.policy import ConfirmBy
from simulation.checker.history import History, Violation, broken

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulation.activity_logs import CustomerAct, SentSms

DAY = timedelta(days=1)
MOST_WRONG = 10  #: in a day, over every code (NIST SP 800-63B-4, 3.2.2)
WRONG = frozenset({"wrong", "locked"})
RIGHT = frozenset({"ok", "right"})
CODE = re.compile(r"驗證碼\s*(?P<zh>\d{4,10})，|^\S.*\bCode (?P<en>\d{4,10}) to ")

IN_MAIL = re.compile(r"驗證碼如下：\s*\d{4}|one-time code to [^:]*:\s*\d{4}")


def digits_in(sms: SentSms) -> str | None:
    found = CODE.search(sms.body)
    return (found["zh"] or found["en"]) if found else None


def a_code_is_accepted_once_and_in_time(story: History) -> Iterator[Violation]:
    """
    I6: what is accepted is the newest code on that phone, within its seconds, once, and not
    after the tries are spent.
    """
    used: dict[str, CustomerAct] = {}
    for row in story.customers:
        if row.did != "coded" or row.result not in RIGHT:
            continue
        newest = _newest(story, row)
        if newest is None:
            yield broken("I6", "a code was accepted that nobody sent", row)
            continue
        if newest.place in used:
            yield broken("I6", "one code was accepted twice", newest, used[newest.place], row)
        used[newest.place] = row
        policy = story.policies.get(row.product)
        rules = policy.confirm.code if policy else None
        if rules is None:
            yield broken("I6", f"{row.product} is not confirmed by a code", row)
            continue
        if row.at - newest.at > timedelta(seconds=rules.seconds):
            yield broken("I6", "a code was accepted late", newest, row)
        wrong = _wrong_between(story, newest, row)
        if len(wrong) >= rules.tries:
            yield broken("I6", f"accepted after {len(wrong)} wrong ones", *wrong, row)


def _newest(story: History, row: CustomerAct) -> SentSms | None:
    sent = [sms for sms in story.sms if sms.to == row.mobile and sms.at <= row.at]
    return next((sms for sms in reversed(sent) if digits_in(sms)), None)


def _wrong_between(story: History, newest: SentSms, row: CustomerAct) -> list[CustomerAct]:
    return [
        other
        for other in story.customers
        if other.did == "coded"
        and other.customer == row.customer
        and newest.at <= other.at < row.at
        and other.result in WRONG
    ]


def whoever_guesses_gets_no_new_code(story: History) -> Iterator[Violation]:
    """I6: a resend forgives nothing: after ten wrong codes in a day no new one is sent."""
    wrong: dict[str, list[CustomerAct]] = defaultdict(list)
    for row in story.customers:
        if row.did == "coded" and row.result in WRONG and row.mobile:
            wrong[row.mobile].append(row)
    for sms in story.sms:
        if digits_in(sms) is None:
            continue
        lately = [row for row in wrong[sms.to] if sms.at - DAY <= row.at < sms.at]
        if len(lately) >= MOST_WRONG:
            yield broken("I6", f"a code was sent after {len(lately)} wrong ones", *lately, sms)


def confirmed_by_code_where_the_product_says_so(story: History) -> Iterator[Violation]:
    """I6: a renewal that is confirmed by a code is not issued without one."""
    for renewal, issue in story.issue_of_renewal.items():
        granted = story.granted(renewal) if issue.request_id else None
        policy = story.policies.get(granted.product) if granted else None
        if granted is None or policy is None or policy.confirm.by is not ConfirmBy.CODE:
            continue
        rows = story.about[granted.certificate.lower().lstrip("0")]
        coded = [row for row in rows if row.did == "coded" and row.result in RIGHT]
        # the customer hears of it a moment after it was accepted: the issue may be first
        if not any(granted.at <= row.at <= issue.at + timedelta(minutes=1) for row in coded):
            yield broken("I6", f"{renewal}: issued, and nobody entered a code", issue)


def codes_stay_on_the_phone(story: History) -> Iterator[Violation]:
    """
    I6: a code to renew goes to the phone only; and no code is sent that this judge cannot see.
    """
    for mail in story.mail:
        if mail.ref.startswith("K") or IN_MAIL.search(mail.body):
            yield broken("I6", "a code is in a mail", mail)
    for sms in story.sms:
        if sms.ref.startswith("K") and digits_in(sms) is None:
            yield broken("ledger", "a message about a code that no code can be seen in", sms)


RULES = (
    whoever_guesses_gets_no_new_code,
    a_code_is_accepted_once_and_in_time,
    confirmed_by_code_where_the_product_says_so,
    codes_stay_on_the_phone,
)
