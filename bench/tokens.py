"""What the station adds to the commands of a token, and how many readers work side by side."""

from __future__ import annotations

import base64
import hashlib
import tempfile
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)
from cryptography.x509.oid import NameOID

from bench.figures import Figure, at_least, at_most, median, rounded
from renewal.clock import SystemClock
from renewal.eventlog.port import Record
from renewal.rules.statements import StationIdentity
from renewal.rules.station_link import public_of, signed_job
from renewal.sealing import sealed_for, write_key_of
from renewal.secret import Secret
from schema.codec import encode, kind_of
from schema.events import TokenCertificateReady, TokenJobRequested, TokenRequestSigned, TokenWritten
from token_station.journal import Journal
from token_station.simulator.card import NewCard, SimulatedCard, personalise
from token_station.simulator.card_profiles import JAVACARD
from token_station.simulator.reader import SimulatedReader
from token_station.station import Station

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from schema.events import Event
    from token_station.journal import JournalEntry
    from token_station.port import Transport

BRANCH, PIN, MANAGEMENT_KEY = "001", "135790", bytes(range(24))
READERS = 8
OVERHEAD, SIDE_BY_SIDE = 150, 6  #: the goals: milliseconds, times
#: Seconds of a command on a card with a contact interface; of the others below.
A_COMMAND = 0.012
#: Making a key, a signature or an authentication, VERIFY, and writing to its memory.
SLOW = {0x47: 0.180, 0x87: 0.060, 0x20: 0.020, 0xDB: 0.030}
METHOD = (
    "Simulated cards that take a real card's time for each command (12 ms, VERIFY 20 ms, a part of "
    "a PUT 30 ms, a signature 60 ms, a P-256 key 180 ms). A whole renewal by the station with its "
    "journal on the disk. Over the commands: the time of the station's two visits less the time "
    "inside the card's commands. Side by side: {readers} readers at once against one, the time of "
    "the slower visits. Median of {rounds} rounds."
)


def figures(*, rounds: int = 3, pace: float = 1.0) -> list[Figure]:
    """``pace``: of the cards' time, for a test."""
    over, commands, times = [], [], []
    for _ in range(rounds):
        one, many = _measured(1, pace), _measured(READERS, pace)
        over.append((one.elapsed - one.inside) * 1_000)
        commands.append(one.inside)
        times.append(READERS * one.elapsed / many.elapsed)
    method = METHOD.format(readers=READERS, rounds=rounds)
    return [
        Figure(
            what="a token's renewal: the card's own commands",
            value=median(commands),
            unit="s",
            shown=rounded(median(commands), "s"),
            method=method,
        ),
        at_most(
            "the same: what the station adds",
            median(over),
            "ms",
            OVERHEAD,
            shown=rounded(median(over), "ms"),
        ),
        at_least(
            f"the same in {READERS} readers at once, against one",
            median(times),
            "×",
            SIDE_BY_SIDE,
            shown=rounded(median(times), "×"),
        ),
    ]


@dataclass(frozen=True)
class Measured:
    elapsed: float
    inside: float


@dataclass
class SlowReader:
    """A reader whose card takes its time; adds up what it took."""

    reader: SimulatedReader
    pace: float
    inside: float = 0.0

    def __post_init__(self) -> None:
        self.name = self.reader.name

    def connect(self) -> Transport | None:
        connection = self.reader.connect()
        return None if connection is None else _SlowConnection(self, connection)


@dataclass
class _SlowConnection:
    reader: SlowReader
    connection: Transport

    def transmit(self, frame: bytes) -> tuple[bytes, int]:
        begin = time.perf_counter()
        time.sleep(SLOW.get(frame[1], A_COMMAND) * self.reader.pace)
        answer = self.connection.transmit(frame)
        self.reader.inside += time.perf_counter() - begin
        return answer


class Typist:
    """Whoever types the PIN, at once."""

    def pin(self, _job: JournalEntry, _tries_left: int | None) -> str | None:
        return PIN

    def releases_last_try(self, _job: JournalEntry) -> bool:
        return False


@dataclass
class ListLog:
    """The log between station and centre, which is not what is measured."""

    records: list[Record] = field(default_factory=list)
    said: list[Event] = field(default_factory=list)
    position: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def append(self, events: Sequence[Event]) -> None:
        with self.lock:
            self.said += events

    def send(self, event: Event) -> None:
        self.records.append(
            Record(
                position=len(self.records) + 1,
                topic=event.topic_name,
                key=event.key,
                kind=kind_of(event),
                identity=event.identity,
                at=datetime.now(UTC),
                body=encode(event),
            )
        )

    def reader(self, *_group: object, exclude: Collection[str] = ()) -> ListLog:
        del exclude
        return self

    def poll(self, at_most: int, _wait: timedelta) -> list[Record]:
        return self.records[self.position :][:at_most]

    def settle(self, last: Record, work: Any) -> None:  # noqa: ANN401 - as the port has it
        del last, work

    def commit(self, last: Record) -> None:
        self.position = last.position

    def close(self) -> None:
        pass


@dataclass
class Counter:
    """A station with so many readers, and a CA that certifies what it is sent."""

    folder: Path
    count: int
    pace: float
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    centre_key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    def __post_init__(self) -> None:
        self.log, self.branch_key = ListLog(), Secret(bytes(32))
        self.readers = [SlowReader(self._inserted(n), self.pace) for n in range(self.count)]
        self.station = Station(
            branch=BRANCH,
            log=self.log,
            incoming=self.log,
            journal=Journal(self.folder / "station.jsonl"),
            readers=self.readers,
            operator=Typist(),
            identity=StationIdentity(BRANCH, Ed25519PrivateKey.generate()),
            key=self.branch_key,
            centre=public_of(self.centre_key),
            management_key=Secret(MANAGEMENT_KEY),
            clock=SystemClock(),
            parallel=self.count,
        )

    def _inserted(self, number: int) -> SimulatedReader:
        reader = SimulatedReader(f"Reader {number}")
        reader.insert(self._card(f"{0x029DC200 + number:08x}", f"R{number:08d}-01"))
        return reader

    def _card(self, serial: str, renewal: str) -> SimulatedCard:
        made: list[bytes] = []

        def certify(spki: bytes) -> bytes:
            made.append(self._certificate(spki))
            return made[0]

        new = NewCard(serial=serial, pin=PIN, puk="24681357", management_key=MANAGEMENT_KEY)
        card = personalise(self.folder / f"{serial}.json", new, manners=JAVACARD, certify=certify)
        old = hashlib.sha256(made[0]).hexdigest()
        job = TokenJobRequested(
            branch=BRANCH,
            renewal=renewal,
            token_serial=serial,
            old_certificate_sha256=old,
            keep_sha256=(old,),
            replace_sha256=(),
            replace_keys_sha256=(),
            algorithm="P-256",
            write_key=sealed_for(self.branch_key, MANAGEMENT_KEY, write_key_of(renewal)),
            challenge=base64.b64encode(renewal.encode()).decode(),
        )
        self.log.send(signed_job(job, [self.centre_key]))
        return card

    def _certificate(self, spki: bytes) -> bytes:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A123456789-00-000001")])
        key, now = load_der_public_key(spki), datetime.now(UTC)
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise TypeError("the benchmark's tokens make P-256 keys")
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + timedelta(days=365))
            .public_key(key)
        )
        return builder.sign(self.key, SHA256()).public_bytes(Encoding.DER)

    def visit(self) -> float:
        begin = time.perf_counter()
        self.station.take()
        self.station.work()
        return time.perf_counter() - begin

    def issue(self) -> None:
        for event in self.log.said:
            if isinstance(event, TokenRequestSigned):
                csr = x509.load_der_x509_csr(base64.b64decode(event.csr))
                der = self._certificate(
                    csr.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
                )
                sealed = sealed_for(self.branch_key, der, event.renewal)
                ready = TokenCertificateReady(branch=BRANCH, renewal=event.renewal, sealed=sealed)
                self.log.send(ready)


def _measured(count: int, pace: float) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        counter = Counter(Path(folder), count, pace)
        elapsed = counter.visit()
        counter.issue()
        elapsed += counter.visit()
        written = sum(isinstance(event, TokenWritten) for event in counter.log.said)
        if written != count:
            raise RuntimeError(f"{written} of {count} tokens were written")
        counter.station.journal.close()
        return Measured(elapsed, sum(reader.inside for reader in counter.readers))
