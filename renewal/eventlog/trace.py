"""Ties what a process says of itself to the event that it is about, by W3C Trace Context."""

from __future__ import annotations

import hashlib
import re
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from contextvars import Token

    from renewal.eventlog.port import Record

_traceparent = re.compile(
    r"00-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})(?P<span>[0-9a-f]{16})-[0-9a-f]{2}"
)
_event: ContextVar[Record | None] = ContextVar("event", default=None)


class Trace(NamedTuple):
    """
    Where an event stands among all that follows from one beginning.
    """

    trace_id: str
    span_id: str

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-01"


def trace_id(key: str) -> str:
    """
    Everything of one key is one trace: from a renewal's first fact to its last.
    """
    return hashlib.sha256(f"trace {key}".encode()).hexdigest()[:32]


def derived(*, key: str, identity: str) -> Trace:
    """
    The trace that an event of ours has: each fact is a span of its key's.
    """
    return Trace(trace_id(key), hashlib.sha256(identity.encode()).hexdigest()[:16])


def parsed(traceparent: str) -> Trace | None:
    """
    What the header says; nothing if it is none (W3C Trace Context, 3.2.2).
    """
    found = _traceparent.fullmatch(traceparent)
    return Trace(found["trace"], found["span"]) if found else None


class Told(Protocol):
    """
    An event as it came: on the log, waiting, or given up.
    """

    @property
    def key(self) -> str: ...

    @property
    def identity(self) -> str: ...

    @property
    def traceparent(self) -> str | None: ...


def trace_of(told: Told) -> Trace:
    """
    The trace that it was given where it was told, else the one that is derived.
    """
    given = parsed(told.traceparent or "")
    return given or derived(key=told.key, identity=told.identity)


class About:
    """
    Within it, what this thread says is about that event.
    """

    __slots__ = ("_before", "_record")

    _before: Token[Record | None]

    def __init__(self, record: Record) -> None:
        self._record = record

    def __enter__(self) -> None:
        self._before = _event.set(self._record)

    def __exit__(self, *_: object) -> None:
        _event.reset(self._before)


def current() -> dict[str, str]:
    """
    What a line says of the event that this thread is at, if it is at one.

    Where the trace came from outside, ours is linked: what follows from the event goes on under
    that one.
    """
    record = _event.get()
    if record is None:
        return {}
    trace, own = trace_of(record), trace_id(record.key)
    linked = {} if trace.trace_id == own else {"linked_trace_id": own}
    return {**trace._asdict(), **linked}
