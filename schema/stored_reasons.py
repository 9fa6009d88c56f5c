"""Reads a stored reason: a code with its parameters, or a sentence that version 0.1 has written."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from schema.reasons import (
    CODES,
    CaReason,
    DeferralReason,
    DeliveryReason,
    EndReason,
    FeeReason,
    ImportReason,
    OutcomeReason,
    Reason,
    ReasonCode,
    RefusalReason,
    StatedReason,
    SuppressionReason,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What version 0.1 wrote where a code stands now.
SENTENCES_OF_0_1: Mapping[str, ReasonCode] = {
    "revoked": RefusalReason.REVOKED,
    "suspended": RefusalReason.SUSPENDED,
    "not active": RefusalReason.NOT_ACTIVE,
    "wrong operator": RefusalReason.WRONG_OPERATOR,
    "renewal under way": RefusalReason.UNDER_WAY,
    "not in window yet": RefusalReason.NOT_YET,
    "expired, go to the branch": RefusalReason.EXPIRED,
    "window over": RefusalReason.WINDOW_OVER,
    "fee not paid": RefusalReason.FEE_NOT_PAID,
    "its issuer's signature was not verified": RefusalReason.NOT_VERIFIED,
    "no code can be sent for this certificate": RefusalReason.CODE_UNAVAILABLE,
    "no mobile number is on file": RefusalReason.NO_MOBILE,
    "no mobile on file": RefusalReason.NO_MOBILE,
    "too many wrong codes: locked for 24 hours": RefusalReason.CODE_LOCKED,
    "locked for 24 hours": RefusalReason.CODE_LOCKED,
    "too many codes in ten minutes": RefusalReason.CODES_IN_TEN_MINUTES,
    "too many codes today": RefusalReason.CODES_TODAY,
    "too many codes from these addresses": RefusalReason.CODES_FROM_ADDRESSES,
    "the limit of online revocations is reached: go to the branch": RefusalReason.REVOCATION_LIMIT,
    "declined by the customer": EndReason.DECLINED_BY_CUSTOMER,
    "not finished in time": EndReason.NOT_FINISHED,
    "fee declined": EndReason.FEE_DECLINED,
    "declined by ca": EndReason.DECLINED_BY_CA,
    "renewed": SuppressionReason.RENEWED,
    "paid": SuppressionReason.PAID,
    "opted out": SuppressionReason.OPTED_OUT,
    "no contact": SuppressionReason.NO_CONTACT,
    "bad contact": SuppressionReason.BAD_CONTACT,
    "no channel is left": SuppressionReason.NO_CHANNEL_LEFT,
    "no address is usable": SuppressionReason.NO_ADDRESS,
    "collected meanwhile": SuppressionReason.COLLECTED,
    "in vain by now": SuppressionReason.MOOT,
    "renewed meanwhile": SuppressionReason.RENEWED_MEANWHILE,
    "its window closed long ago": SuppressionReason.CLOSED_LONG_AGO,
    "too late": SuppressionReason.CODE_TOO_LATE,
    "no tries left": SuppressionReason.CODE_LOCKED,
    "contact changed": SuppressionReason.CONTACT_CHANGED,
    "one SMS a day": DeferralReason.SMS_CAP,
    "quiet hours": DeferralReason.QUIET_HOURS,
    "the phone was off": DeferralReason.PHONE_OFF,
    "there is no policy for the product": DeferralReason.NO_POLICY,
    "to be voided": DeferralReason.TO_BE_VOIDED,
    "unreported": DeliveryReason.UNREPORTED,
    "away": DeliveryReason.AWAY,
    "no account is on file": FeeReason.NO_ACCOUNT,
    "paid too late": FeeReason.PAID_TOO_LATE,
    "not renewed in time": FeeReason.NOT_RENEWED,
    "no renewal is possible any more": FeeReason.NOT_RENEWED,
    "the certificate was revoked": FeeReason.CERTIFICATE_REVOKED,
    "until it expires": CaReason.UNTIL_EXPIRY,
    "to the one in force": CaReason.PASSED_ON,
    "of the one before it": CaReason.PASSED_DOWN,
    "the CA has answered with what is no certificate": CaReason.ANSWERED_NO_CERTIFICATE,
    "the CA has certified another usage than a customer's signature": CaReason.ANSWERED_OTHER_USAGE,
    "the CA has certified another subject than the one asked for": CaReason.ANSWERED_OTHER_SUBJECT,
    "the CA has certified another validity than the one asked for": (
        CaReason.ANSWERED_OTHER_VALIDITY
    ),
    "the hold is to be voided": DeferralReason.TO_BE_VOIDED,
    "the new one begins later": DeferralReason.NEW_BEGINS_LATER,
    "the CA answers later": DeferralReason.CA_ANSWERS_LATER,
    "it can wait": DeferralReason.CAN_WAIT,
    "the account of the hold is no longer on file": FeeReason.ACCOUNT_GONE,
    "no account is on file to pay back to": FeeReason.NO_ACCOUNT,
    "the entitlement that this renewal used is not on record": FeeReason.NO_ENTITLEMENT,
    "behind an earlier one": OutcomeReason.BLOCKED_ON_KEY,
    "not begun in time": OutcomeReason.NOT_BEGUN,
    "by the other channel": OutcomeReason.OTHER_CHANNEL,
    "one of them is in vain now": OutcomeReason.PARTLY_MOOT,
    "there is no request on record to send": OutcomeReason.NO_REQUEST,
    "no station has signed this: it is of a program of before": OutcomeReason.UNSIGNED,
    "a station speaks of a certificate that is on no token": OutcomeReason.ON_NO_TOKEN,
    "the station wrote another certificate than the one that was issued": (
        OutcomeReason.OTHER_CERTIFICATE
    ),
    "a newer one of its slot came in": ImportReason.NEWER_CERTIFICATE,
    "no customer is known for it": ImportReason.NO_CUSTOMER,
}

_STATES = "pending|active|suspended|superseded|revoked|expired"
#: The same, where the sentence had a value in it; each group is a parameter of the code.
PATTERNS_OF_0_1: tuple[tuple[re.Pattern[str], ReasonCode], ...] = (
    (re.compile(r"(?P<tries_left>\d+) tries left"), RefusalReason.CODE_WRONG),
    (re.compile(r"NT\$(?P<amount>\d+)"), FeeReason.AMOUNT),
    (re.compile(rf"it is (?P<certificate_state>{_STATES})"), CaReason.CERTIFICATE_STATE),
    (
        re.compile(rf"the certificate is (?P<certificate_state>{_STATES})"),
        FeeReason.CERTIFICATE_STATE,
    ),
    (
        re.compile(
            "the CA has certified another key than the one asked for: serial (?P<serial>[0-9a-f]+)"
        ),
        CaReason.ANSWERED_OTHER_KEY,
    ),
    (re.compile(r"(?P<purpose>apply|renew|revoke)"), StatedReason.PURPOSE),
    # of dead letters
    (
        re.compile(r"(?P<event>[A-Z]\w+) is not for (?P<consumer>[\w-]+)"),
        OutcomeReason.NOT_FOR_CONSUMER,
    ),
    (re.compile(r"not readable: (?P<detail>.+)", re.DOTALL), OutcomeReason.UNREADABLE),
    (re.compile(r"carried out, but: (?P<detail>.+)", re.DOTALL), OutcomeReason.NOT_RECORDED),
    (re.compile(r"unsure: (?P<detail>.+)", re.DOTALL), OutcomeReason.UNSURE),
    (re.compile(r"a false statement: (?P<detail>.+)", re.DOTALL), OutcomeReason.FALSE_STATEMENT),
    (
        re.compile(r"the bank refused to (?P<operation>\w+) a hold: (?P<detail>.+)", re.DOTALL),
        FeeReason.HOLD_NOT_ENDED,
    ),
    (re.compile(r"the bank refused a refund: (?P<detail>.+)", re.DOTALL), FeeReason.NOT_PAID_BACK),
    (
        re.compile(r"the CA refused to (?P<change>\w+): (?P<detail>.+)", re.DOTALL),
        CaReason.CHANGE_REFUSED,
    ),
)
_TRIED_OF_0_1 = re.compile(r"\d+ tries: (.+)", re.DOTALL)
_NUMBERS = {"tries_left", "amount"}


def read_reason(stored: str, as_json: str | None = None) -> Reason:
    """
    The reason that was stored; text that nobody knows is kept as text.

    ``as_json``: its parameters, where they have a column of their own.
    """
    # A report of 0.1 counts by "mobile added": its code has a space.
    name, _, parameters = (stored, "", "") if stored in CODES else stored.partition(" ")
    parameters = parameters or as_json or ""
    code = CODES.get(name)
    if code is None:
        return _of_0_1(stored)
    try:
        return Reason(code, json.loads(parameters) if parameters else {})
    except (ValueError, TypeError):  # no JSON, or not its parameters
        return _of_0_1(stored)


def _of_0_1(sentence: str) -> Reason:
    tried = _TRIED_OF_0_1.fullmatch(sentence)
    if tried is not None:  # the column of tries says how often
        return read_reason(tried[1])
    known = SENTENCES_OF_0_1.get(sentence)
    if known is not None:
        return known.why()
    for pattern, code in PATTERNS_OF_0_1:
        found = pattern.fullmatch(sentence)
        if found is not None:
            values = found.groupdict()
            return Reason(code, {k: int(v) if k in _NUMBERS else v for k, v in values.items()})
    return StatedReason.TEXT.why(text=sentence)
