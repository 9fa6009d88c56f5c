"""Puts a station, its tokens and a centre that only issues together, for tests of the station."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from renewal.clock import VirtualClock
from renewal.eventlog.embedded import EmbeddedLog
from renewal.rules.proof import confirmation, verify_possession, verify_renewal_proof
from renewal.rules.statements import StationIdentity, verify
from renewal.rules.station_link import centre_key, public_of, signed_job
from renewal.rules.token_keys import key_of_token
from renewal.sealing import branch_key, sealed_for, write_key_of
from renewal.secret import Secret
from schema.codec import decode
from schema.events import (
    Event,
    SignedTokenJob,
    TokenCertificateReady,
    TokenDeclined,
    TokenEnrolmentRequested,
    TokenJobEnded,
    TokenJobRequested,
    TokenRequestSigned,
    TokenWritten,
)
from schema.stored_reasons import read_reason
from templates.codes import text
from tests.token_station.station.memory_log import MemoryLog
from tests.token_station.tokens import MANAGEMENT_KEY, PIN, START, Desk, request_key
from token_station.journal import Journal, JournalEntry
from token_station.simulator.card import SimulatedCard
from token_station.station import Station, no_probe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from renewal.db.engine import Store
    from renewal.eventlog.port import EventLog, LogReader
    from token_station.reader_views import ReaderView
    from token_station.simulator.reader import SimulatedReader

BRANCH = "001"
IDENTITY = StationIdentity(BRANCH, Ed25519PrivateKey.generate())
STATIONS_KEY = Secret(b"the key of all stations" * 2)
RENEWAL = "R00000001-01"
CHALLENGE = b"what the new key must sign"
NEW_END = START + timedelta(days=730)


def of_centre(job: SignedTokenJob) -> SignedTokenJob:
    return signed_job(job, [centre_key(STATIONS_KEY)])


def own_key_of(serial: str, renewal: str, branch: str = BRANCH) -> str:
    """The key that the token has once it is taken over, for the branch alone."""
    own = key_of_token(MANAGEMENT_KEY, serial)
    return sealed_for(branch_key(STATIONS_KEY, branch), own, write_key_of(renewal))


@dataclass
class Holder:
    """Whoever stands at the station: types these PINs one after another, the last one for ever."""

    pins: list[str | None] = field(default_factory=lambda: [PIN], repr=False)
    releases: bool = False
    shown: list[int | None] = field(default_factory=list)  #: the tries left, each time
    released_for: list[str] = field(default_factory=list)

    def pin(self, job: JournalEntry, tries_left: int | None) -> str | None:
        assert job.token_serial
        self.shown.append(tries_left)
        return self.pins.pop(0) if len(self.pins) > 1 else self.pins[0]

    def releases_last_try(self, job: JournalEntry) -> bool:
        self.released_for.append(job.renewal)
        return self.releases


def verify_request(csr: bytes, proof: str) -> None:
    """A blank token has no key in force that could sign: its request stands alone."""
    assert not proof
    request_key(csr)


@dataclass
class Centre:
    """Issues once for each request whose proof holds, and keeps what stations say."""

    log: EventLog
    desks: dict[str, Desk]  # by renewal
    issued: dict[str, bytes] = field(default_factory=dict)
    heard: list[Event] = field(default_factory=list)
    padding: bytes = b""
    sends: bool = True  #: else the test sends something of its own
    _reader: LogReader | None = None

    def ask(self, renewal: str | None = None, **changed: Any) -> None:  # noqa: ANN401 - any field of the event
        renewal = renewal or next(iter(self.desks))
        desk = self.desks[renewal]
        old = hashlib.sha256(desk.old).hexdigest()
        told: dict[str, object] = {
            "branch": BRANCH,
            "renewal": renewal,
            "token_serial": desk.serial,
            "old_certificate_sha256": old,
            "keep_sha256": (old,),
            "replace_sha256": (),
            "replace_keys_sha256": (),
            "algorithm": desk.algorithm,
            "challenge": base64.b64encode(CHALLENGE).decode(),
            "write_key": own_key_of(desk.serial, renewal),
        }
        self.log.append([of_centre(TokenJobRequested(**(told | changed)))])  # type: ignore[arg-type]

    def ask_enrolment(self) -> None:
        renewal = next(iter(self.desks))
        desk = self.desks[renewal]
        self.log.append(
            [
                of_centre(
                    TokenEnrolmentRequested(
                        branch=BRANCH,
                        renewal=renewal,
                        token_serial=desk.serial,
                        old_certificate_sha256="",
                        keep_sha256=(),
                        algorithm=desk.algorithm,
                        challenge=base64.b64encode(CHALLENGE).decode(),
                        write_key=own_key_of(desk.serial, renewal),
                    )
                )
            ]
        )

    def work(self) -> None:
        self._reader = self._reader or self.log.reader("centre", ["tokens"])
        while records := self._reader.poll(100, timedelta(0)):
            for record in records:
                event = decode(record.body)
                self.heard.append(event)
                self._answer(event)
            self._reader.commit(records[-1])

    def _answer(self, event: Event) -> None:
        if isinstance(event, TokenRequestSigned):
            desk = self.desks[event.renewal]
            csr = base64.b64decode(event.csr)
            assert event.token_serial == desk.serial
            verify(event, IDENTITY.public)
            asked = confirmation(event.renewal, CHALLENGE, csr)
            if desk.old:
                verify_renewal_proof(base64.b64decode(event.proof), asked, desk.old)
            else:
                verify_request(csr, event.proof)
            assert event.renewal not in self.issued, "a second issue"
            new = desk.ca.certify(request_key(csr), not_after=NEW_END, padding=self.padding)
            self.issued[event.renewal] = new
            if self.sends:
                self.send(event.renewal, new)
        elif isinstance(event, TokenWritten):
            verify(event, IDENTITY.public)
            new = self.issued[event.renewal]
            assert event.certificate_sha256 == hashlib.sha256(new).hexdigest()
            verify_possession(new, CHALLENGE, base64.b64decode(event.signature))

    def send(
        self, renewal: str, der: bytes, *, branch: str = BRANCH, bound_to: str | None = None
    ) -> None:
        sealed = sealed_for(branch_key(STATIONS_KEY, branch), der, bound_to or renewal)
        ready = TokenCertificateReady(branch=BRANCH, renewal=renewal, sealed=sealed)
        self.log.append([ready])

    def end(self, renewal: str = RENEWAL, why: str = "abandoned") -> None:
        self.log.append([TokenJobEnded(branch=BRANCH, renewal=renewal, why=why)])

    def said(self, kind: type[Event]) -> list[Event]:
        self.work()
        return [event for event in self.heard if isinstance(event, kind)]

    @property
    def declined(self) -> list[str]:
        declined = [it for it in self.said(TokenDeclined) if isinstance(it, TokenDeclined)]
        return [text(read_reason(event.why), "en") for event in declined]


@dataclass
class Branch:
    """One station with the readers of its desks; it can be killed and started again."""

    path: Path
    store: Store | None
    desks: Sequence[Desk]
    person: Holder = field(default_factory=Holder)
    probe: Callable[[str], None] = no_probe

    def __post_init__(self) -> None:
        self.log: EventLog = EmbeddedLog(self.store) if self.store else MemoryLog()
        renewals = [f"R{number:08d}-01" for number in range(1, len(self.desks) + 1)]
        self.centre = Centre(self.log, dict(zip(renewals, self.desks, strict=True)))
        self.journal_path = self.path / "station.jsonl"
        self.station = self._opened()

    @property
    def desk(self) -> Desk:
        return self.desks[0]

    @property
    def renewal(self) -> str:
        return next(iter(self.centre.desks))

    @property
    def readers(self) -> list[SimulatedReader]:
        return [desk.reader for desk in self.desks]

    def started(self) -> Station:
        """A new process on the same journal: it remembers nothing else."""
        self.station.incoming.close()
        self.station.journal.close()
        self.station = self._opened()
        return self.station

    def close(self) -> None:
        self.station.incoming.close()
        self.station.journal.close()

    def _opened(self) -> Station:
        return Station(
            branch=BRANCH,
            log=self.log,
            incoming=self.log.reader(f"station.{BRANCH}", [f"stations.{BRANCH}"]),
            journal=Journal(self.journal_path),
            readers=self.readers,
            operator=self.person,
            identity=IDENTITY,
            key=branch_key(STATIONS_KEY, BRANCH),
            centre=public_of(centre_key(STATIONS_KEY)),
            management_key=Secret(MANAGEMENT_KEY),
            clock=VirtualClock(START),
            probe=self.probe,
        )

    def insert_again(self, desk: Desk | None = None) -> None:
        desk = desk or self.desk
        desk.reader.insert(SimulatedCard(desk.card_path, desk.manners, desk.ledger))

    def round(self) -> list[ReaderView]:
        self.centre.work()
        self.station.take()
        seen = self.station.work()
        self.centre.work()
        return seen

    def rounds(self, count: int = 3) -> list[ReaderView]:
        return [seen for _ in range(count) for seen in self.round()]

    # --- what must hold -------------------------------------------------------------------------

    def assert_old_works(self, desk: Desk | None = None) -> None:
        """The certificate in force is where it was, and its key signs."""
        desk = desk or self.desk
        session = desk.session()
        assert session.read_certificate("9C") == desk.old
        verify_possession(desk.old, b"still here", session.sign("9C", b"still here", pin=PIN))

    def assert_renewed(self, renewal: str | None = None) -> None:
        """Proven, on the token beside the old one, and nothing of it done twice."""
        renewal = renewal or self.renewal
        desk, new = self.centre.desks[renewal], self.centre.issued[renewal]
        session = desk.session()
        assert session.read_certificate("9A") == new
        verify_possession(new, b"new", session.sign("9A", b"new", pin=PIN))
        self.assert_old_works(desk)
        assert len([e for e in self.centre.said(TokenWritten) if e.key == renewal]) == 1
        assert self.station.journal.open_jobs() == []

    def deeds(self, op: str, desk: Desk | None = None) -> list[tuple[str | None, str]]:
        """What the card has done, as (slot, result); its personalisation left out."""
        lines = (desk or self.desk).ledger_path.read_text().splitlines()
        rows = [json.loads(line) for line in lines]
        return [(row["slot"], row["result"]) for row in rows if row["op"] == op][
            1 if op in {"generate", "put"} else 0 :
        ]
