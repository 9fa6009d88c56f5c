"""Makes one-time codes that are nowhere stored."""

from __future__ import annotations

import hashlib
import hmac
from enum import StrEnum
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

SENDS_IN_10_MINUTES = 5
SENDS_A_DAY = 10
SENDS_AN_HOUR_FROM_A_BLOCK = 20  #: of IP addresses
FAILURES_IN_24_HOURS = 10

_DRAW_BYTES = 8


class SendRefusal(StrEnum):
    TEN_MINUTES = "too many codes in ten minutes"
    DAY = "too many codes today"
    IP_BLOCK = "too many codes from these addresses"


def digits(key_generate: bytes, challenge_id: str, send_number: int, length: int) -> str:
    """
    Return the code of a sending: always the same one, so that a redelivery sends no other.

    Draws that would favour the low numbers are thrown away (rejection sampling), so that each
    code is equally likely.
    """
    codes = 10**length
    fair = 256**_DRAW_BYTES // codes * codes
    for draw in count():
        parts = _joined(b"code", challenge_id.encode(), b"%d" % send_number, b"%d" % draw)
        drawn = int.from_bytes(hmac.digest(key_generate, parts, hashlib.sha256)[:_DRAW_BYTES])
        if drawn < fair:
            return f"{drawn % codes:0{length}}"
    raise AssertionError("count() ended")


def fingerprint(pepper: bytes, challenge_id: str, code: str) -> bytes:
    """
    Return what is stored of a code; useless without the pepper, a key of its own.
    """
    parts = _joined(b"fingerprint", challenge_id.encode(), code.encode())
    return hmac.digest(pepper, parts, hashlib.sha256)


def same(one: bytes, other: bytes) -> bool:
    """
    Compare in a time that does not tell where they differ.
    """
    return hmac.compare_digest(one, other)


def may_send(
    *, sent_last_10_min: int, sent_today: int, sent_hour_ip_block: int
) -> SendRefusal | None:
    """
    Return why no further code may be sent, or ``None``; the counts are of codes sent before.

    Count per customer and per phone and pass the larger.
    """
    if sent_last_10_min >= SENDS_IN_10_MINUTES:
        return SendRefusal.TEN_MINUTES
    if sent_today >= SENDS_A_DAY:
        return SendRefusal.DAY
    if sent_hour_ip_block >= SENDS_AN_HOUR_FROM_A_BLOCK:
        return SendRefusal.IP_BLOCK
    return None


def is_locked(failures_last_24_hours: int) -> bool:
    """
    Say whether the customer may try no code for this purpose (NIST SP 800-63B-4, 3.2.2).

    Failures are counted over every challenge: a new code does not give new guesses.
    """
    return failures_last_24_hours >= FAILURES_IN_24_HOURS


def is_mobile(number: str, countries: Collection[str]) -> bool:
    """
    Say whether a number in E.164 is a mobile of one of the countries (ISO 3166, e.g. "TW").

    Other kinds and countries are how SMS pumping earns its money.
    """
    import phonenumbers  # noqa: PLC0415 - its tables are large, and only the sender needs them

    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return False
    mobile = {
        phonenumbers.PhoneNumberType.MOBILE,
        phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE,
    }
    return (
        phonenumbers.number_type(parsed) in mobile
        and phonenumbers.region_code_for_number(parsed) in countries
    )


def _joined(*parts: bytes) -> bytes:
    """
    Join so that no two lists of parts give the same bytes.
    """
    return b"".join(len(part).to_bytes(4) + part for part in parts)
