"""Puts a job of the journal into what its page shows: steps, the phase, what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from token_station.journal import Step
from token_station.reader_views import ReaderStatus

if TYPE_CHECKING:
    from token_station.journal import JournalEntry
    from token_station.reader_views import ReaderView
    from token_station.screen.worker import Worker

#: The number of the step on the page that a job is at, by the last step on record.
STEPS = {
    Step.WAITING: 1,
    Step.SEEN: 2,
    Step.PREPARING: 2,
    Step.MARKED: 2,
    Step.SETTING_PUK: 2,
    Step.PREPARED: 2,
    Step.PIN_SET: 3,
    Step.PIN_VERIFIED: 3,
    Step.MAKING_KEY: 3,
    Step.KEY_MADE: 4,
    Step.REQUEST_SIGNED: 5,
    Step.REQUEST_SENT: 5,
    Step.CERTIFICATE_RECEIVED: 6,
    Step.WRITING: 6,
    Step.WRITTEN: 8,
    Step.PROVEN: 9,
    Step.DONE: 9,
    Step.DECLINING: 0,
    Step.ENDED: 0,
}


class JobPhase(StrEnum):
    """Which of the job's pages it is."""

    INSERT = "insert"
    PIN = "pin"
    LAST_TRY = "last-try"
    CONSENT = "consent"
    PROGRESS = "progress"
    REMOVED = "removed"
    TROUBLE = "trouble"
    DONE = "done"
    ENDED = "ended"


@dataclass(frozen=True, kw_only=True)
class JobView:
    renewal: str
    serial: str
    step: int
    phase: JobPhase
    at: str
    reader: str
    tries_left: int | None
    outcome: ReaderView | None
    slot: str
    detail: str


def view(worker: Worker, job: JournalEntry) -> JobView:
    here = worker.at(job.renewal)
    return JobView(
        renewal=job.renewal,
        serial=job.token_serial or "",
        step=STEPS[job.step],
        phase=_phase(worker, job, here),
        at=job.at,
        reader=here.reader if here else "",
        tries_left=here.tries_left if here else None,
        outcome=worker.outcome(job.renewal),
        slot=job.place or "",
        detail=here.detail if here else job.why or "",
    )


def _phase(worker: Worker, job: JournalEntry, here: ReaderView | None) -> JobPhase:
    if job.step in {Step.PROVEN, Step.DONE}:
        return JobPhase.DONE
    if job.step in {Step.DECLINING, Step.ENDED}:
        return JobPhase.ENDED
    if here is None:
        return JobPhase.INSERT if job.step in {Step.WAITING, Step.SEEN} else JobPhase.REMOVED
    if here.status is ReaderStatus.TROUBLE:
        return JobPhase.TROUBLE
    if here.status is ReaderStatus.WAITS_FOR_CONSENT:
        return JobPhase.CONSENT
    if here.status in {
        ReaderStatus.WAITS_FOR_PIN,
        ReaderStatus.PIN_WRONG,
        ReaderStatus.PIN_UNFIT,
        ReaderStatus.LAST_TRY,
    }:
        last = here.tries_left in {1, None} and not worker.person.is_released(job.renewal)
        return JobPhase.LAST_TRY if last else JobPhase.PIN
    return JobPhase.PROGRESS
