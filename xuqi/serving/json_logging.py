"""Writes the log of a serving process as JSON lines without personal data."""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from structlog.contextvars import merge_contextvars
from structlog.processors import JSONRenderer
from structlog.stdlib import ExtraAdder, ProcessorFormatter

from renewal.eventlog.trace import add_trace

if TYPE_CHECKING:
    from types import TracebackType

    from structlog.typing import EventDict

#: No text of ours contains these; a foreign library's might.
_PERSONAL = re.compile(
    r"(?P<mail>[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,})"
    r"|(?<![0-9A-Za-z])(?:"
    r"(?P<phone>(?:\+?886[- ]?|0)9[0-9]{2}[- ]?[0-9]{3}[- ]?[0-9]{3})"
    r"|(?P<number>[A-Z][12A-D89][0-9]{8})"
    r")(?![0-9A-Za-z])"
)
#: Libraries that log at DEBUG what they send.
_VERBOSE = ("apscheduler", "alembic", "kafka", "sqlalchemy", "twilio", "urllib3")


class JsonLines(ProcessorFormatter):
    """One fact per line, with its keys and the trace of the event that it is about."""

    def __init__(self) -> None:
        super().__init__(
            foreign_pre_chain=[ExtraAdder(), merge_contextvars, add_trace],
            processors=[
                _with_standard_fields,
                ProcessorFormatter.remove_processors_meta,
                JSONRenderer(serializer=json.dumps, ensure_ascii=False, default=str),
                lambda _logger, _name, line: redacted(str(line)),
            ],
        )


def _with_standard_fields(_logger: object, _name: str, event: EventDict) -> EventDict:
    """The fields that every line has, first; of an error only what is not personal."""
    record: logging.LogRecord = event["_record"]
    broken = event.pop("exc_info", None)
    return {
        "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname,
        "logger": record.name,
        "message": event.pop("event"),
        **event,
        **(what_broke(broken[1]) if broken and broken[1] is not None else {}),
    }


def redacted(text: str) -> str:
    """The text with a placeholder for each address, mobile number and ID number."""
    return _PERSONAL.sub(lambda found: f"<{found.lastgroup}>", text)


def what_broke(error: BaseException) -> dict[str, str]:
    """An error's type and location: its own text might contain personal data."""
    return {"error": type(error).__name__, "place": _location(error.__traceback__)}


def _location(frame: TracebackType | None) -> str:
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return f"{frame.tb_frame.f_code.co_qualname}:{frame.tb_lineno}" if frame else "an unknown place"


def write_to_stderr(level: int = logging.INFO) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _VERBOSE:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    threading.excepthook = _thread_broke


def _thread_broke(broken: threading.ExceptHookArgs) -> None:
    """A traceback ends with the error's text: log its type and location instead."""
    if broken.exc_value is not None:
        name = broken.thread.name if broken.thread else "?"
        logging.getLogger(__name__).critical(
            "a thread broke", extra={"thread_name": name, **what_broke(broken.exc_value)}
        )
