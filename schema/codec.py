"""Encodes and decodes events, checked against their types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Union

import msgspec

from schema.events import KINDS, Event

if TYPE_CHECKING:
    from collections.abc import Mapping

_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Union[KINDS])  # noqa: UP007 - of a tuple
_encoder = msgspec.json.Encoder()

#: No event of ours comes near this; what does is poison.
LARGEST = 64 * 1024


class UnreadableEventError(ValueError):
    """The bytes are no event of ours; the text says where and why, without repeating them."""


def kind_name(kind: type[Event]) -> str:
    return str(kind.__struct_config__.tag)


def kind_of(event: Event) -> str:
    return kind_name(type(event))


#: Every kind's name.
KIND_NAMES = frozenset(map(kind_name, KINDS))


def encode(event: Event) -> bytes:
    return _encoder.encode(event)


def decode(body: bytes) -> Event:
    """
    Return the event.

    Raises:
        UnreadableEventError: not JSON, too large, an unknown kind, a missing, wrong or unknown
            field.
    """
    if len(body) > LARGEST:
        raise UnreadableEventError(f"{len(body)} bytes are more than an event's {LARGEST}")
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableEventError(str(error)) from error


def json_schemas() -> Mapping[str, Any]:
    """The JSON Schema (2020-12) of each kind."""
    _, components = msgspec.json.schema_components(KINDS, ref_template="#/$defs/{name}")
    return components
