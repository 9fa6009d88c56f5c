"""Has the CA revoke old certificates once the new one is proven, and what a person wishes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from renewal import cycle
from renewal.errors import GatewayRefusedError
from renewal.gateways.ca.port import CertificationAuthority, Reason
from renewal.outcome import Done, IfInterrupted, Outcome, Reject, Retry
from renewal.store import certificates as queries
from renewal.store import renewals as renewal_queries
from schema.events import (
    CertificateActivated,
    CertificateChanged,
    Change,
    ChangeRequested,
    Event,
    OldCertificateSettled,
    RenewalAbandoned,
    RenewalRefused,
    Topic,
)
from schema.policy import Old

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from renewal.cycle import Policies
    from renewal.store.rows import Certificate
    from renewal.store.work import Work


@dataclass(frozen=True, kw_only=True)
class Order:
    certificate: int
    serial: int
    change: Change
    reason: Reason
    request_id: str
    emit: Event | None
    renewal: str | None


@dataclass(frozen=True)
class Answered:
    refused: str = ""


#: Why a renewal under way ends, when its certificate is changed so.
ENDS_RENEWAL = {Change.SUSPEND: "suspended", Change.REVOKE: "revoked"}

#: What a certificate may become by a person's wish; a permanent revocation is never changed.
ALLOWED = {
    Change.SUSPEND: ("active",),
    Change.RESUME: ("suspended",),
    Change.REVOKE: ("active", "suspended", "superseded", "pending"),
}
#: What the old one may be after a renewal.
RENEWED = frozenset({"superseded", "revoked"})
BECOMES = {Change.SUSPEND: "suspended", Change.RESUME: "active", Change.REVOKE: "revoked"}


@dataclass(frozen=True, kw_only=True)
class Revocation:
    group: ClassVar[str] = "revocation"
    topics: ClassVar[tuple[str, ...]] = (Topic.RENEWALS.value, Topic.CERTIFICATES.value)
    kinds: ClassVar[tuple[type[Event], ...]] = (
        CertificateActivated,
        RenewalRefused,
        RenewalAbandoned,
        ChangeRequested,
    )
    if_interrupted: ClassVar[IfInterrupted] = IfInterrupted.REPEAT  # the CA does each of them once

    ca: CertificationAuthority
    policies: Policies

    def preload(self, events: Sequence[Event], work: Work) -> None:
        work.renewals.load(event.renewal for event in events if hasattr(event, "renewal"))
        work.certificates.load(_certificate(event, work) for event in events)
        work.certificates.load(e.new for e in events if isinstance(e, CertificateActivated))

    def prepare(self, event: Event, work: Work, *, again: bool) -> Order | Outcome:
        del again
        if isinstance(event, CertificateActivated):
            return self._old_one(event, work)
        if isinstance(event, ChangeRequested):
            return self._wished(event, work)
        if isinstance(event, RenewalRefused | RenewalAbandoned):
            return self._unused_one(event.renewal, work)
        return Reject(f"{type(event).__name__} is not for revocation")

    def _old_one(self, event: CertificateActivated, work: Work) -> Order | Outcome:
        renewal, old = work.renewals.get(event.renewal), work.certificates.get(event.old)
        revoke = self.policies.of(renewal.product).old is Old.REVOKE
        if not revoke or old.state == "revoked":
            work.renewals.change(renewal, old_state="revoked" if revoke else "kept")
            work.decide(old.id, "CA", "kept", "until it expires", renewal=renewal.id)
            return Done(emit=(OldCertificateSettled(renewal=renewal.id, revoked=revoke),))
        new = work.certificates.get(event.new)
        if new.not_before > work.at:  # I1: its policy has changed since, or the CA's clock is ahead
            return Retry(new.not_before - work.at, "the new one begins later", spends_a_try=False)
        work.renewals.change(renewal, old_state="to revoke")
        return Order(
            certificate=old.id,
            serial=int(old.serial, 16),
            change=Change.REVOKE,
            reason=Reason.SUPERSEDED,
            request_id=f"{renewal.id}/revoke",
            emit=OldCertificateSettled(renewal=renewal.id, revoked=True),
            renewal=renewal.id,
        )

    def _unused_one(self, key: str, work: Work) -> Order | Outcome:
        """
        A certificate that was issued and never proven is taken back; the old one is untouched.
        """
        renewal = work.renewals.get(key)
        if renewal.new_certificate is None:
            return Done()
        new = work.certificates.get(renewal.new_certificate)
        if new.state != "pending":
            return Done()
        return Order(
            certificate=new.id,
            serial=int(new.serial, 16),
            change=Change.REVOKE,
            reason=Reason.CESSATION_OF_OPERATION,
            request_id=f"{renewal.id}/take-back",
            emit=None,
            renewal=renewal.id,
        )

    def _wished(self, event: ChangeRequested, work: Work) -> Order | Outcome:
        certificate = work.certificates.get(event.certificate)
        if event.change is Change.SUSPEND and certificate.state in RENEWED:
            return Done(emit=self._successor(certificate, work))
        if certificate.state not in ALLOWED[event.change]:
            work.decide(
                certificate.id, "CA", f"{event.change.value} refused", f"it is {certificate.state}"
            )
            return Done()
        return Order(
            certificate=certificate.id,
            serial=int(certificate.serial, 16),
            change=event.change,
            reason=Reason.CESSATION_OF_OPERATION,
            request_id=f"C{certificate.id:08d}-{event.number:02d}/{event.change.value}",
            emit=_changed(event, certificate, work.at),
            renewal=None,
        )

    def carry_out(self, order: Order) -> Answered:
        try:
            if order.change is Change.SUSPEND:
                self.ca.suspend(order.serial, request_id=order.request_id)
            elif order.change is Change.RESUME:
                self.ca.resume(order.serial, request_id=order.request_id)
            else:
                self.ca.revoke(order.serial, order.reason, request_id=order.request_id)
        except GatewayRefusedError as error:
            return Answered(refused=str(error))
        return Answered()

    def preload_orders(self, orders: Sequence[Order], work: Work) -> None:
        work.certificates.load(order.certificate for order in orders)
        work.renewals.load(order.renewal for order in orders)

    def conclude(self, order: Order, answer: Answered, work: Work) -> Outcome:
        certificate = work.certificates.get(order.certificate)
        if answer.refused:
            work.decide(certificate.id, "CA", "refused", answer.refused, renewal=order.renewal)
            return Reject(f"the CA refused to {order.change.value}: {answer.refused}")
        follows: tuple[Event, ...] = ()
        if order.change is Change.SUSPEND and certificate.state in RENEWED:
            follows = self._successor(certificate, work)  # renewed while the CA was asked
        else:
            self._changed(certificate, order, work)
            follows = self._renewal_ended(certificate, order, work)
        if order.renewal is not None and order.emit is not None:
            renewal = work.renewals.get(order.renewal)
            work.renewals.change(renewal, old_state="revoked")
        what = {"suspend": "suspended", "resume": "resumed", "revoke": "revoked"}
        work.decide(
            certificate.id,
            "CA",
            what[order.change.value],
            order.reason.value if order.change is Change.REVOKE else "",
            renewal=order.renewal,
        )
        return Done(emit=follows if order.emit is None else (order.emit, *follows))

    def _successor(self, certificate: Certificate, work: Work) -> tuple[Event, ...]:
        """
        A suspension survives renewal: asked for the old one, it holds for the one in force.
        """
        new = None
        if certificate.state == "superseded" or self._was_renewed(certificate, work):
            in_slot = queries.in_slot(work, certificate.slot)
            new = next((one for one in in_slot if one.state == "active"), None)
        if new is None:
            work.decide(certificate.id, "CA", "suspend refused", f"it is {certificate.state}")
            return ()
        new = work.certificates.change(new, changes=new.changes + 1)
        work.decide(certificate.id, "CA", "suspend passed on", "to the one in force")
        work.decide(new.id, "CA", "suspend asked", "of the one before it")
        return (ChangeRequested(certificate=new.id, change=Change.SUSPEND, number=new.changes),)

    def _was_renewed(self, certificate: Certificate, work: Work) -> bool:
        """
        Whether it is revoked for its successor's sake, and not for its own.
        """
        renewed = renewal_queries.of_certificate(work, certificate.id)
        return any(one.state in {"activated", "done"} for one in renewed)

    def _renewal_ended(
        self, certificate: Certificate, order: Order, work: Work
    ) -> tuple[Event, ...]:
        """
        I2: what was suspended or revoked is not renewed.

        While the bank or the CA is being asked, the renewal's next step sees it.
        """
        why = ENDS_RENEWAL.get(order.change) if order.renewal is None else None
        if why is None:
            return ()
        renewal = renewal_queries.open_in_slot(work, certificate.slot)
        if renewal is None or renewal.state not in cycle.WAITS_FOR_CUSTOMER:
            return ()
        if certificate.id not in {renewal.certificate, renewal.new_certificate}:
            return ()
        return cycle.refuse(work, renewal, why, self.policies)

    def _changed(self, certificate: Certificate, order: Order, work: Work) -> None:
        ended = order.change is not Change.RESUME
        changes: dict[str, object] = {"state": BECOMES[order.change]}
        if ended:
            changes["remind_at"] = None
        certificate = work.certificates.change(certificate, **changes)
        if not ended:
            cycle.schedule_reminder(work, certificate, self.policies)


def _certificate(event: Event, work: Work) -> int | None:
    """
    The one that may have to be changed.
    """
    match event:
        case CertificateActivated():
            return event.old
        case ChangeRequested():
            return event.certificate
        case RenewalRefused() | RenewalAbandoned():
            return work.renewals.get(event.renewal).new_certificate
        case _:
            return None


def _changed(
    event: ChangeRequested, certificate: Certificate, at: datetime
) -> CertificateChanged | None:
    """
    What its holder will be told; nothing of a certificate that was never in force.
    """
    if certificate.state == "pending":
        return None
    return CertificateChanged(
        certificate=certificate.id, change=event.change, number=event.number, changed=at
    )
