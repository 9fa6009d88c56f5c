"""The notices, one row for each kind of event: what is said, of which certificate, and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, TypedDict

from renewal.ledger import fee_postings
from renewal.lifecycle.renewals import TO_PROVE, is_application
from renewal.rules.window import closes_at, opens_at
from renewal.store.renewals import open_in_slot
from schema import events as e
from schema.policy import Channel, FeeHow, Storage
from schema.reasons import EndReason, SuppressionReason
from schema.states import CertificateState, FeeState, RecordingState, RenewalState
from schema.stored_reasons import read_reason
from schema.taipei import day_of, end_of
from templates import contexts as f

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from renewal.db.rows import Certificate, Customer, Renewal
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies
    from schema.policy import Policy
    from schema.reasons import ReasonCode

#: Our words for a refusal, and the customer's.
REFUSALS: Mapping[ReasonCode, f.MessageRefusal] = {
    EndReason.FEE_DECLINED: f.MessageRefusal.FEE_DECLINED,
    EndReason.DECLINED_BY_CA: f.MessageRefusal.DECLINED_BY_CA,
    EndReason.CERTIFICATE_SUSPENDED: f.MessageRefusal.SUSPENDED,
    EndReason.CERTIFICATE_REVOKED: f.MessageRefusal.REVOKED,
}
CHANGES: Mapping[e.Change, type[f.SuspendedMessage | f.ResumedMessage | f.RevokedMessage]] = {
    e.Change.SUSPEND: f.SuspendedMessage,
    e.Change.RESUME: f.ResumedMessage,
    e.Change.REVOKE: f.RevokedMessage,
}
#: After so long, what a customer should have heard is told no more. The longest row of days
#: without a text, Lunar New Year with its weekends, is ten.
MAX_NOTICE_AGE = timedelta(days=14)


class TextTime(Enum):
    """When a notice may go as a text message."""

    AT_ONCE = auto()  #: the customer must hear it of his certificate, at any hour
    ANSWER = auto()  #: at once where it answers a customer who has just acted, else within hours
    WITHIN_HOURS = auto()
    FREE_DAY = auto()  #: within hours, on a day that has no other text
    FREE_DAY_LATE = auto()  #: and late in the day, so that it takes the day's text from no reminder


class Common(TypedDict):
    """What every notice says."""

    customer: str
    product: str
    serial_tail: str


@dataclass(frozen=True, kw_only=True)
class NoticeSubject:
    """What a notice is about."""

    event: Any  #: of the row's kind
    certificate: Certificate
    renewal: Renewal | None
    policies: Policies
    work: UnitOfWork

    @property
    def policy(self) -> Policy:
        return self.policies.of(self.certificate.product)

    @property
    def renewed(self) -> Renewal:
        """Of a kind of event that names a renewal."""
        if self.renewal is None:
            raise TypeError(f"{type(self.event).__name__} names no renewal")
        return self.renewal

    def common(self, customer: Customer) -> Common:
        sealed = customer.name_sealed
        title = self.policy.title
        return Common(
            customer=self.work.cipher.open_text(sealed, "customers.name", customer.id),
            product=title.en if customer.locale == "en" else title.zh,
            serial_tail=self.certificate.serial[-6:],
        )


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One row of the table."""

    events: tuple[type[e.Event], ...]
    #: The number of the certificate that it is about.
    certificate: Callable[[Any, UnitOfWork], int | None]
    messages: tuple[type[f.MessageContext], ...]  #: one of these
    fields: Callable[[NoticeSubject, Common], f.MessageContext]
    #: In this order. Mail first: it holds more and disturbs nobody at night.
    channels: tuple[Channel, ...] = (Channel.MAIL, Channel.SMS)
    text_time: TextTime
    urges: bool = False  #: as reminders do: it can be unsubscribed from; a receipt cannot
    matters: bool = False  #: where no channel brings it, the branch calls
    #: Why it is not to be said any more.
    moot: Callable[[NoticeSubject], SuppressionReason | None] = lambda _: None


def notice_of(event: e.Event) -> Notice:
    """
    Raises:
        TypeError: no row is for that kind of event.
    """
    found = _BY_EVENT.get(type(event))
    if found is None:
        raise TypeError(f"{type(event).__name__} is not for notices")
    return found


# --- which certificate ----------------------------------------------------------------------------


def _of_payment(event: e.FeePaid | e.FeeRefunded, work: UnitOfWork) -> int | None:
    return work.payments.get(event.payment).certificate


def _new_one(
    event: e.RenewalDone | e.NotCollectedDue | e.RecordingDue | e.RenewalRecorded, work: UnitOfWork
) -> int | None:
    return work.renewals.get(event.renewal).new_certificate


def _old_one(
    event: e.RenewalRefused | e.CustomerInvited | e.TokenJobExpired, work: UnitOfWork
) -> int | None:
    return work.renewals.get(event.renewal).certificate


def _named(event: e.RenewalWindowLeft | e.ChangeEvent, _: UnitOfWork) -> int | None:
    return event.certificate


# --- what is said ---------------------------------------------------------------------------------


def _done(about: NoticeSubject, common: Common) -> f.MessageContext:
    certificate, renewal = about.certificate, about.renewed
    if renewal.fee_state == FeeState.CAPTURED:
        return f.ReceiptMessage(
            **common,
            amount=renewal.fee_amount,
            paid_at=renewal.moved_at,
            valid_from=certificate.not_before,
            valid_to=certificate.not_after,
        )
    return f.RenewedMessage(
        **common,
        valid_from=certificate.not_before,
        valid_to=certificate.not_after,
        in_browser=about.policy.storage is Storage.BROWSER,
        applied=is_application(renewal),
    )


def _refused(about: NoticeSubject, common: Common) -> f.MessageContext:
    why = read_reason(about.event.why).code
    return f.RefusedMessage(**common, reason=REFUSALS.get(why, f.MessageRefusal.WRONG_TOKEN))


def _fee_paid(about: NoticeSubject, common: Common) -> f.MessageContext:
    payment, ends = about.work.payments.get(about.event.payment), about.certificate.not_after
    opens = opens_at(ends, about.policy.window)
    return f.FeePaidMessage(
        **common,
        amount=payment.amount,
        paid_at=fee_postings.paid_at(about.work, payment.id),
        renew_by=closes_at(ends, about.policy.window),
        opens_at=opens if opens > about.work.at else None,
    )


def _fee_refunded(about: NoticeSubject, common: Common) -> f.MessageContext:
    payment = about.work.payments.get(about.event.payment)
    at = fee_postings.refunded_at(about.work, payment.id)
    return f.RefundedMessage(**common, amount=payment.amount, refunded_at=at)


def _window_left(about: NoticeSubject, common: Common) -> f.MessageContext:
    return f.ExpiredMessage(**common, not_after=about.certificate.not_after)


def _changed(about: NoticeSubject, common: Common) -> f.MessageContext:
    event = about.event
    at = event.changed if isinstance(event, e.CertificateChanged) else about.work.at
    return CHANGES[event.change](**common, at=at)


def _not_collected(about: NoticeSubject, common: Common) -> f.MessageContext:
    issued_at = about.renewed.moved_at
    given_up_after = timedelta(days=about.policy.abandon_after_days)
    return f.NotCollectedMessage(
        **common, issued_at=issued_at, collect_by=issued_at + given_up_after
    )


def _invited(about: NoticeSubject, common: Common) -> f.MessageContext:
    certificate, renewal, policy = about.certificate, about.renewed, about.policy
    return f.InvitedMessage(
        **common,
        not_after=certificate.not_after,
        has_ended=certificate.not_after < about.work.at,
        renew_by=_renew_by(certificate, renewal, policy),
        amount=renewal.fee_amount if policy.fee.how is FeeHow.HOLD else 0,
        branch="" if policy.storage is Storage.BROWSER else renewal.branch or "",
    )


def _job_expired(about: NoticeSubject, common: Common) -> f.MessageContext:
    closes = closes_at(about.certificate.not_after, about.policy.window)
    return f.JobExpiredMessage(
        **common,
        branch=about.renewed.branch or "",
        not_after=about.certificate.not_after,
        renew_by=closes if closes > about.work.at else None,
    )


def _transfers(about: NoticeSubject, common: Common) -> f.MessageContext:
    row = about.work.recordings.get(about.renewed.id)
    usable = row.state == RecordingState.RECORDED
    return f.TransfersMessage(**common, usable=usable, due=row.due_at)


def _renew_by(certificate: Certificate, renewal: Renewal, policy: Policy) -> datetime:
    """The end of the last whole day to follow an invitation."""
    given_up = renewal.moved_at + timedelta(days=policy.abandon_after_days)
    whole = end_of(day_of(given_up) - timedelta(days=1))
    return min(whole, closes_at(certificate.not_after, policy.window))


# --- why it is not said any more ------------------------------------------------------------------


def _collected(about: NoticeSubject) -> SuppressionReason | None:
    waits = about.renewal is not None and about.renewal.state in TO_PROVE
    return None if waits else SuppressionReason.COLLECTED


def _taken_up(about: NoticeSubject) -> SuppressionReason | None:
    unused = about.renewal is not None and about.renewal.state == RenewalState.REQUESTED
    return None if unused else SuppressionReason.INVITATION_OVER


def _asked_again(about: NoticeSubject) -> SuppressionReason | None:
    """A renewal that was asked for since, or has been done, makes the old one no news."""
    is_active = about.certificate.state == CertificateState.ACTIVE
    under_way = open_in_slot(about.work, about.certificate.slot) is not None
    return None if is_active and not under_way else SuppressionReason.MOOT


def _recorded_meanwhile(about: NoticeSubject) -> SuppressionReason | None:
    """That transfers wait is no news any more once they do not."""
    if isinstance(about.event, e.RenewalRecorded):
        return None
    recorded = about.work.recordings.get(about.renewed.id).state == RecordingState.RECORDED
    return SuppressionReason.MOOT if recorded else None


def _stale(about: NoticeSubject) -> SuppressionReason | None:
    """A window that closed long before, e.g. before the installation existed, is no news."""
    closed = closes_at(about.event.not_after, about.policy.window)
    is_old = about.work.at - closed > MAX_NOTICE_AGE
    return SuppressionReason.CLOSED_LONG_AGO if is_old else None


NOTICES: tuple[Notice, ...] = (
    Notice(
        events=(e.RenewalDone,),
        certificate=_new_one,
        messages=(f.ReceiptMessage, f.RenewedMessage),
        fields=_done,
        text_time=TextTime.ANSWER,
    ),
    Notice(
        events=(e.RenewalRefused,),
        certificate=_old_one,
        messages=(f.RefusedMessage,),
        fields=_refused,
        text_time=TextTime.ANSWER,
        matters=True,
    ),
    Notice(
        events=(e.FeePaid,),
        certificate=_of_payment,
        messages=(f.FeePaidMessage,),
        fields=_fee_paid,
        text_time=TextTime.ANSWER,
    ),
    Notice(
        events=(e.FeeRefunded,),
        certificate=_of_payment,
        messages=(f.RefundedMessage,),
        fields=_fee_refunded,
        text_time=TextTime.FREE_DAY_LATE,
        matters=True,
    ),
    Notice(
        events=(e.RenewalWindowLeft,),
        certificate=_named,
        messages=(f.ExpiredMessage,),
        fields=_window_left,
        text_time=TextTime.FREE_DAY_LATE,
        matters=True,
        moot=_stale,
    ),
    Notice(
        events=(e.CertificateChanged, e.CertificateChangedV1),
        certificate=_named,
        messages=tuple(CHANGES.values()),
        fields=_changed,
        text_time=TextTime.AT_ONCE,
        matters=True,
    ),
    Notice(
        events=(e.NotCollectedDue,),
        certificate=_new_one,
        messages=(f.NotCollectedMessage,),
        fields=_not_collected,
        text_time=TextTime.WITHIN_HOURS,
        urges=True,
        matters=True,
        moot=_collected,
    ),
    Notice(
        events=(e.CustomerInvited,),
        certificate=_old_one,
        messages=(f.InvitedMessage,),
        fields=_invited,
        text_time=TextTime.FREE_DAY,
        urges=True,
        matters=True,
        moot=_taken_up,
    ),
    Notice(
        events=(e.TokenJobExpired,),
        certificate=_old_one,
        messages=(f.JobExpiredMessage,),
        fields=_job_expired,
        text_time=TextTime.FREE_DAY_LATE,
        matters=True,
        moot=_asked_again,
    ),
    Notice(
        events=(e.RecordingDue, e.RenewalRecorded),
        certificate=_new_one,
        messages=(f.TransfersMessage,),
        fields=_transfers,
        text_time=TextTime.ANSWER,
        matters=True,
        moot=_recorded_meanwhile,
    ),
)
_BY_EVENT: Mapping[type[e.Event], Notice] = {
    kind: notice for notice in NOTICES for kind in notice.events
}
#: The kinds of event that are told of.
KINDS: tuple[type[e.Event], ...] = tuple(_BY_EVENT)
