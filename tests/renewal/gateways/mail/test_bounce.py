"""A bounce is believed only of mail that we sent, and judged by its status."""

from __future__ import annotations

import pytest

from renewal.gateways.mail.bounce import Bounce, BounceVerdict, read, verdict_of
from renewal.gateways.mail.verp import (
    return_address,
    returned_token,
    token_of,
)

KEY = b"key"
DOMAIN = "bounce.bank.example"
IDS = ["m-1", "018fd3a2-7c1e-7b44-9d5e-0123456789ab", "01HZY3N7J5", "a.b", "x" * 39]

REPORT = """\
From: Mail Delivery System <MAILER-DAEMON@mx.customer.example>
To: {to}
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain; charset=us-ascii

I'm sorry to have to inform you that your message could not be delivered.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.customer.example
{envid}
Final-Recipient: rfc822; chen@customer.example
Action: {action}
Status: {status}
Remote-MTA: dns; mx.customer.example
Diagnostic-Code: smtp; 550 5.1.1 <chen@customer.example>: no such user

--b
Content-Type: text/rfc822-headers

Message-ID: <m-1@bank.example>

--b--
"""


def report(action: str = "failed", status: str = "5.1.1", envid: str = "") -> bytes:
    line = f"Original-Envelope-Id: {envid}\n" if envid else ""
    text = REPORT.format(to="us", action=action, status=status, envid=line)
    return text.replace("\n", "\r\n").encode()


def judged(raw: bytes, message_id: str = "m-1", envelope_from: str = "<>") -> Bounce | None:
    to = return_address(message_id, key=KEY, domain=DOMAIN)
    return read(raw, envelope_from=envelope_from, envelope_to=to, keys=[KEY])


@pytest.mark.parametrize(
    ("action", "status", "verdict"),
    [
        ("failed", "5.1.1", BounceVerdict.ADDRESS_BAD),
        ("failed", "5.1.10", BounceVerdict.ADDRESS_BAD),
        ("failed", "5.7.1", BounceVerdict.CONTENT),
        ("failed", "5.7.26", BounceVerdict.CONTENT),
        ("failed", "5.6.0", BounceVerdict.CONTENT),
        ("failed", "5.2.2", BounceVerdict.SOFT),
        ("failed", "5.2.1", BounceVerdict.SOFT),
        ("failed", "5.0.0", BounceVerdict.SOFT),
        ("failed", "4.4.1", BounceVerdict.SOFT),
        ("delayed", "4.4.1", BounceVerdict.SOFT),
        ("FAILED", "5.1.1 (bad destination)", BounceVerdict.ADDRESS_BAD),
    ],
)
def test_a_report_is_judged_by_its_status(action: str, status: str, verdict: BounceVerdict) -> None:
    bounce = judged(report(action, status))

    assert bounce == Bounce(message_id="m-1", verdict=verdict, status=status.split(maxsplit=1)[0])


@pytest.mark.parametrize(
    ("action", "status"),
    [
        ("delivered", "2.0.0"),
        ("relayed", "2.0.0"),
        ("expanded", "2.0.0"),
        ("failed", "2.0.0"),
        ("delayed", "5.1.1"),
        ("failed", "nonsense"),
        ("", ""),
    ],
)
def test_what_tells_of_no_failure_is_no_bounce(action: str, status: str) -> None:
    assert judged(report(action, status)) is None


@pytest.mark.parametrize("sender", ["someone@evil.example", "<x@y.example>", "MAILER-DAEMON"])
def test_a_report_with_a_sender_is_not_believed(sender: str) -> None:
    assert judged(report(), envelope_from="") is not None
    assert judged(report(), envelope_from=sender) is None


@pytest.mark.parametrize("message_id", IDS)
def test_a_report_to_an_address_that_we_did_not_make_is_not_believed(message_id: str) -> None:
    good = return_address(message_id, key=KEY, domain=DOMAIN)
    forged = [
        return_address(message_id, key=b"other", domain=DOMAIN),
        good.replace("bounce+", "bounce+x"),
        good.replace("bounce+", "bounce"),
        "renewals@bank.example",
        "",
        good.replace("@", "a@"),
    ]

    for address in forged:
        assert read(report(), envelope_from="<>", envelope_to=address, keys=[KEY]) is None


@pytest.mark.parametrize("message_id", IDS)
@pytest.mark.parametrize("change", [str, str.lower, str.upper, lambda a: f"<{a}>"])
def test_our_address_is_known_again_whatever_case_it_comes_back_in(
    message_id: str,
    change: object,
) -> None:
    assert callable(change)
    address = return_address(message_id, key=KEY, domain=DOMAIN)

    token = returned_token(change(address), keys=[b"newer", KEY])

    assert token is not None
    assert token.lower() == message_id.lower()
    assert len(address.partition("@")[0]) <= 64  # RFC 5321, 4.5.3.1.1


@pytest.mark.parametrize("message_id", ["x" * 40, "a b", "a..b", "a@b", "a\r\nb"])
def test_an_odd_id_travels_as_its_hash_and_comes_back_by_the_envelope_id(message_id: str) -> None:
    quoted = "".join(f"+{ord(c):02X}" if not c.isalnum() else c for c in message_id)

    without, having = judged(report(), message_id), judged(report(envid=quoted), message_id)

    assert without is not None
    assert without.message_id == token_of(message_id)
    assert having is not None
    assert having.message_id == message_id


def test_the_envelope_id_gives_the_case_back() -> None:
    to = return_address("Mm-1", key=KEY, domain=DOMAIN).lower()

    bounce = read(report(envid="Mm-1"), envelope_from="<>", envelope_to=to, keys=[KEY])

    assert bounce is not None
    assert bounce.message_id == "Mm-1"


def test_an_envelope_id_of_another_mail_is_not_believed() -> None:
    bounce = judged(report(envid="m-2"))

    assert bounce is not None
    assert bounce.message_id == "m-1"


def test_the_failure_counts_that_stands_after_a_delivery() -> None:
    both = report().replace(
        b"Final-Recipient",
        b"Final-Recipient: rfc822; a@b.example\r\nAction: delivered\r\nStatus: 2.0.0\r\n\r\n"
        b"Final-Recipient",
        1,
    )

    bounce = judged(both)

    assert bounce is not None
    assert bounce.status == "5.1.1"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe\x00",
        b"Subject: Out of office\r\n\r\nI am away",
        b"Content-Type: multipart/report; boundary=b\r\n\r\n--b--\r\n",
        report().replace(b"multipart/report", b"multipart/mixed"),
        report().replace(b"message/delivery-status", b"text/plain"),
        report() + b"x" * 1_000_000,
    ],
)
def test_what_is_no_report_is_no_bounce(raw: bytes) -> None:
    assert judged(raw) is None


def test_parts_within_parts_without_end_are_no_bounce() -> None:
    deep = b"".join(
        b"Content-Type: multipart/report; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n)
        for n in range(5000)
    )

    assert judged(deep) is None


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ("5.1.3", BounceVerdict.ADDRESS_BAD),
        ("5.6.7", BounceVerdict.ADDRESS_BAD),
        ("550", BounceVerdict.SOFT),
        ("551", BounceVerdict.SOFT),
        ("553", BounceVerdict.SOFT),
        ("552", BounceVerdict.SOFT),
        ("554", BounceVerdict.CONTENT),
        ("450", BounceVerdict.SOFT),
        ("", BounceVerdict.SOFT),
    ],
)
def test_the_code_of_a_refusal_is_judged_by_the_same_rule(
    status: str, verdict: BounceVerdict
) -> None:
    assert verdict_of(status) is verdict
