"""Puts what stations tell on the centre's audit trail."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from renewal.outcome import Done, Outcome, Reject
from renewal.rules.statements import FalseStatementError, verify
from renewal.store import audit, stations
from schema.events import StationEnrolled
from schema.reasons import OutcomeReason, StatementReason

if TYPE_CHECKING:
    from renewal.db.unit_of_work import UnitOfWork
    from schema.events import StationDeed

log = logging.getLogger(__name__)

WHO, DID, OBJECT, WHY = 64, 48, 96, 300  #: characters, as the trail's columns hold


def told_by_station(event: StationDeed | StationEnrolled, work: UnitOfWork) -> Outcome:
    if isinstance(event, StationEnrolled):
        return _enrolled(event, work)
    return _done_there(event, work)


def _done_there(event: StationDeed, work: UnitOfWork) -> Outcome:
    """
    Believe the line if a station that is or was enrolled has signed it.

    A revoked station's lines of before its revocation are still evidence.
    """
    try:
        _check(event, work)
    except FalseStatementError as error:
        log.warning("false deed of a station", extra={"station": event.station[:WHO]})
        return Reject(OutcomeReason.FALSE_STATEMENT.why(detail=error.reason.stored()))
    about = " ".join(
        f"{kind} {value}"
        for kind, value in (("token", event.token_serial), ("renewal", event.renewal))
        if value
    )
    audit.write(
        work,
        who=event.who[:WHO] or "-",
        did=f"station: {event.what}"[:DID],
        object_=(about or f"station {event.station}")[:OBJECT],
        why=f"branch {event.branch}, station {event.station}, line {event.number}, "
        f"{event.said_at}, {event.chain[:16]} {event.note}"[:WHY],
    )
    return Done()


def _enrolled(event: StationEnrolled, work: UnitOfWork) -> Outcome:
    """
    Write down that a code has enrolled a station, as the tables have it, not as the event does.

    The port to the world enrols stations, and has neither the trail nor its key.
    """
    station = stations.find(work, event.station)
    by = stations.who_let_in(work, event.station)
    if station is None or by is None or station.enrolled_at != event.enrolled_at:
        log.warning("false enrolment of a station", extra={"station": event.station[:WHO]})
        detail = StatementReason.UNKNOWN_KEY.why().stored()
        return Reject(OutcomeReason.FALSE_STATEMENT.why(detail=detail))
    about = f"station {station.number} of branch {station.branch}"
    audit.write(work, who=by, did="enrol station", object_=about, why="by its code")
    return Done()


def _check(event: StationDeed, work: UnitOfWork) -> None:
    station = stations.find(work, event.station)
    if station is None or event.said_at is None:
        raise FalseStatementError(StatementReason.UNKNOWN_KEY)
    if station.branch != event.branch:
        raise FalseStatementError(StatementReason.OTHER_BRANCH)
    if station.revoked_at is not None and event.said_at > station.revoked_at:
        raise FalseStatementError(StatementReason.UNKNOWN_KEY)
    verify(event, station.public_key)
