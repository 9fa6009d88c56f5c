"""What the world may fetch or post: CRL and OCSP, reports on text messages, and signs of life."""

from __future__ import annotations

import logging
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from producers.messages import reported
from renewal.errors import XuqiError
from renewal.gateways.ca import http as ca_http
from renewal.gateways.sms.callback import BadCallbackError, callback_url, read, verified
from renewal.store.again import decides_again
from xuqi.places import AddressError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from renewal.gateways.ca.http import Answer, Publisher
    from renewal.store.engine import Store

log = logging.getLogger(__name__)

LONGEST = 64 * 1024  #: bytes of a request
SMS_STATUS = "/sms-status/"


class Headers(Protocol):
    def get(self, name: str, /) -> str | None: ...


class Answering(Protocol):
    def answer(self, method: str, path: str, headers: Headers, body: bytes) -> Answer: ...


@dataclass(frozen=True, kw_only=True)
class Site:
    """
    Answers requests. ``token``: the carrier's, by which its callbacks are known; none: no carrier.
    """

    store: Store
    public: str
    ca: Publisher | None
    token: str | None
    troubles: Callable[[], Sequence[str]]

    def answer(self, method: str, path: str, headers: Headers, body: bytes) -> Answer:
        place = urlsplit(path).path if path.startswith("/") else path
        signs = sign_of_life(place, self.troubles)
        if signs is not None:
            return signs
        if place.startswith(SMS_STATUS):
            return self._sms_status(method, unquote(place.removeprefix(SMS_STATUS)), headers, body)
        answered = ca_http.answer(self.ca, method, path, body) if self.ca else None
        return answered or _text(HTTPStatus.NOT_FOUND)

    def _sms_status(self, method: str, message: str, headers: Headers, body: bytes) -> Answer:
        if method != "POST":
            return _text(HTTPStatus.METHOD_NOT_ALLOWED)
        form = _form(body)
        if self.token is None or form is None or not self._signed(message, form, headers):
            return _text(HTTPStatus.FORBIDDEN)
        try:
            known = self._on_record(message, form)
        except BadCallbackError:
            return _text(HTTPStatus.BAD_REQUEST)
        except XuqiError:  # not on record: the carrier is asked for it later
            return _text(HTTPStatus.SERVICE_UNAVAILABLE)
        return (HTTPStatus.NO_CONTENT, "", b"") if known else _text(HTTPStatus.FORBIDDEN)

    def _signed(self, message: str, form: list[tuple[str, str]], headers: Headers) -> bool:
        # Our own address, never the one that the request claims to have come to.
        return verified(
            callback_url(self.public, message),
            form,
            headers.get("X-Twilio-Signature"),
            self.token or "",
            settings=headers.get("X-Twilio-Webhooks-Signature-Settings"),
        )

    @decides_again
    def _on_record(self, message: str, form: list[tuple[str, str]]) -> bool:
        """
        Answer whether this is a message of ours, and the one that the carrier has of it.
        """
        told = read(form)
        with self.store.work() as work:
            row = work.messages.find(message)
            if row is None or row.carrier_id not in {None, told.carrier_id}:
                return False
            reported(work, message, told.report, told.code, carrier_id=told.carrier_id)
        return True


def sign_of_life(place: str, troubles: Callable[[], Sequence[str]]) -> Answer | None:
    """
    ``/livez``: the process answers; ``/readyz``: nothing troubles it, or what does.
    """
    if place == "/livez":
        return _text(HTTPStatus.OK)
    if place != "/readyz":
        return None
    found = troubles()
    if not found:
        return _text(HTTPStatus.OK)
    return HTTPStatus.SERVICE_UNAVAILABLE, ca_http.TEXT, "\n".join([*found, ""]).encode()


def _form(body: bytes) -> list[tuple[str, str]] | None:
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100)
    except ValueError:
        return None


def _text(status: HTTPStatus) -> Answer:
    return status, ca_http.TEXT, f"{status.value} {status.phrase}\n".encode()


class Server(ThreadingHTTPServer):
    daemon_threads = True  # a client that keeps its connection does not keep the process
    allow_reuse_address = True

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - its names
        # One line: a client that goes away in the middle is nothing to look at.
        log.warning("a request was not answered: %s", type(sys.exception()).__name__)


@contextmanager
def listening(
    site: Answering, host: str, port: int, *, setting: str = "XUQI_PORT"
) -> Iterator[int]:
    """
    Answer in a thread of its own; yield the port. ``setting``: where the port stands.

    Raises:
        AddressError
    """
    answering = server(site, host, port, setting=setting)
    thread = threading.Thread(target=answering.serve_forever, args=(0.1,), name="http", daemon=True)
    thread.start()
    try:
        yield answering.server_address[1]
    finally:
        answering.shutdown()
        answering.server_close()
        thread.join()


def server(site_: Answering, host: str, port: int, *, setting: str = "XUQI_PORT") -> Server:
    """
    Raises:
        AddressError
    """

    class Handler(_Handler):
        site = site_

    try:
        return Server((host, port), Handler)
    except OSError as error:
        raise AddressError(
            f"cannot listen on {host}:{port} ({error.strerror}): set XUQI_HOST and {setting}"
        ) from error


class _Handler(BaseHTTPRequestHandler):
    site: ClassVar[Answering]
    protocol_version = "HTTP/1.1"
    server_version = "xuqi"
    sys_version = ""
    timeout = 10  #: seconds; whoever sends slower is cut off

    def do_GET(self) -> None:
        self._send(self.site.answer("GET", self.path, self.headers, b""))

    def do_HEAD(self) -> None:
        self._send(self.site.answer("HEAD", self.path, self.headers, b""))

    def do_POST(self) -> None:
        given = self.headers.get("Content-Length", "")
        if not (given.isascii() and given.isdigit()):
            self._refuse(HTTPStatus.LENGTH_REQUIRED)
        elif len(given) > len(str(LONGEST)) or int(given) > LONGEST:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            body = self.rfile.read(int(given))
            self._send(self.site.answer("POST", self.path, self.headers, body))

    def _refuse(self, status: HTTPStatus) -> None:
        # The body was not read: what follows on this connection would be taken for a request.
        self.close_connection = True
        self._send(_text(status))

    def _send(self, answered: Answer) -> None:
        status, kind, body = answered
        self.send_response(status)
        if status != HTTPStatus.NO_CONTENT:  # RFC 9110, 8.6: it has no length
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """
        Keep quiet: a line would hold the serial of a customer's certificate.
        """
