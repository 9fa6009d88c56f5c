"""Reads what mail servers report back (RFC 3464), and believes it only of mail that we sent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email import message_from_bytes
from enum import StrEnum
from typing import TYPE_CHECKING

from renewal.gateways.mail.message import NOT_ASCII
from renewal.gateways.mail.verp import returned_token, token_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message

#: A report is short; what is longer is not read.
LONGEST_REPORT = 1_000_000
LONGEST_ENVID = 300

_STATUS = re.compile(r"(?P<class>[245])\.(?P<subject>\d{1,3})\.(?P<detail>\d{1,3})")
_XTEXT = re.compile(r"\+([0-9A-F]{2})")


class Verdict(StrEnum):
    ADDRESS_BAD = "address bad"
    CONTENT = "content"  #: alarm; the address is good
    SOFT = "soft"  #: three in 14 days mean a bad address


@dataclass(frozen=True, kw_only=True)
class Bounce:
    message_id: str  #: our own id, or its token (see ``verp.token_of``) if the report lacks ENVID
    verdict: Verdict
    status: str  #: RFC 3463, for instance 5.1.1


def verdict_of(status: str) -> Verdict:
    """
    Judge a status (5.1.1) or a bare reply code (550). What is on no list is soft.
    """
    match = _STATUS.match(status)
    if match is None:
        return _verdict_of_reply(status)
    if match["class"] == "4":
        return Verdict.SOFT
    if match[0] == NOT_ASCII:
        return Verdict.ADDRESS_BAD
    # RFC 3463: X.1 is about the address, X.6 and X.7 about the content and policy.
    by_subject = {"1": Verdict.ADDRESS_BAD, "6": Verdict.CONTENT, "7": Verdict.CONTENT}
    return by_subject.get(match["subject"], Verdict.SOFT)


def _verdict_of_reply(code: str) -> Verdict:
    # RFC 5321, 4.2.3: no such mailbox, moved away, name not allowed; and "transaction failed".
    if code in {"550", "551", "553"}:
        return Verdict.ADDRESS_BAD
    return Verdict.CONTENT if code == "554" else Verdict.SOFT


def read(raw: bytes, *, envelope_from: str, envelope_to: str, key: bytes) -> Bounce | None:
    """
    Return what a delivery report says of our mail, or ``None`` if it is none that we accept.

    Accepted is a ``multipart/report`` with a null sender (RFC 5321, 4.5.5: all that real
    reports have) to an address of our own making, that tells of a failure or a delay.
    """
    token = returned_token(envelope_to, key=key)
    if envelope_from.strip() not in {"", "<>"} or token is None or len(raw) > LONGEST_REPORT:
        return None
    try:
        blocks = list(_blocks(message_from_bytes(raw)))
    except RecursionError:  # parts within parts without end
        return None
    status = _status(blocks)
    if status is None:
        return None
    return Bounce(message_id=_id(blocks, token), verdict=verdict_of(status), status=status)


def _blocks(report: Message) -> Iterator[Message]:
    if report.get_content_type() != "multipart/report":
        return
    for part in report.walk():
        if part.get_content_type() == "message/delivery-status" and part.is_multipart():
            payload = part.get_payload()
            if isinstance(payload, list):
                yield from (block for block in payload if not isinstance(block, str))
            return


def _status(blocks: list[Message]) -> str | None:
    for block in blocks:
        action = str(block.get("Action", "")).strip().lower()
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
