"""Says who is at the command line, as the operating system knows them."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

_LOGIN = Path("/proc/self/loginuid")
_NOBODY = 2**32 - 1  #: no person has logged in: a service, or a container


def operator() -> str:
    """
    The person who logged in to this machine, else the user whose process this is.

    The login's number is set once by PAM and stays what it was through ``su`` and ``sudo``
    (audit(7)), so that two people who work as one service user are still two.
    """
    try:
        login = int(_LOGIN.read_text())
    except (OSError, ValueError):
        login = _NOBODY
    number = os.getuid() if login == _NOBODY else login
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid {number}"


def with_note(who: str, why: str) -> str:
    """
    Two persons are told apart by who has logged in to the machine; a name that is typed is a note.
    """
    return why if who == operator() else f"{why} ({who})"[:300]
