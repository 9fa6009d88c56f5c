"""Shows the way of a carrier's report: real adapter, real callback over HTTP, next channel."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from tests.found.house import CODES, REMINDERS
from tests.servers.twilio_simulator import (
    ACCOUNT,
    TOKEN,
    TwilioSimulator,
    callback_form,
    signature,
    simulator,
)
from tests.xuqi import sample
from tests.xuqi.sample import BROWSER, Bank
from xuqi.serving import http, public_site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LANDLINE = 21614


@pytest.fixture
def carrier() -> Iterator[TwilioSimulator]:
    with simulator() as running:
        yield running


@pytest.fixture
def bank(tmp_path: Path, carrier: TwilioSimulator) -> Iterator[Bank]:
    """A bank that sends by the carrier, has sent one reminder, and listens for callbacks."""
    home = tmp_path / "bank"
    (home / "secrets").mkdir(parents=True, mode=0o700)
    (home / "secrets" / "twilio.key").write_text(TOKEN)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    sms_url = f"twilio://{ACCOUNT}@{CODES}/{REMINDERS}?base={carrier.url}"
    with sample.opened(home, sms_url=sms_url, port=port) as opened, listening(opened):
        opened.browser()
        opened.run("scan")
        opened.drain()
        yield opened


@contextmanager
def listening(bank: Bank) -> Iterator[None]:
    settings = bank.app.settings
    site = public_site.PublicSite(
        store=bank.app.store, public=settings.public, ca=None, token=TOKEN
    )
    with http.listening(public_site.application(site), settings.host, settings.port):
        yield


def sent(carrier: TwilioSimulator) -> str:
    [sid] = carrier.messages
    return sid


def states(bank: Bank) -> list[tuple[str, str]]:
    return [(row["channel"], row["state"]) for row in bank.listed("messages", "list")]


def posted(url: str, form: dict[str, str], signed: str | None) -> int:
    headers = {} if signed is None else {"X-Twilio-Signature": signed}
    request = urllib.request.Request(url, urlencode(form).encode(), headers)  # noqa: S310 - ours
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - as above
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_delivered_reminder_is_on_record(bank: Bank, carrier: TwilioSimulator) -> None:
    answers = carrier.call_back(sent(carrier), "queued", "sent", "delivered")

    assert answers == [204, 204, 204]
    assert states(bank) == [("sms", "delivered")]
    assert "the reminder was delivered" in bank.run("why", "1").stdout


def test_an_undelivered_one_goes_by_mail_and_its_number_is_not_used_again(
    bank: Bank, carrier: TwilioSimulator
) -> None:
    carrier.call_back(sent(carrier), "undelivered", code=LANDLINE)
    bank.drain()

    assert states(bank) == [("sms", "undelivered"), ("mail", "handed over")]
    with bank.app.store.snapshot() as look:
        assert look.customers.get(BROWSER).mobile_bad == str(LANDLINE)


def test_callbacks_that_come_twice_and_in_any_order_are_one_end(
    bank: Bank, carrier: TwilioSimulator
) -> None:
    order = ("delivered", "sent", "delivered", "undelivered", "queued")

    answers = carrier.call_back(sent(carrier), *order)
    bank.drain()

    assert answers == [204] * 5
    assert states(bank) == [("sms", "delivered")]


def test_a_failure_told_twice_is_one_mail(bank: Bank, carrier: TwilioSimulator) -> None:
    carrier.call_back(sent(carrier), "failed", "failed", code=LANDLINE)
    bank.drain()
    carrier.call_back(sent(carrier), "failed", code=LANDLINE)
    bank.drain()

    assert len((bank.home / "outside" / "mail.jsonl").read_text().splitlines()) == 1


def test_a_report_that_is_faster_than_the_carriers_own_answer_counts(
    bank: Bank, carrier: TwilioSimulator
) -> None:
    sid = sent(carrier)
    [listed] = bank.listed("messages", "list")
    with bank.app.store.transaction() as work:  # as it was while the answer was on its way
        row = work.messages.get(listed["id"])
        work.messages.change(row, state="claimed", handed_at=None, carrier_id=None)

    assert carrier.call_back(sid, "delivered") == [204]

    [row_now] = bank.listed("messages", "list")
    assert (row_now["state"], row_now["carrier_id"]) == ("delivered", sid)


def test_what_is_forged_unsigned_unknown_or_of_another_message_is_refused(
    bank: Bank, carrier: TwilioSimulator
) -> None:
    sid = sent(carrier)
    message = carrier.messages[sid]
    url = message.form["StatusCallback"]
    elsewhere = f"{bank.app.settings.public}/sms-status/M-unknown"
    form = callback_form(sid, "undelivered", message.form, LANDLINE)
    foreign = callback_form("SM" + "0" * 32, "undelivered", message.form, LANDLINE)

    answers = {
        "forged": posted(url, form, signature(url, form, "another token")),
        "unsigned": posted(url, form, None),
        "changed": posted(url, form | {"MessageStatus": "delivered"}, signature(url, form)),
        "unknown": posted(elsewhere, form, signature(elsewhere, form)),
        "moved": posted(elsewhere, form, signature(url, form)),
        "foreign": posted(url, foreign, signature(url, foreign)),
    }
    bank.drain()

    assert answers == dict.fromkeys(answers, 403)
    assert states(bank) == [("sms", "handed over")]


def test_a_signed_callback_without_a_status_is_a_bad_request(
    bank: Bank, carrier: TwilioSimulator
) -> None:
    url = carrier.messages[sent(carrier)].form["StatusCallback"]
    form = {"MessageSid": sent(carrier)}

    assert posted(url, form, signature(url, form)) == 400
    assert states(bank) == [("sms", "handed over")]
