"""Links log lines to the event that they are about, by W3C Trace Context."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, NamedTuple, Protocol

from structlog.contextvars import bound_contextvars

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from structlog.typing import EventDict

    from renewal.eventlog.port import Record

_traceparent = re.compile(
    r"00-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})(?P<span>[0-9a-f]{16})-[0-9a-f]{2}"
)


class Trace(NamedTuple):
    """An event's position among all that follows from one cause."""

    trace_id: str
    span_id: str

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-01"


def trace_id(key: str) -> str:
    """All events of one key are one trace: from a renewal's first event to its last."""
    return hashlib.sha256(f"trace {key}".encode()).hexdigest()[:32]


def derived(*, key: str, identity: str) -> Trace:
    """The trace of an event of ours: each event is a span of its key's trace."""
    return Trace(trace_id(key), hashlib.sha256(identity.encode()).hexdigest()[:16])


def parsed(traceparent: str) -> Trace | None:
    """The trace in the header, or None if it is malformed (W3C Trace Context, 3.2.2)."""
    found = _traceparent.fullmatch(traceparent)
    return Trace(found["trace"], found["span"]) if found else None


class Traceable(Protocol):
    """An event as received: on the log, parked, or a dead letter."""

    @property
    def key(self) -> str: ...

    @property
    def identity(self) -> str: ...

    @property
    def traceparent(self) -> str | None: ...


def trace_of(event: Traceable) -> Trace:
    """The trace that came with the event, else the one derived from its key."""
    given = parsed(event.traceparent or "")
    return given or derived(key=event.key, identity=event.identity)


def trace_context(record: Record) -> AbstractContextManager[None]:
    """Within it, every log line of this thread carries the trace of this event."""
    return bound_contextvars(record=record)


def add_trace(_logger: object, _name: str, line: EventDict) -> EventDict:
    """
    A processor of structlog: put the trace of the thread's current event into a log line.

    Where the trace came from outside, our own is linked: the events that follow continue it.
    """
    record: Record | None = line.pop("record", None)
    if record is not None:
        trace, own = trace_of(record), trace_id(record.key)
        linked = {} if trace.trace_id == own else {"linked_trace_id": own}
        line.update(trace._asdict(), **linked)
    return line
