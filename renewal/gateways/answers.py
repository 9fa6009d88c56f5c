"""The meaning of an outside system's answer for us."""

from __future__ import annotations

from enum import StrEnum


class Meaning(StrEnum):
    """Only ``NOTHING``, ``OURS`` and ``REFUSED`` prove that nothing happened."""

    DONE = "done"
    NOTHING = "nothing happened, try later"
    OURS = "nothing happened, and it is our account, sender or setting: stop the lane"
    REFUSED = "nothing happened, and never will with this message"
    UNSURE = "it may have happened: find out, never repeat blindly"
