"""Real servers on loopback, for as long as a demo, a benchmark or a test run lasts."""


class CannotStartError(RuntimeError):
    """
    A server cannot be started: whoever needs it fails and says why, and never does without.
    """
