"""Errors as pages tell them: a code, the same in both languages, and its text from a file."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    zh: str
    en: str


class PageErrorText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What happened, and what to do."""

    title: Words
    todo: Words
    kind: str = "bad"  #: of the note: bad, or warn for what a rule has refused
    status: int = 409


class PageError(Exception):
    """Ends a request with an error page. ``values``: what its text names."""

    def __init__(self, code: str, **values: object) -> None:
        super().__init__(code)
        self.code = code
        self.values = values


@cache
def error_texts() -> dict[str, PageErrorText]:
    """
    The errors by their codes.

    Raises:
        msgspec.ValidationError: the file is not complete in both languages.
    """
    text = files("templates").joinpath("pages", "errors.toml").read_text(encoding="utf-8")
    read: dict[str, Any] = tomllib.loads(text)
    return msgspec.convert(read, dict[str, PageErrorText])
