"""The errors that tell a caller what it can do."""

from __future__ import annotations

from datetime import timedelta

LATER = timedelta(minutes=1)


class XuqiError(Exception):
    """
    Something that a person can understand and mend; its text says what, why and what to do.
    """


class GatewayError(XuqiError):
    """
    The world outside did not do what was asked.
    """


class GatewayUnavailableError(GatewayError):
    """
    Nothing is known to have happened; the same may be asked again after ``retry_after``.
    """

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
    """
    The answer was lost: it may or may not have been done. Find out, never blindly repeat.
    """
