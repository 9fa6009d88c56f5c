"""A carrier on loopback that keeps to Twilio's published description of its Messages API."""

from __future__ import annotations

import argparse
import base64
import contextlib
import hmac
import json
import re
import secrets
import socket
import struct
import threading
import time
import urllib.request
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ACCOUNT = "AC" + "0" * 32
TOKEN = "the simulator's token"  # noqa: S105 - of a simulator
API = "2010-04-01"

#: Twilio's magic numbers, and the landline of Taiwan's guidelines.
REFUSED_NUMBERS = {
    "+15005550001": (21211, "The 'To' number {to} is not a valid phone number."),
    "+15005550002": (21612, "The message From/To pair violates a route."),
    "+15005550003": (21408, "Permission to send an SMS has not been enabled for the region."),
    "+15005550004": (21610, "Attempt to send to unsubscribed recipient {to}"),
    "+15005550009": (21614, "To number: {to}, is not a mobile number"),
    "+886227000000": (21614, "To number: {to}, is not a mobile number"),
}
_SENDER = re.compile(r"MG[0-9a-fA-F]{32}|\+[1-9]\d{1,14}")
FINAL = ("delivered", "undelivered", "failed", "canceled")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What goes wrong with one request: an answer instead, a wait before it, or a cut line."""

    status: int = 0
    code: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None  #: this body instead of Twilio's own
    wait: float = 0.0
    reset: bool = False  #: the request is read and done, and the answer is a TCP reset


@dataclass
class Message:
    resource: dict[str, Any]
    created: datetime
    form: dict[str, str]
    sent: datetime | None = None


def _rfc2822(moment: datetime | None) -> str | None:
    return format_datetime(moment) if moment else None


class TwilioSimulator:
    """
    Messages, faults and callbacks in memory; unique SIDs; the clock is the machine's unless given.
    """

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.now = now
        self.messages: dict[str, Message] = {}
        self.requests: list[tuple[str, str]] = []
        self.account_status = "active"
        self.faults: deque[Fault] = deque()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.simulator = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def to(self, number: str) -> list[Message]:
        return [message for message in self.messages.values() if message.form["To"] == number]

    def create(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if refusal := _refusal(form):
            return refusal
        sid = "SM" + secrets.token_hex(16)
        moment = self.now().replace(microsecond=0)
        message = Message(_resource(sid, form, moment), moment, form)
        with self._lock:
            self.messages[sid] = message
        return 201, dict(message.resource)

    def advance(self, sid: str, status: str, *, code: int | None = None) -> None:
        """Let a message reach a state, without telling anybody."""
        with self._lock:
            message = self.messages[sid]
            moment = self.now().replace(microsecond=0)
            message.sent = message.sent or (
                moment if status not in {"accepted", "queued"} else None
            )
            message.resource |= {
                "status": status,
                "error_code": code,
                "error_message": f"error {code}" if code else None,
                "num_segments": "1",
                "date_sent": _rfc2822(message.sent),
                "date_updated": _rfc2822(moment),
            }
            if status in FINAL:
                _forget(message)

    def call_back(self, sid: str, *statuses: str, code: int | None = None) -> list[int]:
        """
        Post a signed callback for each status, in just that order; return the answers' statuses.
        """
        return [self._post(self.messages[sid], status, code) for status in statuses]

    def _post(self, message: Message, status: str, code: int | None) -> int:
        url = message.form["StatusCallback"]
        form = callback_form(message.resource["sid"], status, message.form, code)
        request = urllib.request.Request(  # noqa: S310 - the address of a test
            url,
            urlencode(form).encode(),
            {"X-Twilio-Signature": signature(url, form), "User-Agent": "TwilioProxy/1.1"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
            return int(answer.status)

    def listed(self, query: dict[str, list[str]], path: str) -> dict[str, Any]:
        with self._lock:
            chosen = [m for m in reversed(self.messages.values()) if _chosen(m, query)]
        size = min(int(query.get("PageSize", ["50"])[0]), 1000)
        page = int(query.get("Page", ["0"])[0])
        part = chosen[page * size : (page + 1) * size]
        more = len(chosen) > (page + 1) * size

        def uri(number: int) -> str:
            flat = {name: values[0] for name, values in query.items()}
            return f"{path}?{urlencode(flat | {'PageSize': size, 'Page': number})}"

        return {
            "messages": [message.resource for message in part],
            "page": page,
            "page_size": size,
            "start": page * size,
            "end": page * size + max(len(part) - 1, 0),
            "uri": uri(page),
            "first_page_uri": uri(0),
            "previous_page_uri": uri(page - 1) if page else None,
            "next_page_uri": uri(page + 1) if more else None,
        }


def signature(url: str, form: dict[str, str], token: str = TOKEN) -> str:
    text = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.digest(token.encode(), text.encode(), "sha1")).decode()


def callback_form(
    sid: str, status: str, form: dict[str, str], code: int | None = None
) -> dict[str, str]:
    """
    Return the fields of a status callback, blank ones and one that is new to the receiver too.
    """
    fields = {
        "SmsSid": sid,
        "SmsStatus": status,
        "MessageStatus": status,
        "MessageSid": sid,
        "AccountSid": ACCOUNT,
        "To": form.get("To", ""),
        "From": "",
        "MessagingServiceSid": form.get("MessagingServiceSid", ""),
        "ApiVersion": API,
        "RawDlrDoneDate": "2611230818",
    }
    return fields | ({"ErrorCode": str(code)} if code else {})


def _refusal(form: dict[str, str]) -> tuple[int, dict[str, Any]] | None:
    to, body = form.get("To", ""), form.get("Body", "")
    sender = form.get("From", "") or form.get("MessagingServiceSid", "")
    validity = int(form.get("ValidityPeriod", "36000"))
    not_a_number = (21211, "The 'To' number {to} is not a valid phone number.")
    rules = (
        (to in REFUSED_NUMBERS, *REFUSED_NUMBERS.get(to, (0, ""))),
        (not re.fullmatch(r"\+[1-9]\d{1,14}", to), *not_a_number),
        (not body, 21602, "Message body is required."),
        (len(body) > 1600, 21617, "The message body exceeds the 1600 character limit."),
        (not sender, 21603, "A 'From' phone number is required."),
        (not _SENDER.fullmatch(sender), 21705, "The Messaging Service SID is invalid."),
        (not 1 <= validity <= 36_000, 21624, "Invalid validity period value."),
    )
    return next((error(400, code, text.format(to=to)) for bad, code, text in rules if bad), None)


def error(status: int, code: int, message: str) -> tuple[int, dict[str, Any]]:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return status, {"code": code, "message": message, "more_info": more, "status": status}


def _resource(sid: str, form: dict[str, str], moment: datetime) -> dict[str, Any]:
    uri = f"/{API}/Accounts/{ACCOUNT}/Messages/{sid}"
    return {
        "sid": sid,
        "account_sid": ACCOUNT,
        "messaging_service_sid": form.get("MessagingServiceSid"),
        "api_version": API,
        "body": form["Body"],
        "to": form["To"],
        "from": form.get("From"),
        "direction": "outbound-api",
        "status": "accepted",
        "num_segments": "0",  # until a sender is chosen
        "num_media": "0",
        "error_code": None,
        "error_message": None,
        "price": None,
        "price_unit": None,
        "date_created": _rfc2822(moment),
        "date_updated": _rfc2822(moment),
        "date_sent": None,
        "uri": f"{uri}.json",
        "subresource_uris": {"media": f"{uri}/Media.json"},
    }


def _forget(message: Message) -> None:
    if message.form.get("ContentRetention") == "discard":
        message.resource["body"] = ""
    if message.form.get("AddressRetention") == "obfuscate":
        message.resource["to"] = message.form["To"][:-4] + "XXXX"


def _chosen(message: Message, query: dict[str, list[str]]) -> bool:
    if "To" in query and message.resource["to"] != query["To"][0]:
        return False
    day = message.sent.date().isoformat() if message.sent else ""
    return (
        ("DateSent" not in query or day == query["DateSent"][0])
        and ("DateSent>" not in query or day >= query["DateSent>"][0])
        and ("DateSent<" not in query or (bool(day) and day <= query["DateSent<"][0]))
    )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    simulator: TwilioSimulator


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        pass

    def do_POST(self) -> None:
        self._answer("POST")

    def do_GET(self) -> None:
        self._answer("GET")

    def _answer(self, method: str) -> None:
        simulator = self.server.simulator
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        simulator.requests.append((method, self.path))
        fault = simulator.faults.popleft() if simulator.faults else Fault()
        if fault.wait:
            time.sleep(fault.wait)
        if fault.status:
            code = fault.code or {429: 20429, 503: 20503}.get(fault.status, 20500)
            status, answer = error(fault.status, code, "told to fail")
            raw = json.dumps(answer).encode() if fault.raw is None else fault.raw
            return self._write(status, raw, fault.headers)
        status, answer = self._do(method, dict(parse_qsl(body, keep_blank_values=True)))
        if fault.reset:
            return self._reset()
        raw = json.dumps(answer).encode() if fault.raw is None else fault.raw
        return self._write(status, raw, fault.headers)

    def _do(self, method: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        url = urlsplit(self.path)
        basic = base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
        messages = f"/{API}/Accounts/{ACCOUNT}/Messages"
        if self.headers.get("Authorization") != f"Basic {basic}":
            return error(401, 20003, "Authenticate")
        if url.path == f"{messages}.json" and method == "POST":
            return self.server.simulator.create(form)
        if url.path == f"{messages}.json":
            return 200, self.server.simulator.listed(parse_qs(url.query), url.path)
        if url.path == f"/{API}/Accounts/{ACCOUNT}.json" and method == "GET":
            return 200, {"sid": ACCOUNT, "status": self.server.simulator.account_status}
        sid = url.path.removeprefix(f"{messages}/").removesuffix(".json")
        if sid in self.server.simulator.messages:
            return 200, self.server.simulator.messages[sid].resource
        return error(404, 20404, f"The requested resource {url.path} was not found")

    def _write(self, status: int, raw: bytes, headers: dict[str, str]) -> None:
        # A client that has stopped waiting is no fault of the server.
        with contextlib.suppress(ConnectionError):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

    def _reset(self) -> None:
        # SO_LINGER with zero seconds makes close() send RST instead of FIN.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True
        self.wfile = _Nowhere()  # type: ignore[assignment]  # what is flushed at the end goes nowhere
        self.rfile = _Nowhere()  # type: ignore[assignment]


class _Nowhere:
    closed = False

    def flush(self) -> None: ...

    def close(self) -> None: ...


@contextlib.contextmanager
def simulator() -> Iterator[TwilioSimulator]:
    with TwilioSimulator() as running:
        yield running


def main() -> None:
    """Run by hand, for a benchmark or a trial: print the address and serve until interrupted."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    with simulator() as running, contextlib.suppress(KeyboardInterrupt):
        print(running.url, flush=True)  # noqa: T201 - it is what the caller waits for
        threading.Event().wait()


if __name__ == "__main__":
    main()
