"""Serves what anybody may fetch from the CA: its certificates, CRLs and OCSP answers."""

from __future__ import annotations

import base64
import binascii
import socket
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, ClassVar, Final, Protocol
from urllib.parse import unquote, urlsplit

from renewal.errors import GatewayUnavailableError
from renewal.gateways.ca.ocsp import LONGEST

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Answer = tuple[int, str, bytes]  #: status, content type, body

CERTIFICATE: Final = "application/pkix-cert"  #: RFC 2585, 4
CRL: Final = "application/pkix-crl"
OCSP: Final = "application/ocsp-response"  #: RFC 6960, appendix A
TEXT: Final = "text/plain; charset=utf-8"
LINGER: Final = 1.0  #: seconds to wait for more of a body that is refused
LINGER_BLOCKS: Final = 128  #: how many times 8 KiB of it are read at most
_OCSP_PATH: Final = "/ocsp"


class Publisher(Protocol):
    """
    A CA that publishes by itself.
    """

    @property
    def root_certificate(self) -> bytes: ...

    @property
    def issuing_certificate(self) -> bytes: ...

    def root_crl(self) -> bytes: ...

    def crl(self) -> bytes: ...

    def ocsp(self, request: bytes) -> bytes: ...


def answer(ca: Publisher, method: str, path: str, body: bytes) -> Answer | None:
    """
    Answer one HTTP request; ``None`` when the path is none of the CA's.

    ``path`` is as it came, still percent-encoded; a query after it is ignored.
    """
    place = urlsplit(path).path if path.startswith("/") else path
    if place == _OCSP_PATH or place.startswith(f"{_OCSP_PATH}/"):
        return _ocsp(ca, method, place, body)
    if place in _FILES:
        return _file(ca, method, place)
    return None


def _file(ca: Publisher, method: str, place: str) -> Answer:
    if method not in ("GET", "HEAD"):
        return _error(HTTPStatus.METHOD_NOT_ALLOWED)
    try:
        return _FILES[place](ca)
    except GatewayUnavailableError:
        return _error(HTTPStatus.SERVICE_UNAVAILABLE)


_FILES: Final[Mapping[str, Callable[[Publisher], Answer]]] = {
    "/ca/root.crt": lambda ca: (HTTPStatus.OK, CERTIFICATE, ca.root_certificate),
    "/ca/root.crl": lambda ca: (HTTPStatus.OK, CRL, ca.root_crl()),
    "/ca/issuing.crt": lambda ca: (HTTPStatus.OK, CERTIFICATE, ca.issuing_certificate),
    "/ca/issuing.crl": lambda ca: (HTTPStatus.OK, CRL, ca.crl()),
}


def _ocsp(ca: Publisher, method: str, place: str, body: bytes) -> Answer:
    if len(body) > LONGEST:
        return _error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    if method == "POST" and place == _OCSP_PATH:
        return HTTPStatus.OK, OCSP, ca.ocsp(body)
    if method == "GET" and place != _OCSP_PATH:
        return HTTPStatus.OK, OCSP, ca.ocsp(_from_path(place))
    return _error(HTTPStatus.METHOD_NOT_ALLOWED)


def _from_path(place: str) -> bytes:
    """
    Return the request in a GET (RFC 6960, A.1); no bytes, which are no request, for nonsense.
    """
    try:
        return base64.b64decode(unquote(place.removeprefix(f"{_OCSP_PATH}/")), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _error(status: HTTPStatus) -> Answer:
    return status, TEXT, f"{status.value} {status.phrase}\n".encode()


def handler(ca: Publisher) -> type[BaseHTTPRequestHandler]:
    """
    Return a handler class for ``http.server.ThreadingHTTPServer``.
    """

    class Handler(_Handler):
        publisher = ca

    return Handler


class _Handler(BaseHTTPRequestHandler):
    publisher: ClassVar[Publisher]
    protocol_version = "HTTP/1.1"
    server_version = "xuqi-ca"
    sys_version = ""
    timeout = 10  #: seconds; whoever sends slower is cut off

    def do_GET(self) -> None:
        self._send(answer(self.publisher, "GET", self.path, b""))

    def do_HEAD(self) -> None:
        self._send(answer(self.publisher, "HEAD", self.path, b""))

    def do_POST(self) -> None:
        length = self._length()
        if length is None:
            self._refuse(HTTPStatus.LENGTH_REQUIRED)
        elif length > LONGEST:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            self._send(answer(self.publisher, "POST", self.path, self.rfile.read(length)))

    def _length(self) -> int | None:
        given = self.headers.get("Content-Length", "")
        return int(given) if given.isascii() and given.isdigit() else None

    def _refuse(self, status: HTTPStatus) -> None:
        # The body was not read: what follows on this connection would be taken for a request.
        self.close_connection = True
        self._send(_error(status))
        self._linger()

    def _linger(self) -> None:
        """
        Let the other side read the answer before the connection goes.

        Closing with unread bytes resets it, and the answer may be lost (RFC 9112, 9.6).
        """
        self.connection.settimeout(LINGER)
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            for _ in range(LINGER_BLOCKS):
                if not self.connection.recv(LONGEST):
                    break

    def _send(self, answered: Answer | None) -> None:
        status, kind, body = answered or _error(HTTPStatus.NOT_FOUND)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- its name there
        """
        Keep quiet: a line would hold the serial of a customer's certificate.
        """
