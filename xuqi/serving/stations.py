"""Bridges stations that have no database to the log: jobs out, signed; statements in, checked."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import Response

from renewal.db.retry import retry_on_conflict
from renewal.rules import statements
from renewal.rules.station_link import (
    FRESH,
    EnrolmentRequest,
    LinkError,
    SignedRequest,
    body_hash,
    centre_key,
    code_hash,
    jobs_signature,
)
from renewal.store import stations as queries
from schema.codec import UnreadableEventError, decode
from schema.events import StationEnrolled, TokenEvent, Topic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from renewal.db.engine import Store
    from renewal.eventlog.port import EventLog, LogReader, Record
    from renewal.secret import Secret
    from renewal.store.stations import EnrolledStation

log = logging.getLogger(__name__)

AT_MOST = 100  #: jobs of one answer
LONGEST_WAIT = 25.0  #: seconds
UNKNOWN, REFUSED = 401, 422


@dataclass
class _StationInLog:
    """
    One station's place in the log.
    """

    reader: LogReader
    lock: threading.Lock = field(default_factory=threading.Lock)
    given: Sequence[Record] = ()


@dataclass
class StationBridge:
    store: Store
    log: EventLog
    stations_keys: Callable[
        [], Mapping[int, Secret]
    ]  #: the newest, and those that stations may still hold
    _by_number: dict[str, _StationInLog] = field(default_factory=dict)
    _nonces: dict[str, datetime] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def app(self) -> FastAPI:
        app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
        app.add_api_route("/v1/jobs", self.jobs, methods=["GET"])
        app.add_api_route("/v1/statements", self.statements, methods=["POST"])
        app.add_api_route("/v1/enrolments", self.enrolments, methods=["POST"])
        app.add_exception_handler(LinkError, _unknown)
        return app

    def close(self) -> None:
        for in_log in self._by_number.values():
            in_log.reader.close()

    async def jobs(self, request: Request, wait: float = 0.0, ack: int | None = None) -> Response:
        """
        What is behind the last position that the station has acknowledged.
        """
        return await run_in_threadpool(self._jobs, request, wait, ack)

    async def statements(self, request: Request) -> Response:
        body = await request.body()
        return await run_in_threadpool(self._statement, request, body)

    async def enrolments(self, request: Request) -> Response:
        body = await request.body()
        return await run_in_threadpool(self._enrolment, request, body)

    def _enrolment(self, request: Request, body: bytes) -> Response:
        """
        A station that has its branch's code is known from now on by the key that has signed.

        Raises:
            LinkError: the request is not signed by that key, or the code opens nothing.
        """
        try:
            wanted = msgspec.json.decode(body, type=EnrolmentRequest)
        except msgspec.MsgspecError as error:
            raise LinkError("no request to enrol") from error
        public = wanted.public
        number = statements.number_of(public)
        with self.store.snapshot() as look:
            now = look.at
        asked, signature = _asked(request, body)
        if asked.station != number:
            raise LinkError("the request names another key")
        asked.check(signature, public, now=now)
        enrolled_by_code(self.store, wanted, number)
        self._remember(asked.nonce, now)  # only now: anybody can sign with a key of their own
        return self._answer(request, number, b"{}")

    def _jobs(self, request: Request, wait: float, ack: int | None) -> Response:
        station = self._station(request, b"")
        in_log = self._in_log(station)
        with in_log.lock:
            self._acknowledge(in_log, ack)
            in_log.given = in_log.reader.poll(AT_MOST, timedelta(seconds=min(wait, LONGEST_WAIT)))
            return self._answer(request, station.number, msgspec.json.encode(in_log.given))

    def _statement(self, request: Request, body: bytes) -> Response:
        """
        A statement that was sent twice is one fact: the log and the inbox know it by its identity.
        """
        station = self._station(request, body)
        try:
            event = decode(body)
        except UnreadableEventError:
            return self._refused(station, "unreadable")
        if not isinstance(event, TokenEvent) or event.station != station.number:
            return self._refused(station, "no statement of this station")
        try:
            statements.verify(event, station.public_key)
        except statements.FalseStatementError:
            return self._refused(station, "not signed by it")
        self.log.append([event])
        return self._answer(request, station.number, b"{}")

    def _refused(self, station: EnrolledStation, why: str) -> Response:
        log.warning("statement refused", extra={"station": station.number, "why": why})
        return Response(why, status_code=REFUSED)

    # -- who asks ------------------------------------------------------------

    def _station(self, request: Request, body: bytes) -> EnrolledStation:
        """
        Raises:
            LinkError: not enrolled, revoked, too old, or seen before.
        """
        asked, signature = _asked(request, body)
        with self.store.snapshot() as look:
            station, now = queries.find(look, asked.station), look.at
        if station is None or station.revoked_at is not None:
            raise LinkError("the station is not enrolled, or revoked")
        asked.check(signature, station.public_key, now=now)
        self._remember(asked.nonce, now)
        return station

    def _remember(self, nonce: str, now: datetime) -> None:
        with self._lock:
            self._nonces = {one: at for one, at in self._nonces.items() if now - at < 2 * FRESH}
            if nonce in self._nonces:
                raise LinkError("the request was sent before")
            self._nonces[nonce] = now

    def _in_log(self, station: EnrolledStation) -> _StationInLog:
        with self._lock:
            if station.number not in self._by_number:
                topic = f"{Topic.STATIONS.value}.{station.branch}"
                reader = self.log.reader(f"station.{station.branch}.{station.number}", [topic])
                self._by_number[station.number] = _StationInLog(reader)
            return self._by_number[station.number]

    def _acknowledge(self, in_log: _StationInLog, ack: int | None) -> None:
        """
        After a restart of ours nothing was given: it is given again, and the journal knows it.
        """
        last = next((record for record in in_log.given if record.position == ack), None)
        if last is not None:
            in_log.reader.commit(last)

    def _answer(self, request: Request, number: str, body: bytes) -> Response:
        nonce = request.headers["x-xuqi-nonce"]
        signatures = [
            jobs_signature(centre_key(key), station=number, nonce=nonce, body=body)
            for key in self.stations_keys().values()
        ]
        headers = {"X-Xuqi-Signature": ",".join(signatures), "Cache-Control": "no-store"}
        return Response(body, media_type="application/json", headers=headers)


def _asked(request: Request, body: bytes) -> tuple[SignedRequest, str]:
    """
    Raises:
        LinkError: the request is not signed.
    """
    headers = request.headers
    query = f"?{request.url.query}" if request.url.query else ""
    try:
        at = datetime.fromisoformat(headers["x-xuqi-at"])
        if at.tzinfo is None:
            raise LinkError("the request's time has no offset")
        asked = SignedRequest(
            station=headers["x-xuqi-station"],
            method=request.method,
            target=request.url.path + query,
            nonce=headers["x-xuqi-nonce"],
            at=at,
            body_sha256=body_hash(body),
        )
        return asked, headers["x-xuqi-signature"]
    except (KeyError, ValueError) as error:
        raise LinkError("the request is not signed") from error


@retry_on_conflict
def enrolled_by_code(store: Store, wanted: EnrolmentRequest, number: str) -> None:
    """
    Raises:
        LinkError: the code opens nothing, or the key was enrolled and revoked before.
    """
    with store.transaction() as work:
        digest = code_hash(wanted.code)
        if not queries.use_code(work, code_hash=digest, branch=wanted.branch, number=number):
            raise LinkError("the code is not of this branch, or used, or too old")
        try:
            is_new = queries.enrol(
                work, number=number, branch=wanted.branch, public_key=wanted.public
            )
        except queries.UnknownStationError as error:
            raise LinkError("the key was enrolled before") from error
        if is_new:
            # The trail and its key are with `records`, not with what faces the world.
            work.emit(StationEnrolled(station=number, enrolled_at=work.at))


def _unknown(_request: Request, error: Any) -> Response:  # noqa: ANN401 - as starlette has it
    """
    Why not is for our log: whoever asks without being known learns nothing.
    """
    log.warning("station refused", extra={"why": str(error)})
    return Response("not known", status_code=UNKNOWN)
