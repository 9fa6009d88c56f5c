"""Has the CA revoke replaced certificates, and those that a person asks to change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from renewal.errors import GatewayRefusedError
from renewal.lifecycle import certificates, old_certificates, renewals
from renewal.lifecycle.tasks import open_task
from renewal.outcome import Done, IfInterrupted, Outcome, Reject, Retry, not_for
from renewal.store import certificates as queries
from renewal.store import renewals as renewal_queries
from schema.events import (
    CertificateActivated,
    CertificateChanged,
    Change,
    ChangeRequested,
    ChangeRequestedV1,
    Event,
    RenewalAbandoned,
    RenewalRefused,
    RevocationReason,
    Topic,
)
from schema.policy import Old
from schema.reasons import CaReason, DecisionKind, DeferralReason, EndReason
from schema.states import CERTIFICATE, CertificateState, OldState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from consumers.registry import Installation
    from renewal.db.rows import Certificate
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.gateways.ca.port import CertificationAuthority
    from renewal.rules.policies import Policies

    WishedChange = ChangeRequested | ChangeRequestedV1


@dataclass(frozen=True, kw_only=True)
class ChangeCertificate:
    certificate: int
    serial: int
    change: Change
    reason: RevocationReason
    request_id: str
    renewal: str | None  #: whose certificate it is: the old one, or a new one in vain
    replaced: bool = False  #: it is the old one
    emit: CertificateChanged | None = None


@dataclass(frozen=True)
class ChangeAnswer:
    refused: str = ""


#: Why a renewal under way ends, when its certificate is changed so.
ENDS_RENEWAL = {
    Change.SUSPEND: EndReason.CERTIFICATE_SUSPENDED,
    Change.REVOKE: EndReason.CERTIFICATE_REVOKED,
}

#: What a certificate may become by a person's wish; a permanent revocation is never changed.
ALLOWED = {
    Change.SUSPEND: (CertificateState.ACTIVE, CertificateState.SUSPENDED),  # by us already
    Change.RESUME: (CertificateState.SUSPENDED,),
    Change.REVOKE: (
        CertificateState.ACTIVE,
        CertificateState.SUSPENDED,
        CertificateState.SUPERSEDED,
        CertificateState.PENDING,
    ),
}
#: Nothing is left to be done about the old one.
SETTLED = (OldState.REVOKED, OldState.KEPT, OldState.NONE)
#: What the old one may be after a renewal.
RENEWED = frozenset({CertificateState.SUPERSEDED, CertificateState.REVOKED})
BECOMES = {
    Change.SUSPEND: CertificateState.SUSPENDED,
    Change.RESUME: CertificateState.ACTIVE,
    Change.REVOKE: CertificateState.REVOKED,
}
#: What a change that the CA has made is called in the certificate's story.
CHANGED = {
    Change.SUSPEND: DecisionKind.CA_SUSPENDED,
    Change.RESUME: DecisionKind.CA_RESUMED,
    Change.REVOKE: DecisionKind.CA_REVOKED,
}
NOT_CHANGED = {
    Change.SUSPEND: DecisionKind.CA_SUSPEND_REFUSED,
    Change.RESUME: DecisionKind.CA_RESUME_REFUSED,
    Change.REVOKE: DecisionKind.CA_REVOKE_REFUSED,
}


@dataclass(frozen=True, kw_only=True)
class Revocation:
    group: ClassVar[str] = "revocation"
    topics: ClassVar[tuple[str, ...]] = (Topic.RENEWALS.value, Topic.CERTIFICATES.value)
    kinds: ClassVar[tuple[type[Event], ...]] = (
        CertificateActivated,
        RenewalRefused,
        RenewalAbandoned,
        ChangeRequested,
        ChangeRequestedV1,
    )
    if_interrupted: ClassVar[IfInterrupted] = IfInterrupted.REPEAT  # the CA does each of them once

    ca: CertificationAuthority
    policies: Policies

    @classmethod
    def of(cls, it: Installation) -> Revocation:
        return cls(ca=it.gateways.ca, policies=it.policies)

    def preload(self, events: Sequence[Event], work: UnitOfWork) -> None:
        work.renewals.load(event.renewal for event in events if hasattr(event, "renewal"))
        work.certificates.load(_certificate(event, work) for event in events)
        work.certificates.load(e.new for e in events if isinstance(e, CertificateActivated))

    def prepare(
        self, event: Event, work: UnitOfWork, *, outcome_unknown: bool
    ) -> ChangeCertificate | Outcome:
        del outcome_unknown
        if isinstance(event, CertificateActivated):
            return self._old_one(event, work)
        if isinstance(event, ChangeRequested | ChangeRequestedV1):
            return self._wished(event, work)
        if isinstance(event, RenewalRefused | RenewalAbandoned):
            return self._unused_one(event.renewal, work)
        return not_for(self.group, event)

    def _old_one(
        self, event: CertificateActivated, work: UnitOfWork
    ) -> ChangeCertificate | Outcome:
        renewal, old = work.renewals.get(event.renewal), work.certificates.get(event.old)
        # What was on a lost token is never left to expire, whatever its product's policy keeps.
        kept = self.policies.of(renewal.product).old is Old.KEEP and renewal.blank_token is None
        if renewal.old_state in SETTLED:
            return Done()
        if kept:
            old_certificates.keep(work, renewal)
            return Done()
        if old.state == CertificateState.REVOKED:
            old_certificates.found_revoked(work, renewal)
            return Done()
        if not self.ca.issues_as(old.issuer_hash):
            open_task(work, old, Change.REVOKE, renewal=renewal.id)
            old_certificates.keep(work, renewal, CaReason.OTHER_CA)
            return Done()
        new = work.certificates.get(event.new)
        if new.not_before > work.at:  # I1: its policy has changed since, or the CA's clock is ahead
            return Retry(
                new.not_before - work.at, DeferralReason.NEW_BEGINS_LATER.why(), spends_a_try=False
            )
        old_certificates.to_revoke(work, renewal)
        return ChangeCertificate(
            certificate=old.id,
            serial=int(old.serial, 16),
            change=Change.REVOKE,
            reason=RevocationReason.SUPERSEDED,
            request_id=f"{renewal.id}/revoke",
            replaced=True,
            renewal=renewal.id,
        )

    def _unused_one(self, key: str, work: UnitOfWork) -> ChangeCertificate | Outcome:
        """A certificate that was issued and never proven is revoked; the old one is untouched."""
        renewal = work.renewals.get(key)
        if renewal.new_certificate is None:
            return Done()
        new = work.certificates.get(renewal.new_certificate)
        if new.state != CertificateState.PENDING:
            return Done()
        return ChangeCertificate(
            certificate=new.id,
            serial=int(new.serial, 16),
            change=Change.REVOKE,
            reason=RevocationReason.CESSATION_OF_OPERATION,
            request_id=f"{renewal.id}/take-back",
            renewal=renewal.id,
        )

    def _wished(self, event: WishedChange, work: UnitOfWork) -> ChangeCertificate | Outcome:
        certificate = work.certificates.get(event.certificate)
        if event.change is Change.SUSPEND and certificate.state in RENEWED:
            return Done(emit=self._successor(certificate, work))
        if certificate.state not in ALLOWED[event.change]:
            self._not_changed(certificate, event.change, work)
            return Done()
        if event.change is Change.SUSPEND and certificate.state == CertificateState.SUSPENDED:
            self._end_renewal(certificate, event.change, work)
        if not self.ca.issues_as(certificate.issuer_hash):
            open_task(work, certificate, event.change, number=event.number)
            return Done()
        return ChangeCertificate(
            certificate=certificate.id,
            serial=int(certificate.serial, 16),
            change=event.change,
            reason=_reason_of(event),
            request_id=f"C{certificate.id:08d}-{event.number:02d}/{event.change.value}",
            emit=_changed(event, certificate, work.at),
            renewal=None,
        )

    def carry_out(self, order: ChangeCertificate) -> ChangeAnswer:
        try:
            if order.change is Change.SUSPEND:
                self.ca.suspend(order.serial, request_id=order.request_id)
            elif order.change is Change.RESUME:
                self.ca.resume(order.serial, request_id=order.request_id)
            else:
                self.ca.revoke(order.serial, order.reason, request_id=order.request_id)
        except GatewayRefusedError as error:
            return ChangeAnswer(refused=str(error))
        return ChangeAnswer()

    def preload_orders(self, orders: Sequence[ChangeCertificate], work: UnitOfWork) -> None:
        work.certificates.load(order.certificate for order in orders)
        work.renewals.load(order.renewal for order in orders)

    def conclude(self, order: ChangeCertificate, answer: ChangeAnswer, work: UnitOfWork) -> Outcome:
        certificate = work.certificates.get(order.certificate)
        if answer.refused:
            why = CaReason.SAID.why(detail=answer.refused)
            kind = DecisionKind.CA_REFUSED
            work.record_decision(certificate.id, kind, why, renewal=order.renewal)
            if order.change is Change.SUSPEND:  # it is closed here, and open to whoever asks the CA
                open_task(work, certificate, order.change)
            refused = CaReason.CHANGE_REFUSED
            return Reject(refused.why(change=order.change.value, detail=answer.refused))
        follows: tuple[Event, ...] = ()
        if order.change is Change.SUSPEND and certificate.state in RENEWED:
            follows = self._successor(certificate, work)  # renewed while the CA was asked
        else:
            self._changed(certificate, order, work)
            if order.renewal is None:
                self._end_renewal(certificate, order.change, work)
        if order.replaced:
            renewal = work.renewals.get(order.renewal)
            if renewal.old_state not in SETTLED:
                old_certificates.revoked(work, renewal)
        reason = CaReason(order.reason.value) if order.change is Change.REVOKE else None
        changed = CHANGED[order.change]
        work.record_decision(certificate.id, changed, reason, renewal=order.renewal)
        return Done(emit=follows if order.emit is None else (order.emit, *follows))

    def _successor(self, certificate: Certificate, work: UnitOfWork) -> tuple[Event, ...]:
        """
        A suspension survives renewal: requested for the old certificate, it holds for the new one.
        """
        new = None
        if certificate.state == CertificateState.SUPERSEDED or self._was_renewed(certificate, work):
            in_slot = queries.in_slot(work, certificate.slot)
            new = next((one for one in in_slot if one.state == CertificateState.ACTIVE), None)
        if new is None:
            self._not_changed(certificate, Change.SUSPEND, work)
            return ()
        new = work.certificates.change(new, changes=new.changes + 1)
        on, asked = DecisionKind.CA_SUSPEND_PASSED_ON, DecisionKind.CA_SUSPEND_ASKED
        work.record_decision(certificate.id, on, CaReason.PASSED_ON)
        work.record_decision(new.id, asked, CaReason.PASSED_DOWN)
        return (ChangeRequested(certificate=new.id, change=Change.SUSPEND, number=new.changes),)

    def _not_changed(self, certificate: Certificate, change: Change, work: UnitOfWork) -> None:
        why = CaReason.CERTIFICATE_STATE.why(certificate_state=certificate.state)
        work.record_decision(certificate.id, NOT_CHANGED[change], why)

    def _was_renewed(self, certificate: Certificate, work: UnitOfWork) -> bool:
        """Whether it is revoked because of its successor."""
        renewed = renewal_queries.of_certificate(work, certificate.id)
        return any(
            one.state in renewals.IN_FORCE and not renewals.is_application(one) for one in renewed
        )

    def _end_renewal(self, certificate: Certificate, change: Change, work: UnitOfWork) -> None:
        """
        I2: what was suspended or revoked is not renewed.

        While the bank or the CA is being asked, the renewal's next step sees it.
        """
        why = ENDS_RENEWAL.get(change)
        if why is None:
            return
        renewal = renewal_queries.open_in_slot(work, certificate.slot)
        if renewal is None or renewal.state not in renewals.WAITS_FOR_CUSTOMER:
            return
        if certificate.id in {renewal.certificate, renewal.new_certificate}:
            renewals.refuse(work, renewal, why, self.policies)

    def _changed(
        self, certificate: Certificate, order: ChangeCertificate, work: UnitOfWork
    ) -> None:
        if not CERTIFICATE.allows(certificate.state, BECOMES[order.change]):
            return  # another was first: it is so already, or revoked for good
        if order.change is Change.SUSPEND:
            certificates.suspend(work, certificate)
        elif order.change is Change.RESUME:
            certificates.resume(work, certificate, self.policies)
        else:
            certificates.revoke(work, certificate)


def _certificate(event: Event, work: UnitOfWork) -> int | None:
    """The certificate that may have to be changed."""
    match event:
        case CertificateActivated():
            return event.old
        case ChangeRequested() | ChangeRequestedV1():
            return event.certificate
        case RenewalRefused() | RenewalAbandoned():
            return work.renewals.get(event.renewal).new_certificate
        case _:
            return None


def _reason_of(event: WishedChange) -> RevocationReason:
    given = event.reason if isinstance(event, ChangeRequested) else None
    return given or RevocationReason.CESSATION_OF_OPERATION


def _changed(
    event: WishedChange, certificate: Certificate, at: datetime
) -> CertificateChanged | None:
    """The event for its holder; none for a certificate that was never in force."""
    if certificate.state == CertificateState.PENDING:
        return None
    return CertificateChanged(
        certificate=certificate.id, change=event.change, number=event.number, changed=at
    )
