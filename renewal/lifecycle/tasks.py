"""Opens and ends what people must do: at another CA, or to find a customer's number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renewal.db.rows import Task
from renewal.lifecycle import certificates, renewals
from renewal.store import renewals as renewal_queries
from renewal.store import tasks as queries
from schema.events import CertificateChanged, Change
from schema.reasons import CaReason, DecisionKind, EndReason, StatedReason
from schema.states import CERTIFICATE, TASK, CertificateState, TaskState
from schema.tables.tasks import tasks

if TYPE_CHECKING:
    from renewal.db.rows import Certificate
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies
    from schema.reasons import Reason

FIND_NUMBER = "find number"  #: in place of a change: what is to be done is no change at a CA
_BECOMES = {
    Change.SUSPEND: CertificateState.SUSPENDED,
    Change.RESUME: CertificateState.ACTIVE,
    Change.REVOKE: CertificateState.REVOKED,
}
_ENDS_RENEWAL = {
    Change.SUSPEND: EndReason.CERTIFICATE_SUSPENDED,
    Change.REVOKE: EndReason.CERTIFICATE_REVOKED,
}


def open_task(
    work: UnitOfWork,
    certificate: Certificate,
    change: Change,
    *,
    number: int = 0,
    renewal: str | None = None,
) -> Task:
    """A person is to do this at the CA that has issued the certificate. Asked twice, it is one."""
    known = queries.open_of(work, certificate.id, change.value)
    if known is not None:
        return known
    kind, why = DecisionKind.CA_TASK_OPENED, CaReason.OTHER_CA
    work.record_decision(certificate.id, kind, why, renewal=renewal)
    return _opened(work, certificate, change.value, number=number, renewal=renewal)


def _opened(
    work: UnitOfWork,
    certificate: Certificate,
    change: str,
    *,
    number: int = 0,
    renewal: str | None = None,
) -> Task:
    (task,) = work.new_ids(tasks, 1)
    return work.tasks.put(
        Task(
            id=task,
            certificate=certificate.id,
            change=change,
            number=number,
            renewal=renewal,
            state=TaskState.OPEN.value,
            opened_at=work.at,
            ended_at=None,
            ended_by=None,
            why=None,
            version=1,
        )
    )


def find_number(work: UnitOfWork, certificate: Certificate, why: Reason) -> Task:
    """A person is to find the customer's right telephone number. Asked twice, it is one."""
    known = queries.open_of(work, certificate.id, FIND_NUMBER)
    if known is not None:
        return known
    work.record_decision(certificate.id, DecisionKind.CALL_TO_BE_FOUND, why)
    return _opened(work, certificate, FIND_NUMBER)


def number_found(work: UnitOfWork, certificate: Certificate, *, who: str, why: str) -> None:
    """The customer's telephone has been changed: nobody need look for it any more."""
    known = queries.open_of(work, certificate.id, FIND_NUMBER)
    if known is not None:
        _end(work, known, TaskState.DONE, who=who, why=why)


def done(work: UnitOfWork, task: Task, policies: Policies, *, who: str, why: str) -> None:
    """It was done: our row follows, and what hangs on it."""
    _end(work, task, TaskState.DONE, who=who, why=why)
    if task.change == FIND_NUMBER:
        note = StatedReason.NOTE.why(note=why)
        work.record_decision(task.certificate, DecisionKind.CALL_NUMBER_FOUND, note)
        return
    certificate = work.certificates.get(task.certificate)
    change = Change(task.change)
    note = CaReason.DONE_ELSEWHERE.why(note=why)
    kind = DecisionKind.CA_TASK_DONE
    work.record_decision(certificate.id, kind, note, renewal=task.renewal)
    if CERTIFICATE.allows(certificate.state, _BECOMES[change]):
        _follow(work, certificate, change, policies)
    elif certificate.state != _BECOMES[change]:  # a suspension was ours already
        return
    if task.number:  # a person has asked for it: its holder is told
        work.emit(
            CertificateChanged(
                certificate=certificate.id, change=change, number=task.number, changed=work.at
            )
        )
        _end_renewal(work, certificate, change, policies)


def not_needed(work: UnitOfWork, task: Task, *, who: str, why: str) -> None:
    """Nothing is to be done after all; the certificate stays as it is."""
    _end(work, task, TaskState.NOT_NEEDED, who=who, why=why)


def _end(work: UnitOfWork, task: Task, state: TaskState, *, who: str, why: str) -> None:
    TASK.check(task.state, state)
    work.tasks.change(task, state=state.value, ended_at=work.at, ended_by=who, why=why)


def _follow(work: UnitOfWork, certificate: Certificate, change: Change, policies: Policies) -> None:
    if change is Change.SUSPEND:
        certificates.suspend(work, certificate)
    elif change is Change.RESUME:
        certificates.resume(work, certificate, policies)
    else:
        certificates.revoke(work, certificate)


def _end_renewal(
    work: UnitOfWork, certificate: Certificate, change: Change, policies: Policies
) -> None:
    """I2: what was suspended or revoked is not renewed."""
    why = _ENDS_RENEWAL.get(change)
    renewal = renewal_queries.open_in_slot(work, certificate.slot)
    if why is None or renewal is None or renewal.state not in renewals.WAITS_FOR_CUSTOMER:
        return
    if certificate.id in {renewal.certificate, renewal.new_certificate}:
        renewals.refuse(work, renewal, why, policies)
