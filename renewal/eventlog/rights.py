"""What a user of a shared log may do, as the broker is told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, order=True)
class LogRight:
    user: str
    operation: str  #: read | write | describe
    kind: str  #: topic | group
    name: str
    prefixed: bool = False  #: every topic or group that begins so
