"""Runs a station that has no database: jobs and statements go over the centre's port, signed."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from renewal.eventlog.port import LogUnavailableError, Record
from renewal.rules.statements import StationIdentity
from renewal.rules.station_link import SignedRequest, body_hash, centre_key
from renewal.store import audit, stations
from schema.codec import encode
from schema.events import StationDeed, StationEnrolled, TokenDeclined
from tests.scenario.rows import BRANCH
from tests.scenario.sample import CARD, open_sample
from tests.scenario.tokens import enrolled
from token_station import centre_link
from token_station.centre_link import CentreLink, CentreUrlError
from token_station.screen.audit import Trail
from token_station.screen.deeds import DeedsToTell
from token_station.station import Station
from xuqi.remote_station import station_file
from xuqi.serving import http
from xuqi.serving.stations import StationBridge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.scenario.scenario import Scenario

SOON = 120.0  #: seconds, of a loaded machine


@dataclass
class Away:
    """A centre that serves its stations, and a station that knows its address alone."""

    world: Scenario
    station: Station
    identity: StationIdentity
    port: int

    def link(self, *, centre: bytes | None = None) -> CentreLink:
        return CentreLink(
            f"http://127.0.0.1:{self.port}",
            self.identity,
            centre=centre or public_of(centre_key(self.world.app.keys.stations)),
            clock=self.world.clock,
        )

    def work(self) -> None:
        """One turn of centre and station."""
        self.world.drain()
        try:
            self.station.take(timedelta(seconds=0.05))
        except LogUnavailableError:
            time.sleep(0.05)
        self.station.work()
        self.world.drain()

    def until(self, renewal: str, *states: str) -> None:
        over = time.monotonic() + SOON
        while self.world.renewal(renewal).state not in states:
            assert time.monotonic() < over, self.world.renewal(renewal).state
            self.work()


def public_of(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Scenario]:
    made = open_sample(tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def away(world: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Away]:
    monkeypatch.setattr(centre_link, "LONG_POLL", 1)
    monkeypatch.setattr(centre_link, "TRY_AGAIN", 0.1)
    bridge = StationBridge(world.app.store, world.app.log, partial(world.app.keys.ring, "stations"))
    app = http.mounted(http.Mount(path="/stations", app=bridge.app()))
    with http.listening(app, "127.0.0.1", 0) as port:
        identity = enrolled(world.app.store, tmp_path / "station", BRANCH)
        made = Away(world, world.station(CARD), identity, port)
        made.station.identity = identity
        made.station.log = made.station.incoming = link = made.link()
        yield made
        link.close()
    bridge.close()


@pytest.mark.shows("D05", "D08")
def test_a_token_is_renewed_by_a_station_that_has_no_database(away: Away) -> None:
    renewal = away.world.requested(CARD)

    away.until(renewal.id, "activated", "done")

    old, new = away.world.certificate(CARD), away.world.renewal(renewal.id).new_certificate
    assert new is not None
    assert away.world.certificate(new).state == "active"
    assert old.state != "active"
    assert away.world.dead() == []


def test_a_job_that_the_station_could_not_note_is_given_again(
    away: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = Station._note
    failed: list[Record] = []

    def full(self: Station, record: Record) -> None:
        if not failed:
            failed.append(record)
            raise LogUnavailableError("the centre is gone while a job is being refused")
        note(self, record)

    monkeypatch.setattr(Station, "_note", full)
    renewal = away.world.requested(CARD)

    away.until(renewal.id, "activated", "done")

    assert failed


def test_a_spell_without_the_centre_loses_nothing(
    away: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewal = away.world.requested(CARD)
    exchange = CentreLink._exchange
    lost: list[str] = []

    def cut(self: CentreLink, method: str, *rest: object) -> tuple[bytes, str, int]:
        answer = exchange(self, method, *rest)  # type: ignore[arg-type]
        if method == "POST" and len(lost) < 3:
            lost.append(method)
            raise ConnectionResetError  # the centre has it, and its answer is lost
        return answer

    monkeypatch.setattr(CentreLink, "_exchange", cut)

    away.until(renewal.id, "activated", "done")

    for _ in range(20):
        away.work()
    assert len(lost) >= 2
    assert away.station.journal.open_jobs() == []
    assert away.world.dead() == []
    assert [op for op, _ in away.world.booked()].count("capture") <= 1


FAULTS = ("request cut", "answer lost", "answer doubled", "answer cut short", "slow", "refused")


class Faults:
    """One fault of the connection, at every third exchange, at most a dozen times."""

    def __init__(self, fault: str) -> None:
        self.fault = fault
        self.exchanges = self.hits = 0
        self._exchange = CentreLink._exchange

    def at(self, link: CentreLink, *asked: Any) -> tuple[bytes, str, int]:  # noqa: ANN401 - as the link asks
        self.exchanges += 1
        if self.exchanges % 3 or self.hits >= 12:
            return self._exchange(link, *asked)
        self.hits += 1
        if self.fault in {"request cut", "slow"}:  # a time-out is one, too
            raise (ConnectionResetError if self.fault == "request cut" else TimeoutError)
        if self.fault == "refused":
            return b"", "", 503
        answer = self._exchange(link, *asked)
        if self.fault == "answer doubled":  # a proxy has sent it twice: the second is refused
            self._exchange(link, *asked)
            return answer
        if self.fault == "answer cut short":
            return answer[0][:-1], answer[1], answer[2]
        raise ConnectionResetError


def with_faults(faults: Faults) -> Callable[..., tuple[bytes, str, int]]:
    """A plain function, so that it is bound to the link as the method was."""

    def exchange(link: CentreLink, *asked: Any) -> tuple[bytes, str, int]:  # noqa: ANN401 - as the link asks
        return faults.at(link, *asked)

    return exchange


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_connection_costs_time_alone(
    away: Away, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    before = issued(away)
    renewal = away.world.requested(CARD)
    faults = Faults(fault)
    monkeypatch.setattr(CentreLink, "_exchange", with_faults(faults))

    away.until(renewal.id, "activated", "done")
    while away.station.journal.open_jobs():
        away.work()

    assert faults.hits > 0
    assert away.world.dead() == []
    assert issued(away) == before + 1
    assert [op for op, _ in away.world.booked()].count("capture") == 1


def issued(away: Away) -> int:
    return sum(row["op"] == "issue" for row in away.world.outside("ca"))


def test_a_day_without_the_centre_loses_nothing_of_jobs_or_trail(
    away: Away, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trail = Trail(tmp_path / "trail.jsonl", away.world.clock)
    deeds = DeedsToTell(trail, away.station, tmp_path / "told")
    renewal = away.world.requested(CARD)
    away.until(renewal.id, "issued")
    away.station.take(timedelta(seconds=2))
    with monkeypatch.context() as patched:
        patched.setattr(CentreLink, "_exchange", cut_off)
        for hour in range(24):
            trail.record("wang", "token seen", token="029dc2d1", note=f"hour {hour}")  # noqa: S106 - a serial
            deeds.tell()
            away.station.work()
            away.world.wait(hours=1)
    written = away.station.journal.job(renewal.id)
    told_before = told_of(away)

    DeedsToTell(
        Trail(tmp_path / "trail.jsonl", away.world.clock), away.station, tmp_path / "told"
    ).tell()
    (tmp_path / "told").unlink()  # a crash between telling and noting: everything is told again
    DeedsToTell(trail, away.station, tmp_path / "told").tell()
    away.until(renewal.id, "activated", "done")

    assert written is not None
    assert written.step == "proven"
    assert told_before == []
    assert [why.rpartition(" ")[2] for why in told_of(away)] == [str(hour) for hour in range(24)]
    assert away.world.dead() == []


def cut_off(*_: object) -> tuple[bytes, str, int]:
    raise ConnectionRefusedError


def told_of(away: Away) -> list[str]:
    """What the centre's trail says of the station's clerks."""
    away.world.drain()
    with away.world.store.snapshot() as look:
        rows = list(audit.entries(look))
    return [row["why"] for row in rows if row["did"] == "station: token seen"]


def test_a_line_that_the_station_has_not_signed_is_believed_by_nobody(away: Away) -> None:
    told = StationDeed(
        renewal="", number=1, who="wang", what="token seen", note="", chain="", branch=BRANCH,
        station=away.identity.number, said_at=away.world.clock.now(), station_signature="AAAA",
    )  # fmt: skip
    away.world.app.log.append([told])

    assert told_of(away) == []
    assert [consumer for consumer, _ in away.world.dead()] == ["records"]


def newcomer(away: Away) -> tuple[StationIdentity, CentreLink]:
    """A station that the centre does not know yet."""
    identity = StationIdentity(BRANCH, Ed25519PrivateKey.generate())
    link = CentreLink(
        f"http://127.0.0.1:{away.port}",
        identity,
        centre=public_of(centre_key(away.world.app.keys.stations)),
        clock=away.world.clock,
    )
    return identity, link


def test_a_station_is_enrolled_once_by_a_code(away: Away) -> None:
    code = away.world.app.back_office.code_for_station(BRANCH, who="lin", why="a new station")
    identity, link = newcomer(away)

    link.enrol(code.lower().replace("-", " "))
    link.enrol(code)  # the answer was lost, and the station asks again
    _, other = newcomer(away)

    with pytest.raises(LogUnavailableError, match="401"):
        other.enrol(code)
    away.world.drain()
    with away.world.store.snapshot() as look:
        known = stations.find(look, identity.number)
        trail = [(row["who"], row["did"]) for row in audit.entries(look)]
    assert known is not None
    assert known.branch == BRANCH
    assert trail[-2:] == [("lin", "station code"), ("lin", "enrol station")]
    assert link._next_page() is not None


def test_an_enrolment_that_is_not_on_file_is_believed_by_nobody(away: Away) -> None:
    told = StationEnrolled(station=away.identity.number, enrolled_at=away.world.clock.now())
    away.world.app.log.append([told])
    away.world.drain()

    with away.world.store.snapshot() as look:
        trail = [row["why"] for row in audit.entries(look)]
    assert [consumer for consumer, _ in away.world.dead()] == ["records"]
    assert "by its code" not in trail


@pytest.mark.parametrize("wrong", ["late", "other branch", "guessed"])
def test_a_code_that_is_not_the_branchs_own_enrols_nobody(away: Away, wrong: str) -> None:
    branch = "002" if wrong == "other branch" else BRANCH
    code = away.world.app.back_office.code_for_station(branch, who="lin", why="a new station")
    if wrong == "late":
        away.world.wait(hours=1, seconds=1)
    identity, link = newcomer(away)

    with pytest.raises(LogUnavailableError, match="401"):
        link.enrol("AAAA-AAAA-AAAA-AAAA-AAAA" if wrong == "guessed" else code)

    with away.world.store.snapshot() as look:
        assert stations.find(look, identity.number) is None


def test_a_station_that_is_revoked_hears_nothing_more(away: Away) -> None:
    renewal = away.world.requested(CARD)
    away.world.drain()
    with away.world.app.store.transaction() as work:
        stations.revoke(work, away.identity.number)

    for _ in range(5):
        away.work()

    assert away.station.journal.job(renewal.id) is None
    with pytest.raises(LogUnavailableError, match="401"):
        away.link()._next_page()


def test_jobs_that_the_centre_has_not_signed_are_not_taken(away: Away) -> None:
    away.world.requested(CARD)
    away.world.drain()
    other = public_of(Ed25519PrivateKey.generate())

    with pytest.raises(LogUnavailableError, match="not signed by the centre"):
        away.link(centre=other)._next_page()


def headers_for(away: Away, target: str, body: bytes, **changed: object) -> dict[str, str]:
    fields: dict[str, object] = {
        "station": away.identity.number, "method": "POST", "target": target,
        "nonce": "a nonce that is long enough", "at": away.world.clock.now(),
        "body_sha256": body_hash(body),
    }  # fmt: skip
    request = SignedRequest(**(fields | changed))  # type: ignore[arg-type]
    return {
        "X-Xuqi-Station": request.station,
        "X-Xuqi-Nonce": request.nonce,
        "X-Xuqi-At": request.at.isoformat(),
        "X-Xuqi-Signature": request.signature(away.identity.private),
    }


def post(away: Away, body: bytes, headers: dict[str, str]) -> int:
    url = f"http://127.0.0.1:{away.port}/stations/v1/statements"
    return httpx.post(url, content=body, headers=headers).status_code


TARGET = "/stations/v1/statements"


def statement(away: Away) -> bytes:
    said = TokenDeclined(renewal="R00000099-01", token_serial="x", why="never")  # noqa: S106 - a serial
    return encode(away.identity.signed(said, at=away.world.clock.now()))


def test_a_request_is_taken_once(away: Away) -> None:
    body = statement(away)
    headers = headers_for(away, TARGET, body)

    assert post(away, body, headers) == 200
    assert post(away, body, headers) == 401


def test_a_time_without_an_offset_is_refused(away: Away) -> None:
    body = statement(away)
    naive = away.world.clock.now().replace(tzinfo=None)

    assert post(away, body, headers_for(away, TARGET, body, at=naive)) == 401


@pytest.mark.parametrize("changed", ["body", "old", "nonce", "nobody"])
def test_a_request_that_was_altered_is_refused(away: Away, changed: str) -> None:
    body = statement(away)
    at = (
        away.world.clock.now() - timedelta(minutes=6)
        if changed == "old"
        else away.world.clock.now()
    )
    headers = headers_for(away, TARGET, body, at=at)
    if changed == "nonce":
        headers["X-Xuqi-Nonce"] = "another nonce, as long as that"
    if changed == "nobody":
        headers["X-Xuqi-Station"] = "0" * 16

    assert post(away, body + b" " if changed == "body" else body, headers) == 401


def test_a_statement_of_another_station_is_refused(away: Away, tmp_path: Path) -> None:
    other = StationIdentity(BRANCH, Ed25519PrivateKey.generate())
    said = TokenDeclined(renewal="R00000099-01", token_serial="x", why="never")  # noqa: S106 - a serial
    body = encode(other.signed(said, at=away.world.clock.now()))

    assert post(away, body, headers_for(away, TARGET, body)) == 422


def test_a_station_reaches_its_centre_by_https_alone(away: Away) -> None:
    with pytest.raises(CentreUrlError, match="https"):
        CentreLink("http://centre.example", away.identity, centre=b"", clock=away.world.clock)


def test_the_file_of_a_station_holds_no_secret_of_another_branch(world: Scenario) -> None:

    first, second = (
        station_file(world.app.keys, one, "https://x", readers="pcsc") for one in ("001", "002")
    )
    key = base64.b64encode(world.app.keys.stations.value).decode()

    assert key not in first
    assert first.splitlines()[4] != second.splitlines()[4]
