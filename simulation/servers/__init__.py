"""Real servers on loopback, for as long as a demo, a benchmark or a test run lasts."""

from renewal.errors import XuqiError


class CannotStartError(XuqiError):
    """A server cannot be started: whoever needs it fails and says why, and never does without."""
