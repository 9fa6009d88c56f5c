"""The station: waits for the right token, renews it step by step, and proves it."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from renewal.eventlog.port import LogUnavailableError
from renewal.eventlog.trace import trace_context, trace_id
from renewal.rules.proof import ProofError
from renewal.rules.serials import token_serial
from renewal.rules.token_keys import WriteKeys
from renewal.sealing import NotForUsError, opened, write_key_of
from schema.codec import UnreadableEventError, decode
from schema.events import (
    StationEvent,
    TokenCertificateReady,
    TokenEvent,
    TokenJob,
    TokenJobEnded,
)
from schema.reasons import TokenReason
from token_station import job_events
from token_station.enrolment import PREPARATION, TokenEnrolment, is_unmarked, prepared
from token_station.errors import CardRemovedError, LastTryError, NoSerialError, TokenError
from token_station.journal import Journal, JournalEntry, Step
from token_station.operators import AssignsSerials, OperatorPrompt
from token_station.port import SharedReader
from token_station.reader_views import ReaderStatus, ReaderView
from token_station.token_renewal import TokenRenewal
from token_station.tokens import open_blank, open_token
from token_station.trust_anchors import TrustAnchors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from renewal.clock import Clock
    from renewal.eventlog.port import EventLog, LogReader, Record
    from renewal.rules.statements import StationIdentity
    from renewal.secret import Secret
    from schema.reasons import Reason
    from token_station.operators import Operator
    from token_station.port import OpensTokens, TokenReader, TokenSession
    from token_station.puk_tries import PukTries

log = logging.getLogger(__name__)


def no_probe(_point: str) -> None:
    """Do nothing where a crash test ends the process."""


@dataclass
class Station:
    """Knows the log and its own journal, not the central database."""

    branch: str
    log: EventLog
    incoming: LogReader
    journal: Journal
    readers: Sequence[TokenReader | OpensTokens]
    operator: Operator = field(repr=False)
    identity: StationIdentity
    key: Secret
    centre: bytes  #: the centre's public key (Ed25519): it has signed each job
    management_key: Secret | None  #: the common key of tokens that have none of their own
    clock: Clock
    probe: Callable[[str], None] = no_probe
    parallel: int = 1  #: readers that are worked on at once
    puk_tries: PukTries | None = None
    anchors: TrustAnchors = field(
        default_factory=TrustAnchors
    )  #: whom the bank trusts to vouch for a token
    is_heard: bool = True  #: the last thing that was on record has reached the log
    prompt: OperatorPrompt = field(default_factory=OperatorPrompt, init=False, repr=False)
    _held: dict[str, threading.Lock] = field(default_factory=dict, repr=False)  # by reader
    _warned: dict[str, str] = field(default_factory=dict, repr=False)  # of the token in a reader

    # --- from the log to the journal ------------------------------------------------------------

    def take(self, wait: timedelta = timedelta(0)) -> int:
        """Note what the centre asks in the journal; return how many events were looked at."""
        records = self.incoming.poll(100, wait)
        for record in records:
            with trace_context(record):
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
        if isinstance(event, TokenJob) and job is None:
            self._note_job(event)
        elif job is None or job.step in {Step.DONE, Step.ENDED}:
            return
        elif isinstance(event, TokenCertificateReady) and job.sealed is None:
            self.record(event.renewal, Step.CERTIFICATE_RECEIVED, sealed=event.sealed)
        elif isinstance(event, TokenJobEnded):
            self.record(event.renewal, Step.ENDED, why=event.why)

    def _note_job(self, event: TokenJob) -> None:
        if not job_events.is_of_centre(event, self.centre):
            log.critical("a job that the centre has not signed", extra={"renewal": event.renewal})
            self.publish(job_events.doubted(event), at=self.clock.now())
            return
        why = job_events.why_impossible(event)
        if why is not None:
            self.publish(job_events.declined(event, why), at=self.clock.now())
            self.record(event.renewal, Step.ENDED, why=why.stored())
            return
        self.record(event.renewal, Step.WAITING, **job_events.job_fields(event))

    def record(self, renewal: str, step: Step, **added: object) -> JournalEntry:
        """
        Put a step on record before it is begun; return the job as it stands now.

        Raises:
            JournalError: it is not on record, and the step must not be begun.
        """
        self.probe(f"before {step}")
        entry = JournalEntry(renewal=renewal, step=step, at=self.clock.now().isoformat(), **added)  # type: ignore[arg-type]
        job = self.journal.write(entry)
        # Most steps are taken when no event is at hand: the job's key says which trace it is.
        about = {"renewal": renewal, "step": step.value, "trace_id": trace_id(renewal)}
        log.info("token job", extra=about)
        self.probe(f"after {step}")
        return job

    # --- from the journal to the token ----------------------------------------------------------

    def work(self) -> list[ReaderView]:
        """Look at each reader once, and take each job there as far as it goes now."""
        self._publish_all()
        views = self._check_readers()
        self.prompt.keep_only({view.token_serial for view in views})
        self._publish_all()
        return views

    def _check_readers(self) -> list[ReaderView]:
        readers = list(self.readers)
        if self.parallel == 1 or len(readers) < 2:  # noqa: PLR2004 - one after the other
            return [self._check_reader(reader) for reader in readers]
        with ThreadPoolExecutor(self.parallel, thread_name_prefix="reader") as pool:
            return list(pool.map(self._check_reader, readers))

    @contextmanager
    def held(self, reader: TokenReader | OpensTokens) -> Iterator[None]:
        """Keep a reader for one visit, of the station's own or of a person's, and give it back."""
        with self._held.setdefault(reader.name, threading.Lock()):
            try:
                yield
            finally:
                if isinstance(reader, SharedReader):
                    reader.release()

    def _check_reader(self, reader: TokenReader | OpensTokens) -> ReaderView:
        with self.held(reader):
            return self._visit(reader)

    def _visit(self, reader: TokenReader | OpensTokens) -> ReaderView:
        seen = _Seen()
        try:
            view = self._worked_on(reader, seen)
        except CardRemovedError:
            status = ReaderStatus.REMOVED if seen.serial else ReaderStatus.EMPTY
            view = ReaderView(reader=reader.name, status=status)
        except (TokenError, ProofError, NotForUsError) as error:
            self._warn_once(reader.name, str(error))
            return ReaderView(
                reader=reader.name,
                status=ReaderStatus.TROUBLE,
                token_serial=seen.serial,
                renewal=seen.job.renewal if seen.job else "",
                detail=_reason_of(error).stored(),
            )
        self._warned.pop(reader.name, None)
        return view

    def _warn_once(self, reader: str, error: str) -> None:
        """A token that stays in its reader is looked at every second."""
        if self._warned.get(reader) != error:
            self._warned[reader] = error
            log.warning("token not read", extra={"reader": reader, "error": error})

    def _worked_on(self, reader: TokenReader | OpensTokens, seen: _Seen) -> ReaderView:
        session = None
        try:
            session = self._open(reader)
            seen.serial = session.serial
            seen.job = self._job_of(session.serial)
        except NoSerialError:
            seen.job = self._job_for_blank(reader.name)
            if seen.job is None:
                raise
        if seen.job is not None and seen.job.is_enrolment:
            return self._enrolled(reader, seen.job)
        if seen.job is None or session is None:
            status = ReaderStatus.OTHER_TOKEN
            return ReaderView(reader=reader.name, status=status, token_serial=seen.serial)
        return _gone_on(reader.name, TokenRenewal(self, session, seen.job))

    def _open(self, reader: TokenReader | OpensTokens) -> TokenSession:
        return open_token(reader, self.write_keys)

    def _enrolled(self, reader: TokenReader | OpensTokens, job: JournalEntry) -> ReaderView:
        """Make a blank token one of ours, and then its key."""
        serial = job.token_serial or ""
        if job.step in PREPARATION:
            blank = open_blank(reader, token_serial(serial), self.write_keys)
            view = ReaderView(
                reader=reader.name,
                status=ReaderStatus.DECLINED,
                token_serial=serial,
                renewal=job.renewal,
            )
            try:
                job = prepared(self, blank, job)
            except LastTryError:
                return replace(view, status=ReaderStatus.LAST_TRY)
            if job.step is Step.DECLINING:
                return view
        return _gone_on(reader.name, TokenEnrolment(self, self._open(reader), job))

    def _job_for_blank(self, reader: str) -> JournalEntry | None:
        """The enrolment whose token this is, which tells no serial itself: a person says so."""
        if not isinstance(self.operator, AssignsSerials):
            return None
        for job in self.journal.open_jobs():
            if is_unmarked(job) and self.prompt.ask_assignment(self.operator, job, reader):
                return job
        return None

    def _job_of(self, serial: str) -> JournalEntry | None:
        """
        The job that waits for the token, however its serial is written in the bank's files.
        """
        known = token_serial(serial)
        waiting = self.journal.open_jobs()
        return next((job for job in waiting if token_serial(job.token_serial or "") == known), None)

    @property
    def write_keys(self) -> WriteKeys:
        common = self.management_key.value if self.management_key else None
        return WriteKeys(common=common, of_job=self._key_of_job)

    def _key_of_job(self, serial: str) -> bytes | None:
        job = self._job_of(serial)
        if job is None or job.write_key is None:
            return None
        return opened(self.key, job.write_key, write_key_of(job.renewal))

    # --- from the journal to the log ------------------------------------------------------------

    def _publish_all(self) -> None:
        """
        Publish what is on record: never while a token is held, for that may wait for the network.

        Where the log is not reached, the work goes on, and it is published at the next time.
        """
        try:
            for job in self.journal.open_jobs():
                self.publish_pending(job)
        except LogUnavailableError:
            self.is_heard = False
        else:
            self.is_heard = True

    def publish_pending(self, job: JournalEntry) -> JournalEntry:
        """Publish what is on record and may never have been published; that needs no token."""
        event = job_events.pending_event(job)
        if event is None:
            return job
        self.publish(event, at=datetime.fromisoformat(job.at))
        return self.record(job.renewal, job_events.PUBLISHED_AS[job.step])

    def publish(self, event: TokenEvent, *, at: datetime) -> None:
        """
        Publish it, signed with this station's own key. ``at``: of the step that it reports, so
        that what is published a second time is the same fact.
        """
        self.log.append([self.identity.signed(event, at=at)])


@dataclass
class _Seen:
    """What is known of a reader's token when an error ends the visit."""

    serial: str = ""
    job: JournalEntry | None = None


def _gone_on(reader: str, work: TokenRenewal) -> ReaderView:
    return ReaderView(
        reader=reader,
        status=work.go_on(),
        token_serial=work.session.serial,
        renewal=work.job.renewal,
        tries_left=work.tries_left,
    )


def _reason_of(error: TokenError | ProofError | NotForUsError) -> Reason:
    return TokenReason.NOT_FOR_US.why() if isinstance(error, NotForUsError) else error.reason
