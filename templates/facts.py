"""States which facts each message takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from datetime import datetime

AT_MOST_ROWS = 100  #: certificates that a reminder lists by name


@dataclass(frozen=True, kw_only=True)
class Facts:
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


@dataclass(frozen=True, kw_only=True)
class Reminder(Facts):
    """
    One message for all certificates of a customer that are due.

    Raises:
        ValueError: no certificate at all.
    """

    message: ClassVar[str] = "reminder"

    items: tuple[ReminderItem, ...]

    def __post_init__(self) -> None:
        if not self.items:
            raise ValueError("a reminder tells of at least one certificate")

    @cached_property
    def rows(self) -> list[ReminderItem]:
        return sorted(self.items, key=lambda item: item.not_after)[:AT_MOST_ROWS]

    @property
    def nearest(self) -> ReminderItem:
        return self.rows[0]

    @property
    def count(self) -> int:
        return len(self.items)

    @property
    def more(self) -> int:
        return max(0, len(self.items) - AT_MOST_ROWS)


class Action(StrEnum):
    """
    What a one-time code confirms.
    """

    RENEW = "renew"
    APPLY = "apply"
    REVOKE = "revoke"


@dataclass(frozen=True, kw_only=True)
class Code(Facts):
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
