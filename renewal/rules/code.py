"""Derives one-time codes, which are stored nowhere."""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from itertools import count
from typing import TYPE_CHECKING

from schema.policy import CodeTerms, Purpose
from schema.reasons import RefusalReason

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from schema.policy import Policy

SENDS_IN_10_MINUTES = 5
SENDS_A_DAY = 10
#: A code that no carrier took is not counted among these; who asks again and again for such ones
#: still asks a carrier each time.
ASKED_A_DAY = 50
SENDS_AN_HOUR_FROM_A_BLOCK = 20  #: of IP addresses
#: Numbers that differ in their last three digits alone: whoever is paid for texts owns such ranges.
SENDS_AN_HOUR_TO_A_RANGE = 20
_OF_A_RANGE = 3  #: digits
FAILURES_IN_24_HOURS = 10

_DRAW_BYTES = 8


#: For what belongs to no product; six digits after NIST SP 800-63B-4, 3.1.3.2.
_OF_NO_PRODUCT = {
    Purpose.PASSWORD: CodeTerms(digits=6, seconds=300, tries=3),
    Purpose.SUSPEND: CodeTerms(digits=6, seconds=300, tries=3),
    Purpose.EXPORT: CodeTerms(digits=6, seconds=300, tries=3),
    Purpose.RELEASE: CodeTerms(digits=6, seconds=300, tries=3),
}


def own_moment(issued_at: datetime, now: datetime, *, ran: timedelta | None) -> datetime:
    """
    The moment by which a code is judged.

    ``ran``: how long ago it was issued, as no setting of the clock can change it. A clock that is
    set back must not let a code live longer, nor one that leaps ahead end it at once. ``None``:
    another host issued it, or the machine was started anew since; then the clock counts, which
    the guard of clocks watches.
    """
    return now if ran is None else issued_at + ran


def rules_for(policy: Policy | None, purpose: Purpose) -> CodeTerms | None:
    """
    The rules of a code: the product's own, else those of the purpose; ``None``: there is no code.
    """
    own = _OF_NO_PRODUCT.get(purpose)
    return own or (policy.confirm.code if policy else None)


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


def typed(text: str) -> str | None:
    """
    Return the digits of a code as people type and paste it; ``None`` for what is no number.

    Digits of a Chinese keyboard are wide; blanks, hyphens and signs that nobody sees come along.
    """
    kept = [sign for sign in unicodedata.normalize("NFKC", text) if not _is_beside(sign)]
    if not kept or not all(sign.isdecimal() for sign in kept):
        return None
    return "".join(str(unicodedata.decimal(sign)) for sign in kept)


def _is_beside(sign: str) -> bool:
    # Blanks, what cannot be seen (half a character, too), hyphens and dashes.
    return unicodedata.category(sign)[0] in "ZC" or unicodedata.category(sign) == "Pd"


def fingerprint(pepper: bytes, challenge_id: str, code: str) -> bytes:
    """Return what is stored of a code; useless without the pepper, a key of its own."""
    parts = _joined(b"fingerprint", challenge_id.encode(), code.encode())
    return hmac.digest(pepper, parts, hashlib.sha256)


def same(one: bytes, other: bytes) -> bool:
    """Compare in a time that does not tell where they differ."""
    return hmac.compare_digest(one, other)


def may_send(
    *,
    sent_last_10_min: int,
    sent_today: int,
    sent_hour_ip_block: int,
    asked_today: int = 0,
    sent_hour_range: int = 0,
) -> RefusalReason | None:
    """
    Return why no further code may be sent, or ``None``; the counts are of codes sent before.

    Count per customer and per phone and pass the larger.
    """
    if sent_last_10_min >= SENDS_IN_10_MINUTES:
        return RefusalReason.CODES_IN_TEN_MINUTES
    if sent_today >= SENDS_A_DAY or asked_today >= ASKED_A_DAY:
        return RefusalReason.CODES_TODAY
    if sent_hour_ip_block >= SENDS_AN_HOUR_FROM_A_BLOCK:
        return RefusalReason.CODES_FROM_ADDRESSES
    if sent_hour_range >= SENDS_AN_HOUR_TO_A_RANGE:
        return RefusalReason.CODES_TO_RANGE
    return None


def range_of(number: str) -> str:
    """The range that a telephone number lies in."""
    return number[:-_OF_A_RANGE]


def is_locked(failures_last_24_hours: int) -> bool:
    """
    Say whether the customer may try no code for this purpose (NIST SP 800-63B-4, 3.2.2).

    Failures are counted over every challenge: a new code does not give new guesses.
    """
    return failures_last_24_hours >= FAILURES_IN_24_HOURS


def _joined(*parts: bytes) -> bytes:
    """Join so that no two lists of parts give the same bytes."""
    return b"".join(len(part).to_bytes(4) + part for part in parts)
