"""Serves the CA's public files: certificates, CRLs and OCSP answers."""

from __future__ import annotations

import base64
import binascii
import hashlib
import time
from datetime import timedelta
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

from cryptography import x509
from cryptography.x509 import ocsp

from renewal.errors import GatewayUnavailableError
from renewal.gateways.ca.embedded.ocsp import LONGEST

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CERTIFICATE: Final = "application/pkix-cert"  #: RFC 2585, 4
CRL: Final = "application/pkix-crl"
OCSP: Final = "application/ocsp-response"  #: RFC 6960, appendix A
TEXT: Final = "text/plain; charset=utf-8"
#: Whoever keeps an answer learns of a revocation no later than this after it is published.
LONGEST_KEPT: Final = timedelta(hours=1)
A_DAY: Final = timedelta(days=1)
_OCSP_PATH: Final = "/ocsp"
_QUOTED: Final = 2  #: times at most
_ALPHABET: Final = str.maketrans("-_ ", "+/+")


class HttpAnswer(NamedTuple):
    """One answer; ``headers`` stand beside its type and length."""

    status: int
    kind: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class CaPublisher(Protocol):
    """A CA that publishes by itself."""

    @property
    def root_certificate(self) -> bytes: ...

    @property
    def issuing_certificate(self) -> bytes: ...

    def root_crl(self) -> bytes: ...

    def crl(self) -> bytes: ...

    def ocsp(self, request: bytes) -> bytes: ...


def answer(ca: CaPublisher, method: str, path: str, body: bytes) -> HttpAnswer | None:
    """
    Answer one HTTP request; ``None`` when the path is none of the CA's.

    ``path`` is as it came, still percent-encoded; a query after it is ignored.
    """
    resource = _place(path)
    if resource == _OCSP_PATH or resource.startswith(f"{_OCSP_PATH}/"):
        return _ocsp(ca, method, resource, body)
    if resource in _FILES:
        return _file(ca, method, resource)
    return None


def _place(path: str) -> str:
    """Return the path, also of a request in absolute form as proxies send (RFC 9112, 3.2.2)."""
    if path.lower().startswith(("http://", "https://")):
        path = urlsplit(path).path
    return f"/{path.partition('?')[0].lstrip('/')}" if path.startswith("/") else path


def _file(ca: CaPublisher, method: str, resource: str) -> HttpAnswer:
    if method not in ("GET", "HEAD"):
        return _error(HTTPStatus.METHOD_NOT_ALLOWED)
    try:
        return _FILES[resource](ca)
    except GatewayUnavailableError:
        return _error(HTTPStatus.SERVICE_UNAVAILABLE)


_FILES: Final[Mapping[str, Callable[[CaPublisher], HttpAnswer]]] = {
    "/ca/root.crt": lambda ca: _kept(CERTIFICATE, ca.root_certificate),
    "/ca/root.crl": lambda ca: _kept(CRL, ca.root_crl()),
    "/ca/issuing.crt": lambda ca: _kept(CERTIFICATE, ca.issuing_certificate),
    "/ca/issuing.crl": lambda ca: _kept(CRL, ca.crl()),
}


def _kept(kind: str, body: bytes) -> HttpAnswer:
    """With the headers by which caches know how long they may keep it (RFC 9111; RFC 5019, 6.2)."""
    begins, lasts = _life(kind, body)
    if lasts is None:
        return HttpAnswer(HTTPStatus.OK, kind, body, (("Cache-Control", "no-store"),))
    seconds = int(lasts.total_seconds())
    headers = (
        ("Cache-Control", f"public, no-transform, must-revalidate, max-age={seconds}"),
        ("Expires", formatdate(time.time() + seconds, usegmt=True)),
        ("Last-Modified", formatdate(begins, usegmt=True)),
        ("ETag", f'"{_digest(body)}"'),
    )
    return HttpAnswer(HTTPStatus.OK, kind, body, headers)


@lru_cache(maxsize=64)
def _life(kind: str, body: bytes) -> tuple[float, timedelta | None]:
    """
    When it began, and how long it may be kept: half of its life at most, as the next one is
    published then. ``None``: not at all.
    """
    if kind == CERTIFICATE:
        return x509.load_der_x509_certificate(body).not_valid_before_utc.timestamp(), A_DAY
    if kind == CRL:
        crl = x509.load_der_x509_crl(body)
        begins, ends = crl.last_update_utc, crl.next_update_utc
    else:
        answered = ocsp.load_der_ocsp_response(body)
        if answered.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            return 0.0, None
        begins, ends = answered.this_update_utc, answered.next_update_utc
    if ends is None:
        return begins.timestamp(), None
    return begins.timestamp(), min((ends - begins) / 2, LONGEST_KEPT)


@lru_cache(maxsize=64)
def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:32]


def _ocsp(ca: CaPublisher, method: str, resource: str, body: bytes) -> HttpAnswer:
    if len(body) > LONGEST:
        return _error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    if method == "POST" and resource.rstrip("/") == _OCSP_PATH:
        return _kept(OCSP, ca.ocsp(body))
    if method == "GET" and resource != _OCSP_PATH:
        return _kept(OCSP, ca.ocsp(_from_path(resource)))
    return _error(HTTPStatus.METHOD_NOT_ALLOWED)


def _from_path(resource: str) -> bytes:
    """
    Return the request in a GET (RFC 6960, A.1); no bytes, which are no request, for nonsense.

    Clients quote twice, leave the filling out, use the URL's alphabet, or let a plus become a
    blank; all of them mean the same.
    """
    text = resource.removeprefix(f"{_OCSP_PATH}/").lstrip("/")
    for _ in range(_QUOTED):
        text = unquote(text)
    plain = text.strip("=").translate(_ALPHABET)
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _error(status: HTTPStatus) -> HttpAnswer:
    return HttpAnswer(status, TEXT, f"{status.value} {status.phrase}\n".encode())
