"""The public endpoints: CRL and OCSP, status callbacks, health."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from producers.messages import reported
from renewal.db.retry import retry_on_conflict
from renewal.errors import XuqiError
from renewal.gateways.ca.embedded import http as ca_http
from renewal.gateways.ca.embedded.http import HttpAnswer
from renewal.gateways.sms.callback import BadCallbackError, callback_url, read, verified

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence

    from renewal.db.engine import Store
    from renewal.gateways.ca.embedded.http import CaPublisher
    from xuqi.serving.http import AsgiApp

log = logging.getLogger(__name__)

LIVE, READY = "/livez", "/readyz"
WORKERS = 8  #: threads in which answers are made
SMS_STATUS = "/sms-status/"
PATHS = ("/livez", "/sms-status", "/ca", "/ocsp")  #: under which this site answers


class Headers(Protocol):
    def get(self, name: str, /) -> str | None: ...


class Answering(Protocol):
    def answer(self, method: str, path: str, headers: Headers, body: bytes) -> HttpAnswer: ...


@dataclass(frozen=True, kw_only=True)
class PublicSite:
    """
    Answers requests. ``token``: the carrier's, by which its callbacks are known; none: no carrier.
    """

    store: Store
    public: str
    ca: CaPublisher | None
    token: str | None

    def answer(self, method: str, path: str, headers: Headers, body: bytes) -> HttpAnswer:
        route = urlsplit(path).path if path.startswith("/") else path
        if route == LIVE:
            return _text(HTTPStatus.OK)
        report = self._message_reported_at(route)
        if report is not None:
            return self._sms_status(method, report, headers, body)
        answered = ca_http.answer(self.ca, method, path, body) if self.ca else None
        return answered or _text(HTTPStatus.NOT_FOUND)

    def _message_reported_at(self, route: str) -> str | None:
        """
        The message that a status report is about. A proxy may leave the path of the public address
        or take it off.
        """
        before = urlsplit(self.public).path.rstrip("/")
        for start in {SMS_STATUS, f"{before}{SMS_STATUS}"}:
            if route.startswith(start):
                return unquote(route.removeprefix(start))
        return None

    def _sms_status(self, method: str, message: str, headers: Headers, body: bytes) -> HttpAnswer:
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
        return HttpAnswer(HTTPStatus.NO_CONTENT, "", b"") if known else _text(HTTPStatus.FORBIDDEN)

    def _signed(self, message: str, form: list[tuple[str, str]], headers: Headers) -> bool:
        # Our own address, never the one that the request claims to have come to.
        return verified(
            callback_url(self.public, message),
            form,
            headers.get("X-Twilio-Signature"),
            self.token or "",
            settings=headers.get("X-Twilio-Webhooks-Signature-Settings"),
        )

    @retry_on_conflict
    def _on_record(self, message: str, form: list[tuple[str, str]]) -> bool:
        """Answer whether this is a message of ours, and the one that the carrier has of it."""
        sent = read(form)
        with self.store.transaction() as work:
            row = work.messages.find(message)
            if row is None or row.carrier_id not in {None, sent.carrier_id}:
                return False
            reported(work, message, sent.report, sent.code, carrier_id=sent.carrier_id)
        return True


def health(route: str, troubles: Callable[[], Sequence[str]]) -> HttpAnswer | None:
    """
    ``/livez``: the process answers. ``/readyz``: it is ready, or what keeps it from that; for the
    bank's own network only, because it names what the process depends on.
    """
    if route == LIVE:
        return _text(HTTPStatus.OK)
    if route != READY:
        return None
    found = troubles()
    if not found:
        return _text(HTTPStatus.OK)
    return HttpAnswer(
        HTTPStatus.SERVICE_UNAVAILABLE, ca_http.TEXT, "\n".join([*found, ""]).encode()
    )


def _form(body: bytes) -> list[tuple[str, str]] | None:
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100)
    except ValueError:
        return None


def _text(status: HTTPStatus) -> HttpAnswer:
    return HttpAnswer(status, ca_http.TEXT, f"{status.value} {status.phrase}\n".encode())


def application(site: Answering, *, workers: int = WORKERS) -> AsgiApp:
    """An ASGI application of what answers; each answer is made in one of a few threads."""
    pool = ThreadPoolExecutor(workers, thread_name_prefix="http")

    async def answer(
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        body = await _whole(receive)
        if body is None:
            return
        path = scope["raw_path"].decode("ascii")
        headers = _Headers(scope["headers"])
        loop = asyncio.get_running_loop()
        try:
            answered = await loop.run_in_executor(
                pool, site.answer, scope["method"], path, headers, body
            )
        except Exception as error:
            log.warning("a request was not answered: %s", type(error).__name__)
            raise  # uvicorn answers 500
        await _send(answered, send)

    return answer


class _Headers:
    def __init__(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        self._found = {name.decode("latin-1"): value.decode("latin-1") for name, value in pairs}

    def get(self, name: str, /) -> str | None:
        return self._found.get(name.lower())


async def _whole(receive: Callable[[], Awaitable[MutableMapping[str, Any]]]) -> bytes | None:
    """The body; ``None``: the client has gone."""
    parts, more = [], True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


async def _send(
    answered: HttpAnswer, send: Callable[[MutableMapping[str, Any]], Awaitable[None]]
) -> None:
    status, kind, body, more = answered
    headers = [(name.encode(), value.encode()) for name, value in more]
    if status != HTTPStatus.NO_CONTENT:  # RFC 9110, 8.6: it has no length
        headers += [(b"content-type", kind.encode()), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": body})
