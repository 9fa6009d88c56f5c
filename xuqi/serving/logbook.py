"""Writes what a serving process has to say as JSON lines that hold nothing personal."""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from renewal.eventlog.trace import current

if TYPE_CHECKING:
    from types import TracebackType

#: What a record has of itself; all else that it holds was given with ``extra``.
_USUAL = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}

#: No text of ours holds these; a foreign library's might.
_PERSONAL = re.compile(
    r"(?P<mail>[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,})"
    r"|(?<![0-9A-Za-z])(?:"
    r"(?P<phone>(?:\+?886[- ]?|0)9[0-9]{2}[- ]?[0-9]{3}[- ]?[0-9]{3})"
    r"|(?P<number>[A-Z][12A-D89][0-9]{8})"
    r")(?![0-9A-Za-z])"
)
#: Libraries that tell at DEBUG what they send.
_TALKATIVE = ("apscheduler", "alembic", "kafka", "sqlalchemy", "twilio", "urllib3")


class JsonLines(logging.Formatter):
    """
    One fact on one line, with its keys and the trace of the event that it is about.
    """

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        told |= current()
        told |= {name: it for name, it in record.__dict__.items() if name not in _USUAL}
        if record.exc_info and record.exc_info[1] is not None:
            told |= what_broke(record.exc_info[1])
        return redacted(json.dumps(told, ensure_ascii=False, default=str))


def redacted(text: str) -> str:
    """
    The text with a sign in place of each address, mobile number and ID number.
    """
    return _PERSONAL.sub(lambda found: f"<{found.lastgroup}>", text)


def what_broke(error: BaseException) -> dict[str, str]:
    """
    An error's kind and place: its own text might hold what is personal.
    """
    return {"error": type(error).__name__, "place": _place(error.__traceback__)}


def _place(place: TracebackType | None) -> str:
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return f"{place.tb_frame.f_code.co_qualname}:{place.tb_lineno}" if place else "an unknown place"


def write_to_stderr(level: int = logging.INFO) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    threading.excepthook = _thread_broke


def _thread_broke(told: threading.ExceptHookArgs) -> None:
    """
    A traceback ends with the error's text: say its kind and place instead.
    """
    if told.exc_value is not None:
        name = told.thread.name if told.thread else "?"
        logging.getLogger(__name__).critical(
            "a thread broke", extra={"thread_name": name, **what_broke(told.exc_value)}
        )
