"""Translates between the centre's events and the station's journal."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, TypeGuard

from renewal.rules.station_link import LinkError, check_job
from schema.events import (
    SignedTokenJob,
    TokenDeclined,
    TokenEnrolmentRequested,
    TokenJobDoubted,
    TokenJobRequested,
    TokenRequestSigned,
    TokenWritten,
)
from schema.reasons import TokenReason
from token_station.journal import Step
from token_station.piv.keys import ALGORITHMS

if TYPE_CHECKING:
    from schema.events import TokenEvent, TokenJob
    from schema.reasons import Reason
    from token_station.journal import JournalEntry

#: A step whose event may not have been published yet, and the step that follows its publication.
PUBLISHED_AS = {
    Step.REQUEST_SIGNED: Step.REQUEST_SENT,
    Step.PROVEN: Step.DONE,
    Step.DECLINING: Step.ENDED,
}


def why_impossible(event: TokenJob) -> Reason | None:
    try:
        base64.b64decode(event.challenge, validate=True)
    except ValueError:
        return TokenReason.JOB_CHALLENGE.why()
    if event.algorithm not in ALGORITHMS:
        allowed = ", ".join(ALGORITHMS)
        return TokenReason.JOB_ALGORITHM.why(algorithm=event.algorithm[:40], allowed=allowed)
    return None


def job_fields(event: SignedTokenJob) -> dict[str, object]:
    """Return what the journal keeps of a job."""
    return {
        "token_serial": event.token_serial,
        "old_certificate_sha256": event.old_certificate_sha256,
        "keep_sha256": event.keep_sha256,
        **_replaceable(event),
        "algorithm": event.algorithm,
        "challenge": event.challenge,
        "write_key": event.write_key,
        "is_enrolment": isinstance(event, TokenEnrolmentRequested) or None,
    }


def _replaceable(event: SignedTokenJob) -> dict[str, object]:
    if not isinstance(event, TokenJobRequested):  # on a blank token nothing is
        return {}
    return {
        "replace_sha256": event.replace_sha256,
        "replace_keys_sha256": event.replace_keys_sha256,
    }


def doubted(event: TokenJob) -> TokenJobDoubted:
    signed = isinstance(event, SignedTokenJob)
    return TokenJobDoubted(renewal=event.renewal, token_serial=event.token_serial, signed=signed)


def is_of_centre(event: TokenJob, centre: bytes) -> TypeGuard[SignedTokenJob]:
    """Whether the centre has signed it; one of a version before is not signed at all."""
    if not isinstance(event, SignedTokenJob):
        return False
    try:
        check_job(event, centre)
    except LinkError:
        return False
    return True


def declined(event: TokenJob, why: Reason) -> TokenDeclined:
    return TokenDeclined(renewal=event.renewal, token_serial=event.token_serial, why=why.stored())


def pending_event(job: JournalEntry) -> TokenEvent | None:
    """Return the event that is on record and may never have been published."""
    serial = job.token_serial or ""
    match job.step:
        case Step.REQUEST_SIGNED:
            return TokenRequestSigned(
                renewal=job.renewal, token_serial=serial, csr=job.csr or "", proof=job.proof or ""
            )
        case Step.PROVEN:
            return TokenWritten(
                renewal=job.renewal,
                token_serial=serial,
                certificate_sha256=job.certificate_sha256 or "",
                signature=job.signature or "",
            )
        case Step.DECLINING:
            return TokenDeclined(renewal=job.renewal, token_serial=serial, why=job.why or "")
        case _:
            return None
