"""Events as CloudEvents 1.0 in Kafka's binary mode, with W3C trace context."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from renewal.eventlog.trace import derived, parsed
from schema.codec import encode, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schema.events import Event

SOURCE = "/xuqi"
CONTENT_TYPE = "application/json"
_SPECVERSION, _SOURCE = ("ce_specversion", b"1.0"), ("ce_source", SOURCE.encode())
_CONTENT_TYPE = ("content-type", CONTENT_TYPE.encode())
#: As wide as their columns in the tables of the log.
KIND, IDENTITY, KEY = 48, 160, 48
TRACEPARENT = 55

Headers = list[tuple[str, bytes]]


def headers(*, kind: str, identity: str, key: str, at: datetime) -> Headers:
    """The headers of one event (CloudEvents Kafka binding 1.0.2, 3.2; W3C Trace Context, 3.2)."""
    return [
        _SPECVERSION,
        ("ce_id", identity.encode()),
        _SOURCE,
        ("ce_type", kind.encode()),
        ("ce_subject", key.encode()),
        ("ce_time", _time(at)),
        _CONTENT_TYPE,
        ("traceparent", derived(key=key, identity=identity).traceparent.encode()),
    ]


@lru_cache  # the events of one transaction have one time
def _time(at: datetime) -> bytes:
    return at.astimezone(UTC).isoformat(timespec="microseconds").encode()


def packed(event: Event, at: datetime) -> tuple[bytes, bytes, Headers]:
    """Key, value and headers of an event that is published directly."""
    kind = kind_of(event)
    found_headers = headers(kind=kind, identity=event.identity, key=event.key, at=at)
    return event.key.encode(), encode(event), found_headers


def kind_in(found: Iterable[tuple[str, bytes | None]]) -> str:
    """The kind as in ``Unpacked``, without parsing the rest."""
    found_headers = [
        value for name, value in found or () if name == "ce_type" and isinstance(value, bytes)
    ]
    return _fitting(found_headers[-1], KIND) if found_headers else ""


class Unpacked:
    """Untrusted record headers, validated and limited to column width."""

    def __init__(
        self, found: Iterable[tuple[str, bytes | None]], *, key: bytes | None, position: str
    ) -> None:
        self._headers: dict[str, bytes] = {
            name: value for name, value in found or () if isinstance(value, bytes)
        }
        self.kind = self._text("ce_type", KIND)
        # Without an id of its own, a record is known by its place: it is never told apart from
        # itself, and is buried once.
        self.identity = self._text("ce_id", IDENTITY) or position
        self.key = _fitting(key or b"", KEY) or position[-KEY:]
        self.at = self._moment()

    @property
    def traceparent(self) -> str | None:
        """``None`` if there is none; then the trace is derived."""
        value = self._text("traceparent", TRACEPARENT)
        return value if parsed(value) else None

    def _text(self, name: str, width: int) -> str:
        return _fitting(self._headers.get(name, b""), width)

    def _moment(self) -> datetime:
        try:
            moment = datetime.fromisoformat(self._text("ce_time", 40))
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        except (ValueError, OverflowError):  # the year 1 east of Greenwich is before all time
            return datetime(1970, 1, 1, tzinfo=UTC)


def _fitting(value: bytes, width: int) -> str:
    """The text, or ``None`` if it is no text or too long to be ours."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return ""
    return text if len(text) <= width and "\0" not in text else ""
