"""The branch's consumer: waits for the right token, renews it step by step, and proves it."""

from __future__ import annotations

import base64
import hashlib
import logging
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from renewal.eventlog.trace import About, trace_id
from renewal.rules.proof import ProofError
from renewal.sealing import NotForUsError, opened
from schema.codec import UnreadableEventError, decode
from schema.events import (
    StationEvent,
    TokenCertificateReady,
    TokenDeclined,
    TokenEvent,
    TokenJobEnded,
    TokenJobRequested,
    TokenRequestSigned,
    TokenWritten,
)
from token_station import signing
from token_station.driver import (
    BadPinFormatError,
    CardRemovedError,
    KeyMismatchError,
    LastTryError,
    MalformedAnswerError,
    NoFreePlaceError,
    NotAuthorizedError,
    PinBlockedError,
    PinWrongError,
    TokenError,
    TooLargeError,
    UnsupportedError,
)
from token_station.journal import Entry, Journal, Step
from token_station.keys import ALGORITHMS, P256
from token_station.piv import PivSession, open_token

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from renewal.clock import Clock
    from renewal.eventlog.port import EventLog, Record
    from renewal.eventlog.port import Reader as LogReader
    from renewal.secret import Secret
    from token_station.driver import Reader

log = logging.getLogger(__name__)

NO_KEY = "none"
#: Trying again with this token would not help.
IMPOSSIBLE = (
    NoFreePlaceError,
    NotAuthorizedError,
    TooLargeError,
    KeyMismatchError,
    UnsupportedError,
)


class Said(StrEnum):
    """
    What the station's screen shows of a reader.
    """

    EMPTY = "no token in the reader"
    OTHER_TOKEN = "this token has no renewal waiting"  # noqa: S105 - what is seen, no secret
    WAITS_FOR_PIN = "waits for the PIN"
    PIN_WRONG = "the PIN is wrong"
    PIN_BLOCKED = "the PIN is blocked"
    LAST_TRY = "one try is left: a person must release it"
    WAITS_FOR_CA = "waits for the new certificate"
    DONE = "written and proven"
    DECLINED = "cannot be renewed here"
    REMOVED = "the token was removed"
    TROUBLE = "the token did not answer as it should"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """
    One look at one reader.
    """

    reader: str
    said: Said
    token_serial: str = ""
    renewal: str = ""
    tries_left: int | None = None
    detail: str = ""


class Person(Protocol):
    """
    Whoever stands at the station.
    """

    def pin(self, job: Entry, tries_left: int | None) -> str | None:
        """
        Return the PIN for this token, or ``None``: not now.
        """
        ...

    def releases_last_try(self, job: Entry) -> bool:
        """
        Say whether a person has expressly released the last try.
        """
        ...


def nothing(_point: str) -> None:
    """
    Stand where a crash test ends the process.
    """


@dataclass
class Station:
    """
    Knows the log and its own journal, not the central database.
    """

    branch: str
    log: EventLog
    incoming: LogReader
    journal: Journal
    readers: Sequence[Reader]
    person: Person = field(repr=False)
    key: Secret
    management_key: Secret
    clock: Clock
    probe: Callable[[str], None] = nothing
    _pins: dict[str, str] = field(default_factory=dict, repr=False)

    # --- from the log to the journal ------------------------------------------------------------

    def take(self, wait: timedelta = timedelta(0)) -> int:
        """
        Note what the centre asks in the journal; return how many events were looked at.
        """
        records = self.incoming.poll(100, wait)
        for record in records:
            with About(record):
                self._note(record)
        if records:
            self.incoming.commit(records[-1])
        return len(records)

    def _note(self, record: Record) -> None:
        try:
            event = decode(record.body)
        except UnreadableEventError:
            return  # the centre's own inbox shows it; a station has nothing to do with it
        if not isinstance(event, StationEvent) or event.branch != self.branch:
            return
        job = self.journal.job(event.renewal)
        if isinstance(event, TokenJobRequested) and job is None:
            self._note_job(event)
        elif job is None or job.step in {Step.DONE, Step.ENDED}:
            return
        elif isinstance(event, TokenCertificateReady) and job.sealed is None:
            self._write(event.renewal, Step.CERTIFICATE_RECEIVED, sealed=event.sealed)
        elif isinstance(event, TokenJobEnded):
            self._write(event.renewal, Step.ENDED, why=event.why)

    def _note_job(self, event: TokenJobRequested) -> None:
        why = _why_impossible(event)
        if why is not None:
            self.say(TokenDeclined(renewal=event.renewal, why=why))
            self._write(event.renewal, Step.ENDED, why=why)
            return
        self._write(
            event.renewal,
            Step.WAITING,
            token_serial=event.token_serial,
            old_certificate_sha256=event.old_certificate_sha256,
            keep_sha256=event.keep_sha256,
            algorithm=event.algorithm,
            challenge=event.challenge,
        )

    def _write(self, renewal: str, step: Step, **added: object) -> Entry:
        self.probe(f"before {step}")
        entry = Entry(renewal=renewal, step=step, at=self.clock.now().isoformat(), **added)  # type: ignore[arg-type]
        job = self.journal.write(entry)
        # Most steps are taken when no event is at hand: the job's key says which trace it is.
        about = {"renewal": renewal, "step": step.value, "trace_id": trace_id(renewal)}
        log.info("token job", extra=about)
        self.probe(f"after {step}")
        return job

    # --- from the journal to the token ----------------------------------------------------------

    def work(self) -> list[Seen]:
        """
        Look at each reader once, and take each job there as far as it goes now.
        """
        for job in self.journal.open_jobs():
            self.say_again(job)
        seen = [self._look(reader) for reader in self.readers]
        present = {one.token_serial for one in seen}
        for gone in self._pins.keys() - present:
            del self._pins[gone]  # a PIN is kept no longer than its token stays in the reader
        return seen

    def _look(self, reader: Reader) -> Seen:
        serial, job = "", None
        try:
            session = open_token(reader, self.management_key.value)
            serial = session.serial
            job = next((j for j in self.journal.open_jobs() if j.token_serial == serial), None)
            if job is None:
                return Seen(reader=reader.name, said=Said.OTHER_TOKEN, token_serial=serial)
            visit = _Visit(self, session, job)
            said = visit.go_on()
        except CardRemovedError:
            said = Said.REMOVED if serial else Said.EMPTY
            serial = ""
        except (TokenError, ProofError, NotForUsError) as error:
            return Seen(
                reader=reader.name,
                said=Said.TROUBLE,
                token_serial=serial,
                renewal=job.renewal if job else "",
                detail=str(error),
            )
        else:
            return Seen(
                reader=reader.name,
                said=said,
                token_serial=serial,
                renewal=job.renewal,
                tries_left=visit.tries_left,
            )
        return Seen(reader=reader.name, said=said)

    def say(self, event: TokenEvent) -> None:
        self.log.append([event])

    def say_again(self, job: Entry) -> Entry:
        """
        Say what is on record and may never have been said; that needs no token.
        """
        if job.step is Step.REQUEST_SIGNED:
            self.say(
                TokenRequestSigned(
                    renewal=job.renewal,
                    token_serial=job.token_serial or "",
                    csr=job.csr or "",
                    proof=job.proof or "",
                )
            )
            return self._write(job.renewal, Step.REQUEST_SENT)
        if job.step is Step.PROVEN:
            self.say(
                TokenWritten(
                    renewal=job.renewal,
                    certificate_sha256=job.certificate_sha256 or "",
                    signature=job.signature or "",
                )
            )
            return self._write(job.renewal, Step.DONE)
        return job


def _why_impossible(event: TokenJobRequested) -> str | None:
    try:
        base64.b64decode(event.challenge, validate=True)
    except ValueError:
        return "the challenge of the job is not base64"
    if event.algorithm not in ALGORITHMS:
        return f"a token's key is {' or '.join(ALGORITHMS)}, not {event.algorithm!r}"
    return None


class _Visit:
    """
    One token in one reader, and the job that waits for it.
    """

    def __init__(self, station: Station, session: PivSession, job: Entry) -> None:
        self.station = station
        self.session = session
        self.job = job
        self.tries_left: int | None = None

    def go_on(self) -> Said:
        """
        Go from the last step on record as far as it goes now.
        """
        try:
            if self.job.sealed is not None:
                return self._write_it()
            if self.job.csr is not None:
                return Said.WAITS_FOR_CA
            return self._ask_for_it()
        except PinWrongError as error:
            self._forget_pin()
            self.tries_left = error.left
            return Said.PIN_WRONG
        except LastTryError:
            return Said.LAST_TRY
        except BadPinFormatError:
            self._forget_pin()
            return Said.PIN_WRONG
        except PinBlockedError:
            self._forget_pin()
            return self._declined("the PIN is blocked", Said.PIN_BLOCKED)
        except IMPOSSIBLE as error:
            return self._declined(str(error), Said.DECLINED)

    # --- the request ----------------------------------------------------------------------------

    def _ask_for_it(self) -> Said:
        old = self._place_of_old()
        if old is None:
            return self._declined("the certificate in force is not on this token", Said.DECLINED)
        if self.job.step is Step.WAITING:
            self.job = self._on_record(Step.SEEN)
        pin = self._pin()
        if pin is None:
            return Said.WAITS_FOR_PIN
        if self.job.spki is None:
            self._make_key(pin)
        place, spki = self.job.place or "", bytes.fromhex(self.job.spki or "")
        self.session.remember_key(place, spki)
        csr = signing.csr(self.session, place, pin)
        proof = signing.renewal_proof(self.session, old, pin, csr)
        self.job = self._on_record(
            Step.REQUEST_SIGNED,
            csr=base64.b64encode(csr).decode(),
            proof=base64.b64encode(proof).decode(),
        )
        self.job = self.station.say_again(self.job)
        return Said.WAITS_FOR_CA

    def _make_key(self, pin: str) -> None:
        """
        The place, and which key it holds, are on record before that key is destroyed.

        Whoever comes back and finds another key there knows that it was made, although the
        card's answer was lost: no second one is made.
        """
        if self.job.place is None:
            self.job = self._on_record(Step.PIN_VERIFIED)
        place, algorithm = self._free_place(), self.job.algorithm or P256
        there = self.session.find_key(place, algorithm, pin=pin)
        found = NO_KEY if there is None else hashlib.sha256(there).hexdigest()
        if self.job.place is None:
            self.job = self._on_record(Step.MAKING_KEY, place=place, key_before=found)
        if there is None or self.job.key_before in {None, found}:
            self.station.probe("before the call")
            there = self.session.generate(place, algorithm)
            self.station.probe("after the call")
        self.job = self._on_record(Step.KEY_MADE, spki=there.hex())

    def _free_place(self) -> str:
        """
        The place that is on record, or one that holds nothing to be kept.

        Raises:
            NoFreePlaceError
        """
        kept = [one for one in self.session.certificates() if self._is_kept(one.der)]
        free = self.session.choose_place(keep=[one.der for one in kept])
        if self.job.place in {one.place for one in kept}:
            raise NoFreePlaceError(f"{self.job.place} holds a certificate to be kept by now")
        return self.job.place or free

    def _is_kept(self, der: bytes) -> bool:
        return hashlib.sha256(der).hexdigest() in (self.job.keep_sha256 or ())

    def _place_of_old(self) -> str | None:
        for one in self.session.certificates():
            if hashlib.sha256(one.der).hexdigest() == self.job.old_certificate_sha256:
                return one.place
        return None

    # --- the certificate ------------------------------------------------------------------------

    def _write_it(self) -> Said:
        job, session = self.job, self.session
        place = job.place or ""
        der = opened(self.station.key, job.sealed or "", job.renewal)
        pin = self._pin()
        if pin is None:
            return Said.WAITS_FOR_PIN
        session.remember_key(place, bytes.fromhex(job.spki or ""))
        there = self._there(place)
        if there is not None and self._is_kept(there):
            raise NoFreePlaceError(f"{place} holds a certificate to be kept by now")
        if there != der:
            self.job = self._on_record(Step.WRITING)
            self.station.probe("before the call")
            session.write_certificate(place, der, pin=pin)  # the key in that place signs first
            self.station.probe("after the call")
        self.job = self._on_record(Step.WRITTEN)
        signature = session.sign(place, base64.b64decode(job.challenge or ""), pin=pin)
        self.job = self._on_record(
            Step.PROVEN,
            certificate_sha256=hashlib.sha256(der).hexdigest(),
            signature=base64.b64encode(signature).decode(),
        )
        self.job = self.station.say_again(self.job)
        return Said.DONE

    def _there(self, place: str) -> bytes | None:
        try:
            return self.session.read_certificate(place)
        except MalformedAnswerError:
            return None  # half a certificate, or none at all: it is written over

    # --- the person -----------------------------------------------------------------------------

    def _pin(self) -> str | None:
        """
        Ask once for each visit; what was typed stays in memory while the token stays in the reader.
        """
        serial, pins = self.session.serial, self.station._pins  # noqa: SLF001 - one room
        if serial not in pins:
            self.tries_left = left = self.session.tries_left()
            if left == 0:
                raise PinBlockedError("the PIN is blocked: only the unblocking code helps")
            pin = self.station.person.pin(self.job, left)
            if pin is None:
                return None
            # Tried once, before anything is begun with it; a wrong one is not remembered. Where
            # the token does not tell, this may be the last try.
            released = left in {1, None} and self.station.person.releases_last_try(self.job)
            self.session.verify_pin(pin, last_try_released=released)
            pins[serial] = pin
        return pins[serial]

    def _forget_pin(self) -> None:
        self.station._pins.pop(self.session.serial, None)  # noqa: SLF001

    def _declined(self, why: str, said: Said) -> Said:
        """
        Tell the centre that this cannot be done here; nothing more is tried with this job.
        """
        self.station.say(TokenDeclined(renewal=self.job.renewal, why=why))
        self.job = self._on_record(Step.ENDED, why=why)
        return said

    def _on_record(self, step: Step, **added: object) -> Entry:
        return self.station._write(self.job.renewal, step, **added)  # noqa: SLF001
