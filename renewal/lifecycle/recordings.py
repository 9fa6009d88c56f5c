"""Transitions of what a branch records after a renewal (分行補登), before transfers are usable."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

from renewal.db.rows import Recording
from renewal.errors import NotNowError
from renewal.rules.user_codes import user_code
from schema.events import RecordingDue, RecordingOverdue, RenewalRecorded
from schema.reasons import DecisionKind, RefusalReason
from schema.states import RECORDING, RecordingState
from schema.taipei import day_of, end_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from renewal.db.rows import Renewal
    from renewal.db.unit_of_work import UnitOfWork

SEALED_FOR = "recordings.codes"


def open_for(work: UnitOfWork, renewal: Renewal, days: int) -> Recording:
    """
    The new certificate is in force, and its branch is to record that by the end of a day from now.
    """
    certificate = work.certificates.get(renewal.new_certificate)
    enrolment = work.enrolments.find((renewal.customer, renewal.product))
    due = end_of(day_of(work.at) + timedelta(days=days))
    row = work.recordings.put(
        Recording(
            renewal=renewal.id,
            certificate=certificate.id,
            branch=renewal.branch or (enrolment.branch if enrolment else None),
            state=RecordingState.DUE.value,
            opened_at=work.at,
            due_at=due,
            recorded_at=None,
            recorded_by=None,
            codes_sealed=None,
            version=1,
        )
    )
    _decide(work, row, DecisionKind.RECORDING_DUE)
    work.emit(RecordingDue(renewal=renewal.id, due=due))
    return row


def fall_overdue(work: UnitOfWork, row: Recording) -> None:
    """The day by which it was due is over: from now on it is a supervisor's matter."""
    _change(work, row, RecordingState.OVERDUE)
    _decide(work, row, DecisionKind.RECORDING_OVERDUE)
    work.emit(RecordingOverdue(renewal=row.renewal))


def record(work: UnitOfWork, row: Recording, codes: Sequence[str], *, who: str) -> Recording:
    """
    The branch has recorded the renewal, with the user codes that share the certificate.

    Raises:
        NotNowError: it is recorded already, or one of these is no user code.
    """
    if row.state == RecordingState.RECORDED:
        raise NotNowError(RefusalReason.RECORDED_ALREADY, f"renewal {row.renewal}")
    spelt = sorted({user_code(code) for code in codes})
    if "" in spelt:
        raise NotNowError(RefusalReason.USER_CODE, f"renewal {row.renewal}")
    sealed = work.cipher.seal(json.dumps(spelt), SEALED_FOR, row.renewal)
    row = _change(
        work, row, RecordingState.RECORDED, recorded_at=work.at, recorded_by=who,
        codes_sealed=sealed,
    )  # fmt: skip
    _decide(work, row, DecisionKind.RECORDING_RECORDED)
    work.emit(RenewalRecorded(renewal=row.renewal))
    return row


def codes_of(look: UnitOfWork, row: Recording) -> list[str]:
    """The user codes that were recorded, in clear: whoever shows them masks them."""
    if row.codes_sealed is None:
        return []
    found: list[str] = json.loads(look.cipher.open_text(row.codes_sealed, SEALED_FOR, row.renewal))
    return found


def _decide(work: UnitOfWork, row: Recording, kind: DecisionKind) -> None:
    work.record_decision(row.certificate, kind, renewal=row.renewal)


def _change(
    work: UnitOfWork, row: Recording, state: RecordingState, **changes: object
) -> Recording:
    RECORDING.check(row.state, state)
    return work.recordings.change(row, state=state.value, **changes)
