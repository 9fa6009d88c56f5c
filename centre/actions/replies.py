"""What the centre answers to whoever asks for a code, or enters one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from schema.reasons import Reason


class CodeResult(StrEnum):
    """
    What a customer is told of a code that was entered. An unknown or foreign one is just wrong.
    """

    RIGHT = "right"
    WRONG = "wrong"
    EXPIRED = "expired"
    LOCKED = "locked"


@dataclass(frozen=True, kw_only=True)
class CodeSent:
    """A code is on its way; the addresses are masked."""

    challenge: str
    seconds: int
    to: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class CodeNotSent:
    why: Reason


@dataclass(frozen=True, kw_only=True)
class CodeAnswer:
    """The code's own result, and how many tries are left."""

    result: CodeResult
    tries_left: int = 0
