"""The context of each message."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from datetime import datetime

MAX_ROWS = 100  #: certificates that a reminder lists by name


@dataclass(frozen=True, kw_only=True)
class MessageContext:
    """
    What every message takes. Moments carry their time zone; amounts are whole New Taiwan dollars.

    Titles of products are given in the language of the message; telephone numbers,
    addresses and ID numbers are given already masked.
    """

    message: ClassVar[str]  #: the folder of the templates

    customer: str = ""  #: the name in the salutation of a mail; without it: dear customer


@dataclass(frozen=True, kw_only=True)
class ReminderItem:
    product: str
    serial_tail: str
    not_after: datetime
    days_left: int  #: whole days in Taipei: 0 is today, below zero is past expiry
    opens_at: datetime | None = None  #: given while the renewal window is not open yet
    closes_at: datetime | None = (
        None  #: the last moment of the window, where it outlives the certificate
    )
    fee_payable: bool = False  #: the fee is paid before the renewal, and can be paid now
    ended: bool | None = None  #: whether it has, to the second; by the days alone if not given

    @property
    def has_ended(self) -> bool:
        return self.days_left < 0 if self.ended is None else self.ended


@dataclass(frozen=True, kw_only=True)
class ReminderMessage(MessageContext):
    """
    One message for all certificates of a customer that are due.

    Raises:
        ValueError: no certificate at all.
    """

    message: ClassVar[str] = "reminder"

    items: tuple[ReminderItem, ...]
    others: bool = False  #: whether other customers with this telephone have to renew, too

    def __post_init__(self) -> None:
        if not self.items:
            raise ValueError("a reminder tells of at least one certificate")

    @cached_property
    def rows(self) -> list[ReminderItem]:
        return sorted(self.items, key=lambda item: item.not_after)[:MAX_ROWS]

    @property
    def nearest(self) -> ReminderItem:
        return self.rows[0]

    @property
    def count(self) -> int:
        return len(self.items)

    @property
    def more(self) -> int:
        return max(0, len(self.items) - MAX_ROWS)


class Action(StrEnum):
    """What a one-time code confirms."""

    RENEW = "renew"
    APPLY = "apply"
    REVOKE = "revoke"
    PASSWORD = "password"  # noqa: S105 - what a code is for
    SUSPEND = "suspend"
    EXPORT = "export"
    RELEASE = "release"


@dataclass(frozen=True, kw_only=True)
class CodeMessage(MessageContext):
    """
    Raises:
        ValueError: the code is not 4 to 10 digits; the text of the error does not show it.
    """

    message: ClassVar[str] = "code"

    code: str = field(repr=False)
    action: Action
    seconds: int  #: how long it is valid
    masked_to: str  #: where it goes, masked; the mail shows it

    def __post_init__(self) -> None:
        if not (self.code.isascii() and self.code.isdigit() and 4 <= len(self.code) <= 10):  # noqa: PLR2004 - the bounds in the docstring
            raise ValueError("a one-time code has 4 to 10 digits")


@dataclass(frozen=True, kw_only=True)
class CertificateMessage(MessageContext):
    """What every message about one certificate takes."""

    product: str
    serial_tail: str


@dataclass(frozen=True, kw_only=True)
class NotCollectedMessage(CertificateMessage):
    """The new certificate was issued, but its customer has not taken it."""

    message: ClassVar[str] = "not-collected"

    issued_at: datetime
    collect_by: datetime | None = None  #: the last moment to take it, where there is one


@dataclass(frozen=True, kw_only=True)
class InvitedMessage(CertificateMessage):
    """A bulk run of the bank has begun the renewal; the customer is to go on with it."""

    message: ClassVar[str] = "invited"

    not_after: datetime  #: of the certificate that is to be renewed
    has_ended: bool
    renew_by: datetime  #: the last moment to go on with it
    amount: int = 0  #: the fee, which is taken when the renewal succeeds
    branch: str = ""  #: where the token is brought to; without it: in the customer's own browser


@dataclass(frozen=True, kw_only=True)
class ReceiptMessage(CertificateMessage):
    """The fee was captured, for a certificate that was delivered."""

    message: ClassVar[str] = "receipt"

    amount: int
    paid_at: datetime
    valid_from: datetime  #: of the new certificate
    valid_to: datetime


@dataclass(frozen=True, kw_only=True)
class RenewedMessage(CertificateMessage):
    """The renewal has succeeded, without a fee."""

    message: ClassVar[str] = "renewed"

    valid_from: datetime
    valid_to: datetime
    in_browser: bool  #: then other computers must import it again; on a token they need not
    applied: bool = False  #: there was none before


class MessageRefusal(StrEnum):
    """Why a renewal was refused; each has its own text of what to do."""

    NOT_OPEN = "not open"  #: ``opens_at`` says from when
    EXPIRED = "expired"
    SUSPENDED = "suspended"
    REVOKED = "revoked"
    UNDER_WAY = "under way"
    FEE_DECLINED = "fee declined"
    WRONG_OPERATOR = "wrong operator"
    WRONG_TOKEN = "wrong token"  # noqa: S105 - the name of a reason
    CODE_LOCKED = "code locked"
    DECLINED_BY_CA = "declined by ca"


@dataclass(frozen=True, kw_only=True)
class RefusedMessage(CertificateMessage):
    """
    Raises:
        ValueError: the reason is ``NOT_OPEN``, but not from when it will be.
    """

    message: ClassVar[str] = "refused"

    reason: MessageRefusal
    opens_at: datetime | None = None

    def __post_init__(self) -> None:
        if self.reason is MessageRefusal.NOT_OPEN and self.opens_at is None:
            raise ValueError("a renewal refused as not open says from when it will be")


@dataclass(frozen=True, kw_only=True)
class FeePaidMessage(CertificateMessage):
    """A fee was paid before the renewal."""

    message: ClassVar[str] = "fee-paid"

    amount: int
    paid_at: datetime
    renew_by: datetime  #: the last moment of the renewal that it pays for
    opens_at: datetime | None = None  #: given while the renewal window is not open yet


@dataclass(frozen=True, kw_only=True)
class RefundedMessage(CertificateMessage):
    message: ClassVar[str] = "refunded"

    amount: int
    refunded_at: datetime


@dataclass(frozen=True, kw_only=True)
class SuspendedMessage(CertificateMessage):
    message: ClassVar[str] = "suspended"

    at: datetime


@dataclass(frozen=True, kw_only=True)
class ResumedMessage(CertificateMessage):
    message: ClassVar[str] = "resumed"

    at: datetime


@dataclass(frozen=True, kw_only=True)
class RevokedMessage(CertificateMessage):
    message: ClassVar[str] = "revoked"

    at: datetime


@dataclass(frozen=True, kw_only=True)
class ExpiredMessage(CertificateMessage):
    """The window has closed without a renewal: only the branch can help."""

    message: ClassVar[str] = "expired"

    not_after: datetime


@dataclass(frozen=True, kw_only=True)
class JobExpiredMessage(CertificateMessage):
    """A renewal that waited at the branch for its token was given up."""

    message: ClassVar[str] = "job-expired"

    branch: str
    not_after: datetime
    renew_by: datetime | None = None  #: the last moment to ask again; none: it is over


@dataclass(frozen=True, kw_only=True)
class TransfersMessage(CertificateMessage):
    """Whether transfers are usable after a renewal that the branch must record."""

    message: ClassVar[str] = "transfers"

    usable: bool
    due: datetime  #: by when the branch is to record it


@dataclass(frozen=True, kw_only=True)
class AddressReplacedMessage(MessageContext):
    """
    To an address that is a customer's no longer. It names neither the new address nor the customer:
    somebody else may have this one by now.
    """

    message: ClassVar[str] = "address-replaced"

    is_mobile: bool  #: the telephone number; else the mail address
    at: datetime


MESSAGES: tuple[type[MessageContext], ...] = (
    ReminderMessage,
    NotCollectedMessage,
    InvitedMessage,
    CodeMessage,
    ReceiptMessage,
    RenewedMessage,
    RefusedMessage,
    FeePaidMessage,
    RefundedMessage,
    SuspendedMessage,
    ResumedMessage,
    RevokedMessage,
    ExpiredMessage,
    JobExpiredMessage,
    TransfersMessage,
    AddressReplacedMessage,
)
