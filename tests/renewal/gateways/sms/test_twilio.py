"""What Twilio is asked, and what becomes of each way in which it fails."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, ClassVar, Self
from urllib.parse import parse_qsl

import pytest

from renewal.errors import GatewayRefusedError, GatewayUnavailableError, GatewayUnsureError
from renewal.gateways.sms.callback import read, verified
from renewal.gateways.sms.port import DeliveryReport, GatewayMisconfiguredError, Lane, Sms
from renewal.gateways.sms.twilio import TwilioSms
from tests.servers.fault_proxy import FaultProxy
from tests.servers.twilio_simulator import ACCOUNT, TOKEN, Fault, TwilioSimulator

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVICES = {Lane.CODES: "MG" + "c" * 32, Lane.REMINDERS: "MG" + "e" * 32}
REMINDER = Sms(id="m-1", to="+886912345678", body="憑證將於12月1日到期", lane=Lane.REMINDERS)
CODE = replace(REMINDER, id="m-2", body="4711", lane=Lane.CODES, valid_for=timedelta(seconds=59.9))


@pytest.fixture
def simulator() -> Iterator[TwilioSimulator]:
    with TwilioSimulator() as running:
        yield running


@pytest.fixture
def carrier(simulator: TwilioSimulator) -> Iterator[TwilioSms]:
    gateway = twilio(simulator.url)
    yield gateway
    gateway.close()


def twilio(
    url: str,
    *,
    token: str = TOKEN,
    timeout: timedelta = timedelta(seconds=5),
    callback: str | None = "https://centre.example",
) -> TwilioSms:
    return TwilioSms(
        account_sid=ACCOUNT,
        auth_token=token,
        messaging_services=SERVICES,
        status_callback=callback,
        base_url=url,
        timeout=timeout,
    )


@pytest.mark.shows("D09")
def test_a_code_asks_for_its_life_and_leaves_no_trace(
    carrier: TwilioSms, simulator: TwilioSimulator
) -> None:
    carrier_id = carrier.send(CODE)

    assert simulator.messages[carrier_id].form == {
        "To": CODE.to,
        "Body": CODE.body,
        "MessagingServiceSid": SERVICES[Lane.CODES],
        "StatusCallback": "https://centre.example/sms-status/m-2",
        "ValidityPeriod": "59",
        "ContentRetention": "discard",
        "AddressRetention": "obfuscate",
    }


def test_a_reminder_goes_by_its_own_lane(carrier: TwilioSms, simulator: TwilioSimulator) -> None:
    carrier_id = carrier.send(REMINDER)

    assert simulator.messages[carrier_id].form == {
        "To": REMINDER.to,
        "Body": REMINDER.body,
        "MessagingServiceSid": SERVICES[Lane.REMINDERS],
        "StatusCallback": "https://centre.example/sms-status/m-1",
    }


@pytest.mark.parametrize(
    ("life", "asked"),
    [(1, "1"), (1.9, "1"), (36_000, "36000"), (90_000, "36000")],
)
def test_the_validity_stays_in_what_twilio_takes(
    carrier: TwilioSms, simulator: TwilioSimulator, life: float, asked: str
) -> None:
    carrier_id = carrier.send(replace(CODE, valid_for=timedelta(seconds=life)))

    assert simulator.messages[carrier_id].form["ValidityPeriod"] == asked


@pytest.mark.parametrize("life", [0.999, 0, -5])
def test_a_code_whose_time_is_over_is_not_sent(
    carrier: TwilioSms, simulator: TwilioSimulator, life: float
) -> None:
    with pytest.raises(GatewayRefusedError) as caught:
        carrier.send(replace(CODE, valid_for=timedelta(seconds=life)))

    assert caught.value.code == "30036"
    assert simulator.requests == []


def test_a_lane_without_a_service_is_said_at_the_start() -> None:
    with pytest.raises(GatewayMisconfiguredError, match="codes"):
        TwilioSms(
            account_sid=ACCOUNT,
            auth_token=TOKEN,
            messaging_services={Lane.REMINDERS: "MG1"},
        )


FAULTS = [
    (Fault(status=401, code=20003), GatewayMisconfiguredError),
    (Fault(status=401, raw=b""), GatewayMisconfiguredError),
    (Fault(status=400, code=21703), GatewayMisconfiguredError),
    (Fault(status=302, raw=b"", headers={"Location": "/"}), GatewayMisconfiguredError),
    (Fault(status=400, code=21610), GatewayRefusedError),
    (Fault(status=400, code=29999), GatewayMisconfiguredError),
    (Fault(status=429, code=20429), GatewayUnavailableError),
    (Fault(status=429, raw=b"slow down"), GatewayUnavailableError),
    (Fault(status=500, code=20500), GatewayUnsureError),
    (Fault(status=503, raw=b"<html>"), GatewayUnavailableError),
    (Fault(status=500, raw=b"<html>"), GatewayUnsureError),
    (Fault(status=502, raw=b"<html>"), GatewayUnsureError),
    (Fault(status=504, raw=b""), GatewayUnsureError),
    (Fault(raw=b"not json"), GatewayUnsureError),
    (Fault(raw=b"{}"), GatewayUnsureError),
    (Fault(raw=b"[]"), GatewayUnsureError),
    (Fault(raw=b"null"), GatewayUnsureError),
    (Fault(reset=True), GatewayUnsureError),
]


@pytest.mark.parametrize(("fault", "error"), FAULTS)
def test_a_failure_tells_what_can_be_done(
    carrier: TwilioSms, simulator: TwilioSimulator, fault: Fault, error: type[Exception]
) -> None:
    simulator.faults.append(fault)

    with pytest.raises(error) as caught:
        carrier.send(REMINDER)

    assert type(caught.value) is error
    assert len(simulator.requests) == 1


@pytest.mark.parametrize("fault", [fault for fault, _ in FAULTS if fault.status >= 429])
def test_a_question_that_fails_has_done_nothing(
    carrier: TwilioSms, simulator: TwilioSimulator, fault: Fault
) -> None:
    simulator.faults.extend([fault, fault])

    with pytest.raises(GatewayUnavailableError):
        carrier.find(REMINDER, since=datetime.now(UTC))
    with pytest.raises(GatewayUnavailableError):
        carrier.report("SM" + "0" * 32)


@pytest.mark.parametrize("raw", [b"not json", b"[]", b"null", b'"failed"'])
def test_an_unreadable_report_is_asked_for_again(
    carrier: TwilioSms, simulator: TwilioSimulator, raw: bytes
) -> None:
    sent = carrier.send(REMINDER)
    simulator.faults.append(Fault(raw=raw))

    with pytest.raises(GatewayUnavailableError, match="cannot be read"):
        carrier.report(sent)


@pytest.mark.parametrize("raw", [b"not json", b"{}", b"[]", b"null", b'{"a": [], "b": []}'])
def test_an_unreadable_list_is_no_list(
    carrier: TwilioSms, simulator: TwilioSimulator, raw: bytes
) -> None:
    simulator.faults.append(Fault(raw=raw))

    with pytest.raises(GatewayUnavailableError):
        carrier.find(REMINDER, since=datetime.now(UTC))


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("7", timedelta(seconds=7)),
        ("0", timedelta(seconds=1)),
        ("999999999999999999999", timedelta(minutes=1)),
        ("86400", timedelta(hours=1)),
        ("soon", timedelta(minutes=1)),
    ],
)
def test_retry_after_is_obeyed_within_reason(
    carrier: TwilioSms, simulator: TwilioSimulator, header: str, wait: timedelta
) -> None:
    simulator.faults.append(Fault(status=429, code=20429, headers={"Retry-After": header}))

    with pytest.raises(GatewayUnavailableError) as caught:
        carrier.send(REMINDER)

    assert caught.value.retry_after == wait


def test_retry_after_may_be_a_date(carrier: TwilioSms, simulator: TwilioSimulator) -> None:
    far = (datetime.now(UTC) + timedelta(minutes=10)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    simulator.faults.append(Fault(status=429, code=20429, headers={"Retry-After": far}))

    with pytest.raises(GatewayUnavailableError) as caught:
        carrier.send(REMINDER)

    assert timedelta(minutes=9) < caught.value.retry_after <= timedelta(minutes=10)


def test_nobody_at_the_address_means_not_sent() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"

    with pytest.raises(GatewayUnavailableError) as caught:
        twilio(address).send(REMINDER)

    assert REMINDER.to not in str(caught.value)


def test_a_name_that_does_not_resolve_means_not_sent() -> None:
    with pytest.raises(GatewayUnavailableError):
        twilio("http://carrier.invalid").send(REMINDER)


def test_an_answer_that_does_not_come_in_time_is_unsure(simulator: TwilioSimulator) -> None:
    simulator.faults.append(Fault(wait=0.4))
    impatient = twilio(simulator.url, timeout=timedelta(seconds=0.1))

    with pytest.raises(GatewayUnsureError):
        impatient.send(REMINDER)

    impatient.close()


def test_a_line_that_swallows_everything_is_unsure(simulator: TwilioSimulator) -> None:
    with FaultProxy(simulator.url) as proxy:
        proxy.black_hole = True
        impatient = twilio(proxy.url, timeout=timedelta(seconds=0.1))

        with pytest.raises(GatewayUnsureError):
            impatient.send(REMINDER)

        impatient.close()
    assert simulator.messages == {}


def test_an_answer_cut_short_is_unsure_and_the_message_is_there(
    simulator: TwilioSimulator,
) -> None:
    with FaultProxy(simulator.url) as proxy:
        proxy.cut_answer_after = 250
        carrier = twilio(proxy.url)

        with pytest.raises(GatewayUnsureError):
            carrier.send(REMINDER)

        proxy.cut_answer_after = None
        assert carrier.find(REMINDER, since=datetime.now(UTC)) in simulator.messages
        carrier.close()


def test_a_queued_message_without_a_sending_date_is_found(
    carrier: TwilioSms, simulator: TwilioSimulator
) -> None:
    carrier_id = carrier.send(REMINDER)

    assert simulator.messages[carrier_id].resource["date_sent"] is None
    assert carrier.find(REMINDER, since=datetime.now(UTC)) == carrier_id


def test_the_same_text_of_the_other_lane_is_another_message(
    carrier: TwilioSms, simulator: TwilioSimulator
) -> None:
    carrier.send(replace(REMINDER, lane=Lane.CODES))

    assert len(simulator.messages) == 1
    assert carrier.find(REMINDER, since=datetime.now(UTC)) is None


def test_a_finished_code_is_forgotten_by_the_carrier(
    carrier: TwilioSms, simulator: TwilioSimulator
) -> None:
    carrier_id = carrier.send(CODE)

    simulator.advance(carrier_id, "delivered")

    assert CODE.body not in str(simulator.messages[carrier_id].resource)
    assert CODE.to not in str(simulator.messages[carrier_id].resource)
    assert carrier.report(carrier_id) == (DeliveryReport.DELIVERED, "")


def test_numbers_and_texts_reach_no_log(
    carrier: TwilioSms, simulator: TwilioSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    carrier.send(REMINDER)
    carrier.find(REMINDER, since=datetime.now(UTC))
    carrier.report(next(iter(simulator.messages)))

    assert "912345678" not in caplog.text
    assert [record.name for record in caplog.records if "twilio" in record.name] == []


def test_proxies_and_passwords_of_the_environment_are_not_used(
    simulator: TwilioSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("TWILIO_EDGE", "sydney")
    monkeypatch.setenv("TWILIO_REGION", "au1")
    carrier = twilio(simulator.url)

    assert carrier.send(REMINDER) in simulator.messages

    carrier.close()


def test_a_wrong_token_stops_the_lane(simulator: TwilioSimulator) -> None:
    carrier = twilio(simulator.url, token="wrong")  # noqa: S106 - of a test

    with pytest.raises(GatewayMisconfiguredError) as caught:
        carrier.send(REMINDER)

    assert caught.value.code == "20003"
    carrier.close()


def test_many_threads_may_send_at_once(carrier: TwilioSms, simulator: TwilioSimulator) -> None:
    threads = [
        threading.Thread(target=carrier.send, args=(replace(REMINDER, id=f"m-{n}"),))
        for n in range(16)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(simulator.messages) == 16


def test_callbacks_out_of_order_and_doubled_are_all_read_and_ours() -> None:
    kept: list[str] = []
    with Receiver() as received, TwilioSimulator() as simulator:
        carrier = twilio(simulator.url, callback=received.url)
        carrier_id = carrier.send(REMINDER)

        answers = simulator.call_back(carrier_id, "sent", "undelivered", "queued", code=30003)
        answers += simulator.call_back(carrier_id, "undelivered", "delivered", "sent")
        carrier.close()

    assert answers == [204] * 6
    for path, form, signed in received.got:
        assert path == "/sms-status/m-1"
        assert verified(received.url + path, form, signed, TOKEN)
        report = read(form)
        assert report.carrier_id == carrier_id
        kept.append(report.status)
    assert {"sent", "undelivered"} <= set(kept)


class Receiver:
    """A web server that keeps what was posted to it."""

    def __init__(self) -> None:
        got: list[tuple[str, list[tuple[str, str]], str | None]] = []
        self.got = got

        class Handler(BaseHTTPRequestHandler):
            kept: ClassVar = got

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = parse_qsl(body, keep_blank_values=True)
                self.kept.append((self.path, form, self.headers["X-Twilio-Signature"]))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> Self:
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def test_the_foundation_is_imported_without_twilio() -> None:
    check = (
        "import sys, renewal, renewal.gateways.sms.port, renewal.gateways.sms.mailbox,"
        "renewal.gateways.sms.errors, renewal.gateways.sms.callback;"
        "sys.exit(any(m.split('.')[0] in ('twilio', 'requests') for m in sys.modules))"
    )

    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
