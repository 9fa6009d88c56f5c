"""The table of SMTP's replies: which of them prove that a mail was not taken, at each stage."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from renewal.gateways.answers import Meaning

if TYPE_CHECKING:
    from collections.abc import Container


class SmtpStage(StrEnum):
    SENDER = "the sender"
    RECIPIENT = "the recipient"
    DATA = "the content's beginning"
    CONTENT = "the content"  #: from the dot on the server may have the mail


@dataclass(frozen=True)
class SmtpRow:
    stage: SmtpStage
    reply: Container[int]
    means: Meaning
    because: str


_OK, _LATER, _NEVER, _ANY = range(200, 300), range(400, 500), range(500, 600), range(-1, 1000)
#: RFC 5321, 4.2.2: it does not know our commands or their order; RFC 4954: log in first.
_PROTOCOL = {500, 502, 503, 504, 530}

#: The first row that fits holds (RFC 5321, 4.2.1 and 4.3.2).
ANSWERS = (
    SmtpRow(SmtpStage.SENDER, _OK, Meaning.DONE, "go on"),
    SmtpRow(SmtpStage.SENDER, _LATER, Meaning.NOTHING, "a fault of the moment"),
    SmtpRow(SmtpStage.SENDER, {552}, Meaning.REFUSED, "this mail is too large"),
    SmtpRow(SmtpStage.SENDER, _NEVER, Meaning.OURS, "our sender, or we, are not wanted"),
    SmtpRow(SmtpStage.SENDER, _ANY, Meaning.NOTHING, "no reply of SMTP, and no content was sent"),
    SmtpRow(SmtpStage.RECIPIENT, _OK, Meaning.DONE, "go on"),
    SmtpRow(SmtpStage.RECIPIENT, _LATER, Meaning.NOTHING, "greylisting, or a fault of the moment"),
    SmtpRow(SmtpStage.RECIPIENT, _PROTOCOL, Meaning.OURS, "we may not send here, or not so"),
    SmtpRow(SmtpStage.RECIPIENT, _NEVER, Meaning.REFUSED, "this recipient is not taken"),
    SmtpRow(
        SmtpStage.RECIPIENT, _ANY, Meaning.NOTHING, "no reply of SMTP, and no content was sent"
    ),
    SmtpRow(SmtpStage.DATA, {354}, Meaning.DONE, "go on"),
    SmtpRow(SmtpStage.DATA, _LATER, Meaning.NOTHING, "a fault of the moment"),
    SmtpRow(SmtpStage.DATA, _PROTOCOL, Meaning.OURS, "we may not send here, or not so"),
    SmtpRow(SmtpStage.DATA, _NEVER, Meaning.REFUSED, "this mail is not taken"),
    SmtpRow(SmtpStage.DATA, _ANY, Meaning.NOTHING, "no reply of SMTP, and no content was sent"),
    SmtpRow(SmtpStage.CONTENT, _OK, Meaning.DONE, "the server has taken the responsibility"),
    SmtpRow(SmtpStage.CONTENT, _LATER, Meaning.NOTHING, "not taken: the server keeps nothing"),
    SmtpRow(
        SmtpStage.CONTENT,
        _NEVER,
        Meaning.REFUSED,
        "this mail is not taken: the server keeps nothing",
    ),
    SmtpRow(
        SmtpStage.CONTENT,
        _ANY,
        Meaning.UNSURE,
        "no reply of SMTP, and the server has the mail whole",
    ),
)


def meaning_of(stage: SmtpStage, reply: int) -> Meaning:
    """Return what a reply proves at this stage; no reply at all is -1."""
    rows = (row.means for row in ANSWERS if row.stage is stage and reply in row.reply)
    return next(rows, Meaning.UNSURE)
