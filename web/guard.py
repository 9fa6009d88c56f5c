"""Protects every page: headers, the origin of a change, the size of a body, the host's name."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LONGEST_BODY = 256 * 1024
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
#: Of a page in the clear; browsers keep ``__Host-`` cookies to TLS.
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]", "testserver"})


def policy(nonce: str) -> str:
    """The content security policy: nothing but our own files, and scripts by their nonce."""
    return "; ".join((
        "default-src 'none'",
        f"script-src 'nonce-{nonce}' 'strict-dynamic'",
        "style-src 'self'",
        "img-src 'self' data:",  # Bootstrap's own icons are data: URLs in its style sheet
        "font-src 'self'",
        "connect-src 'self'",
        "worker-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ))  # fmt: skip


#: Besides the content security policy (OWASP Secure Headers).
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
STRICT_TRANSPORT = "max-age=31536000; includeSubDomains"


@dataclass(frozen=True)
class Guard:
    """
    ASGI middleware. ``refuse`` makes the page of an error: request, code of the error.

    ``hosts``: the names that the face is reached by; others are refused, so that a page of
    somebody else cannot be pointed at us by DNS.
    """

    app: ASGIApp
    refuse: Callable[[Request, str], Response]
    hosts: Collection[str]
    longest_body: int = LONGEST_BODY
    https: bool = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["nonce"] = secrets.token_urlsafe(16)
        state["trace"] = secrets.token_hex(6)
        is_https = self.https or scope["scheme"] == "https"
        sent = _with_headers(send, state["nonce"], is_https=is_https)
        code = self._why_refused(scope)
        if code is not None:
            await self.refuse(Request(scope), code)(scope, receive, sent)
            return
        await self.app(scope, _limited(receive, self.longest_body), sent)

    def _why_refused(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        name, _, port = host.rpartition(":")
        # A port and nothing else: addresses of ours are made from this header.
        if host not in self.hosts and not (name in self.hosts and port.isdecimal()):
            return "E9421"
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self.longest_body:
            return "E9413"
        if scope["method"] not in SAFE_METHODS and not _from_our_own_page(headers, host):
            return "E9403"
        return None


def _from_our_own_page(headers: Headers, host: str) -> bool:
    """
    Whether a change comes from a page of ours, or from a program that carries its own token.

    Browsers say so themselves (Fetch Metadata); where one does not, its Origin is compared. What
    is sent with a bearer token is no forgery: no browser adds one by itself.
    """
    if headers.get("authorization", "").startswith("Bearer ") and "cookie" not in headers:
        return True
    site = headers.get("sec-fetch-site")
    if site is None and "origin" not in headers and "cookie" not in headers:
        return True  # no browser: it has nothing of a reader's that could be misused
    if site is not None:
        return site == "same-origin"
    origin = headers.get("origin", "")
    return origin.partition("://")[2] == host and origin != ""


def _limited(receive: Receive, longest: int) -> Receive:
    """Count what comes in: a body that is sent in chunks says no length before."""
    count = 0

    async def limited() -> Message:
        nonlocal count
        message = await receive()
        count += len(message.get("body", b""))
        if count > longest:
            raise HTTPException(413)
        return message

    return limited


def _with_headers(send: Send, nonce: str, *, is_https: bool) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Content-Security-Policy"] = policy(nonce)
            for name, value in HEADERS.items():
                headers[name] = value
            if is_https:
                headers["Strict-Transport-Security"] = STRICT_TRANSPORT
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return sent
