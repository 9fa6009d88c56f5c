"""Holds a message against what carriers and mail servers take."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from templates.contexts import CodeMessage
from templates.length import is_gsm7, segments

if TYPE_CHECKING:
    from collections.abc import Iterator

    from templates.contexts import MessageContext
    from templates.rendering import RenderedMail

#: What phones and mail readers take for a link, and what carriers in Taiwan refuse in a text:
#: links at all, short ones first of all.
LINK = re.compile(
    r"https?:|://|//\w|www\.|mailto:"
    r"|\w\.(com|tw|net|org|example|me|ee|ly|cc|gl|io|to)\b",
    re.IGNORECASE,
)
UNSEEN = re.compile(
    "[\r\x00-\x09\x0b-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
LONGEST_SUBJECT = 120  #: characters, in a list of mails
LONGEST_LINE = 998  #: octets (RFC 5322, 2.1.1)
MOST_SEGMENTS = 2
_LEFT_OVER = re.compile(r"\{%|%\}|\{\{|\}\}|\bNone\b")
#: A name that shows template language is shown as it is.
_A_NAME = "{{ 7*7 }}{% for a in b %}"


def most_segments(message: MessageContext) -> int:
    return 1 if isinstance(message, CodeMessage) else MOST_SEGMENTS


def faults_of_sms(message: MessageContext, text: str, locale: str, brand: str) -> Iterator[str]:
    """Each reason why a carrier would not take the text, or would charge more for it."""
    count, most = segments(text), most_segments(message)
    if count > most:
        yield f"has {count} segments, and {most} is the most"
    if locale == "en" and not is_gsm7(text):
        yield "has a sign outside the GSM 7 bit alphabet: it costs more than twice as much"
    if not text.startswith(brand):
        yield f"does not begin with {brand}: carriers overwrite sender ids"
    if text != " ".join(text.split()):
        yield "is not one line without gaps"
    if isinstance(message, CodeMessage) and message.code not in text:
        yield "does not show the code"
    yield from _of_any(text)


def faults_of_mail(message: MessageContext, mail: RenderedMail) -> Iterator[str]:
    """Each reason why a mail server or a reader would not take the mail."""
    if mail.subject != " ".join(mail.subject.split()) or not mail.subject:
        yield "its subject is not one line without gaps"
    if len(mail.subject) > LONGEST_SUBJECT:
        yield f"its subject has {len(mail.subject)} characters, and {LONGEST_SUBJECT} is the most"
    if any(len(line.encode(errors="replace")) > LONGEST_LINE for line in mail.text.splitlines()):
        yield f"a line of its text is longer than {LONGEST_LINE} octets (RFC 5322)"
    if isinstance(message, CodeMessage):
        if message.code in mail.subject:
            yield "its subject shows the code: notifications on a locked screen would, too"
        if message.code not in mail.text or message.code not in mail.html:
            yield "does not show the code"
    for text in (mail.subject, mail.text, mail.html):
        yield from _of_any(text)


def _of_any(text: str) -> Iterator[str]:
    if LINK.search(text):
        yield "carries a link, or what a phone takes for one"
    if UNSEEN.search(text):
        yield "carries a sign that is not seen"
    if _LEFT_OVER.search(text.replace(_A_NAME, "")):
        yield "shows something of the template's language"
