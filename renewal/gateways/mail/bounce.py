"""Parses bounces (RFC 3464) and accepts those of mail that we sent."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from email import message_from_bytes
from enum import StrEnum
from typing import TYPE_CHECKING

from renewal.gateways.mail.message import NOT_ASCII
from renewal.gateways.mail.verp import returned_token, token_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from email.message import Message

#: A report is short; what is longer is not read.
LONGEST_REPORT = 1_000_000
LONGEST_ENVID = 300

#: Postfix, Exim and Dovecot, Courier; Exchange writes none of them, but its reports have a To.
RECIPIENTS = ("X-Original-To", "Delivered-To", "Envelope-To", "X-Envelope-To", "To")

_STATUS = re.compile(r"(?P<class>[245])\.(?P<subject>\d{1,3})\.(?P<detail>\d{1,3})")
_XTEXT = re.compile(r"\+([0-9A-F]{2})")


#: Behind a status that a server gave to our sender or to the content: it says nothing of the
#: address, whatever its number.
OF_THE_MAIL = "/data"


class BounceVerdict(StrEnum):
    ADDRESS_BAD = "address bad"
    DOUBTFUL = "address doubtful"
    CONTENT = "content"  #: our mail, our standing or a system on the way; the address is good
    SOFT = "soft"

    @property
    def proofs(self) -> int:
        """How many within 14 days let the address rest; none: it says nothing of the address."""
        return {"address bad": 1, "address doubtful": 2, "soft": 3}.get(self.value, 0)


#: RFC 3463, 3.2, and RFC 7505: no such mailbox, bad syntax, moved away, takes no mail at all.
_BAD = {"5.1.1", "5.1.3", "5.1.6", "5.1.10", NOT_ASCII}
#: No such domain, ambiguous: names and servers come back.
_DOUBTFUL = {"5.1.0", "5.1.2", "5.1.4"}
#: X.0 says nothing, X.2 is about the mailbox (full, disabled), X.4 about the way to it.
_SOFT = {"0", "2", "4"}


@dataclass(frozen=True, kw_only=True)
class Bounce:
    message_id: str  #: our own id, or its token (see ``verp.token_of``) if the report lacks ENVID
    verdict: BounceVerdict
    status: str  #: RFC 3463, for instance 5.1.1
    delayed: bool = field(default=False, compare=False)  #: the server still tries


def verdict_of(status: str) -> BounceVerdict:
    """
    Judge what was said of a recipient: a status (5.1.1) or a bare reply code (550).

    5.1.7 and 5.1.8 are about the sender's address, X.3, X.5, X.6 and X.7 about systems, protocol,
    content and policy. A bare 550 may be "no such user" or "relaying denied": it is soft.
    """
    match = _STATUS.fullmatch(status)
    if match is None:
        soft = status.isdecimal() or not status
        return BounceVerdict.SOFT if soft and status != "554" else BounceVerdict.CONTENT
    if match["class"] == "4":
        return BounceVerdict.SOFT
    if status in _BAD:
        return BounceVerdict.ADDRESS_BAD
    if status in _DOUBTFUL:
        return BounceVerdict.DOUBTFUL
    return BounceVerdict.SOFT if match["subject"] in _SOFT else BounceVerdict.CONTENT


def read(
    raw: bytes, *, envelope_from: str, envelope_to: str, keys: Collection[bytes]
) -> Bounce | None:
    """
    Return what a delivery report says of our mail, or ``None`` if it is none that we accept.

    Accepted is a ``multipart/report`` with a null sender (RFC 5321, 4.5.5: all that real
    reports have) to an address of our own making, that tells of a failure or a delay.
    """
    token = returned_token(envelope_to, keys=keys)
    if envelope_from.strip() not in {"", "<>"} or token is None or len(raw) > LONGEST_REPORT:
        return None
    try:
        blocks = list(_blocks(message_from_bytes(raw)))
    except RecursionError:  # parts within parts without end
        return None
    status = _status(blocks)
    if status is None:
        return None
    delayed = not any(_action(block) == "failed" for block in blocks)
    return Bounce(
        message_id=_id(blocks, token), verdict=verdict_of(status), status=status, delayed=delayed
    )


def read_stored(
    raw: bytes,
    *,
    keys: Collection[bytes],
    envelope_from: str | None = None,
    envelope_to: str | None = None,
) -> Bounce | None:
    """
    Return what a report says that lies in a mailbox; see ``read``.

    What is not known of its envelope is asked of the headers that the last server has written. That
    of the recipient may be any of several: it is believed by its mark alone.
    """
    head = message_from_bytes(raw[:LONGEST_REPORT])
    if envelope_from is None:
        envelope_from = str(head.get("Return-Path", "none"))
    named = [str(head[name]) for name in RECIPIENTS if name in head]
    for recipient in named if envelope_to is None else [envelope_to]:
        found = read(raw, envelope_from=envelope_from, envelope_to=recipient, keys=keys)
        if found is not None:
            return found
    return None


def _blocks(report: Message) -> Iterator[Message]:
    if report.get_content_type() != "multipart/report":
        return
    for part in report.walk():
        if part.get_content_type() == "message/delivery-status" and part.is_multipart():
            payload = part.get_payload()
            if isinstance(payload, list):
                yield from (block for block in payload if not isinstance(block, str))
            return


def _action(block: Message) -> str:
    return str(block.get("Action", "")).strip().lower()


def _status(blocks: list[Message]) -> str | None:
    for block in blocks:
        action = _action(block)
        match = _STATUS.match(str(block.get("Status", "")).strip())
        if match and (action, match["class"]) in {
            ("failed", "5"),
            ("failed", "4"),
            ("delayed", "4"),
        }:
            return match[0]
    return None


def _id(blocks: list[Message], token: str) -> str:
    for block in blocks:
        envid = str(block.get("Original-Envelope-Id", ""))[:LONGEST_ENVID].strip()
        ours = _XTEXT.sub(lambda match: chr(int(match[1], 16)), envid)
        # The return address is what we trust; the envelope id only gives back its full form.
        if ours and token_of(ours).lower() == token.lower():
            return ours
    return token
