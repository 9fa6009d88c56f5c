"""The errors of gateways, by what the caller can do about them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from schema.reasons import Reason

if TYPE_CHECKING:
    from schema.reasons import ReasonCode

LATER = timedelta(minutes=1)


class XuqiError(Exception):
    """An error that a person can understand and mend; its text says what, why and what to do."""


class ReasonedError(XuqiError):
    """Refused for a reason that is a code; whoever shows it says it in the reader's language."""

    def __init__(self, reason: Reason | ReasonCode, about: str = "") -> None:
        self.reason = reason if isinstance(reason, Reason) else reason.why()
        self.about = about
        coded = self.reason.stored()
        super().__init__(f"{about}: {coded}" if about else coded)


class NotFoundError(ReasonedError):
    """What was asked for is not there, e.g. because its number is larger than any can be."""


class UnreadableError(ReasonedError, ValueError):
    """Bytes or a text that are not what they should be."""


class NotNowError(ReasonedError):
    """The renewal is not in the state in which this can be done."""


class GatewayError(XuqiError):
    """An outside system did not do what was asked."""


class GatewayUnavailableError(GatewayError):
    """Nothing is known to have happened; the same may be asked again after ``retry_after``."""

    #: No, when the fault is in our own configuration: waiting for its mending is no failure.
    spends_a_try = True

    def __init__(self, why: str, *, retry_after: timedelta = LATER) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class GatewayRefusedError(GatewayError):
    """
    Understood and declined: asking again will not help. ``code`` is the gateway's own word for it.
    """

    def __init__(self, why: str, *, code: str = "") -> None:
        super().__init__(why)
        self.code = code


class GatewayUnsureError(GatewayError):
    """The answer was lost: it may or may not have been done. Find out, never blindly repeat."""
