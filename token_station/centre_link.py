"""Reaches the centre over HTTPS: takes the branch's jobs by long polls, and says what was done."""

from __future__ import annotations

import base64
import http.client
import logging
import queue
import secrets
import ssl
import threading
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from renewal.errors import XuqiError
from renewal.eventlog.port import LogUnavailableError, Record
from renewal.rules.station_link import (
    EnrolmentRequest,
    LinkError,
    SignedRequest,
    body_hash,
    check_jobs,
)
from schema.codec import encode

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import timedelta

    from renewal.clock import Clock
    from renewal.rules.statements import StationIdentity
    from schema.events import Event

log = logging.getLogger(__name__)

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
ANSWERS_WITHIN = 10.0  #: seconds
LONG_POLL = 20  #: seconds that the centre may wait for a new job
TRY_AGAIN = 2.0  #: seconds after the centre was not reached
LARGEST = 8 * 1024 * 1024
OK = 200
NONCE = 24  #: bytes


class CentreUrlError(XuqiError):
    """
    The centre's address cannot be used.
    """


class CentreLink:
    """
    The log as a station without a database sees it: an ``EventLog`` and its own ``Reader``.

    What cannot be said now raises ``LogUnavailableError``: the journal has it, and says it later.
    """

    def __init__(
        self,
        url: str,
        identity: StationIdentity,
        *,
        centre: bytes,
        clock: Clock,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" and parts.hostname not in LOOPBACK:
            raise CentreUrlError(f"{url}: a station reaches its centre by https alone")
        self._parts = parts
        self._identity = identity
        self._centre = centre
        self._clock = clock
        self._tls = tls or (ssl.create_default_context() if parts.scheme == "https" else None)
        self._pages: queue.Queue[Sequence[Record]] = queue.Queue(maxsize=1)
        self._given: Sequence[Record] = ()  # and not committed yet
        self._down: LogUnavailableError | None = None  # while the centre is not reached
        self._acknowledged: int | None = None
        self._committed = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    # -- the log -------------------------------------------------------------

    def append(self, events: Sequence[Event]) -> None:
        for event in events:
            self._ask("POST", "/stations/v1/statements", encode(event))

    def reader(
        self, group: str, topics: Collection[str], *, exclude: Collection[str] = ()
    ) -> CentreLink:
        """The centre knows by the station's key what is for it."""
        del group, topics, exclude
        return self

    def enrol(self, code: str) -> None:
        """
        Make this station known to the centre by a code of its branch.

        Raises:
            LogUnavailableError: the centre was not reached, or does not take the code.
        """
        own = self._identity
        asked = EnrolmentRequest(
            branch=own.branch, public_key=base64.b64encode(own.public).decode(), code=code
        )
        self._ask("POST", "/stations/v1/enrolments", msgspec.json.encode(asked))

    # -- its reader ----------------------------------------------------------

    def poll(self, at_most: int, wait: timedelta) -> Sequence[Record]:
        if self._thread is None:
            self._thread = threading.Thread(target=self._fetch, name="centre", daemon=True)
            self._thread.start()
        del at_most  # the centre sends a hundred at most
        if self._given:
            return self._given
        with suppress(queue.Empty):
            self._given = self._pages.get(timeout=wait.total_seconds() or None, block=bool(wait))
            return self._given
        if self._down is not None:
            raise LogUnavailableError(str(self._down))
        return ()

    def settle(self, last: Record, work: object) -> None:
        """
        A station has no transaction.
        """

    def commit(self, last: Record) -> None:
        self._acknowledged = last.position
        self._given = ()
        self._committed.set()

    def close(self) -> None:
        self._stop.set()
        self._committed.set()

    def _fetch(self) -> None:
        while not self._stop.is_set():
            try:
                page = self._next_page()
            except LogUnavailableError as error:
                self._down = error
                self._stop.wait(TRY_AGAIN)
                continue
            self._down = None
            if page:
                self._committed.clear()
                self._pages.put(page)
                self._committed.wait()  # one page at a time: the next one is behind this

    def _next_page(self) -> Sequence[Record]:
        behind = "" if self._acknowledged is None else f"&ack={self._acknowledged}"
        body = self._ask("GET", f"/stations/v1/jobs?wait={LONG_POLL}{behind}", b"", LONG_POLL)
        try:
            return msgspec.json.decode(body, type=list[Record])
        except msgspec.MsgspecError as error:
            raise LogUnavailableError("the centre's answer cannot be read") from error

    # -- the connection ------------------------------------------------------

    def _ask(self, method: str, path: str, body: bytes, waits: float = 0.0) -> bytes:
        target = self._parts.path.rstrip("/") + path
        request = SignedRequest(
            station=self._identity.number,
            method=method,
            target=path,
            nonce=secrets.token_urlsafe(NONCE),
            at=self._clock.now(),
            body_sha256=body_hash(body),
        )
        headers = {
            "X-Xuqi-Station": request.station,
            "X-Xuqi-Nonce": request.nonce,
            "X-Xuqi-At": request.at.isoformat(),
            "X-Xuqi-Signature": request.signature(self._identity.private),
            "Content-Type": "application/json",
        }
        try:
            answer, signature, status = self._exchange(method, target, body, headers, waits)
        except (OSError, http.client.HTTPException) as error:
            raise LogUnavailableError(
                f"the centre is not reached ({type(error).__name__})"
            ) from error
        if status != OK:
            raise LogUnavailableError(f"the centre answered {status}: is this station enrolled?")
        try:
            check_jobs(
                signature,
                self._centre,
                station=request.station,
                nonce=request.nonce,
                body=answer,
            )
        except LinkError as error:
            raise LogUnavailableError("the answer is not signed by the centre") from error
        return answer

    def _exchange(
        self, method: str, target: str, body: bytes, headers: dict[str, str], waits: float
    ) -> tuple[bytes, str, int]:
        host, port = self._parts.hostname or "", self._parts.port
        seconds = ANSWERS_WITHIN + waits
        connection = (
            http.client.HTTPSConnection(host, port, timeout=seconds, context=self._tls)
            if self._tls is not None
            else http.client.HTTPConnection(host, port, timeout=seconds)
        )
        try:
            connection.request(method, target, body or None, headers)
            answer = connection.getresponse()
            return answer.read(LARGEST), answer.getheader("X-Xuqi-Signature", ""), answer.status
        finally:
            connection.close()
