"""The wording of states, reasons, decisions and errors."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from schema.policy import Purpose
from schema.reasons import ERROR_CODES, DecisionKind, Parameter, Reason, ReasonCode
from schema.states import (
    MACHINES,
    CertificateState,
    FeeState,
    RenewalState,
    RunState,
    TokenState,
)
from schema.stored_reasons import read_reason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from enum import StrEnum

    from schema.state_machine import State

LANGUAGES = ("zh-TW", "en")

#: Parameters that are codes themselves, and are said in the same language.
_CODED: Mapping[str, type[StrEnum]] = {
    "certificate_state": CertificateState,
    "renewal_state": RenewalState,
    "fee_state": FeeState,
    "run_state": RunState,
    "token_state": TokenState,
    "wanted_state": TokenState,
    "purpose": Purpose,
}


@dataclass(frozen=True, kw_only=True)
class ErrorText:
    """An error as a page shows it; ``code`` is the same in every language and at the help desk."""

    code: str
    title: str
    advice: str


def text(
    what: State | ReasonCode | Reason | DecisionKind | Purpose,
    language: str,
    **parameters: Parameter,
) -> str:
    """
    The words for a code. A ``Reason`` brings its own parameters.

    Raises:
        KeyError: there is no such language, or a parameter of the sentence is missing.
    """
    if isinstance(what, Reason):
        return text(what.code, language, **what.parameters)
    words = _catalogue(language)
    if isinstance(what, ReasonCode):
        return str(words["reasons"][what.value]).format(**_filled(parameters, language))
    if isinstance(what, DecisionKind):
        return str(words["decisions"][what.value])
    if isinstance(what, Purpose):
        return str(words["purposes"][what.value])
    return str(words["states"][_machine_of(type(what))][what.value])


def message_name(message: str, language: str) -> str:
    """What a kind of message (its folder of templates) is called."""
    return str(_catalogue(language)["messages"].get(message, message))


def remedy(reason: Reason, language: str) -> str:
    """What to do about it, where that stands in the catalogue."""
    words = _catalogue(language)["remedies"].get(reason.code.value, "")
    return str(words).format(**_filled(reason.parameters, language))


def column_name(column: str, language: str) -> str:
    """The heading of a column of a file that the bank hands in."""
    return str(_catalogue(language)["columns"].get(column, column))


def finding_word(word: str, language: str) -> str:
    """The heading of a column of a findings file, or the outcome that stands there."""
    return str(_catalogue(language)["findings"][word])


def error(what: ReasonCode | Reason, language: str, **parameters: Parameter) -> ErrorText | None:
    """
    The error that a reason is for who asked, or ``None`` where it has no number.

    ``parameters``: what the advice needs beside the reason's own (``opens_at`` of E4101).
    """
    if isinstance(what, Reason):
        return error(what.code, language, **{**what.parameters, **parameters})
    code = ERROR_CODES.get(what)
    if code is None:
        return None
    title, advice = _error_words(code, language)
    filled = _filled(parameters, language)
    return ErrorText(code=code, title=title.format(**filled), advice=advice.format(**filled))


def _error_words(code: str, language: str) -> tuple[str, str]:
    """What pages show stands with the pages; the rows of files and runs stand in the catalogue."""
    own = _catalogue(language)["errors"].get(code)
    if own is not None:
        return own["title"], own["advice"]
    words = _page_errors()[code]
    spoken = "en" if language == "en" else "zh"
    return words["title"][spoken], words["todo"][spoken]


def _filled(parameters: Mapping[str, Parameter], language: str) -> dict[str, str]:
    worded = {}
    for name, value in parameters.items():
        if name in _CODED:
            worded[name] = text(_CODED[name](value), language)  # type: ignore[arg-type]  # one of them
        elif name == "columns":
            worded[name] = ("、" if language == "zh-TW" else ", ").join(
                column_name(column, language) for column in str(value).split(",")
            )
        elif name == "detail":  # the stored form of a reason, or a text from outside
            worded[name] = text(read_reason(str(value)), language)
        else:
            worded[name] = f"{value:,}" if isinstance(value, int) else value
    return worded


@cache
def _machine_of(states: type[State]) -> str:
    return next(name for name, machine in MACHINES.items() if machine.states is states)


@cache
def _catalogue(language: str) -> Mapping[str, Any]:
    if language not in LANGUAGES:
        raise KeyError(f"there are no words in {language!r}: one of {', '.join(LANGUAGES)}")
    source = files("templates.codes").joinpath(f"{language}.toml")
    return tomllib.loads(source.read_text(encoding="utf-8"))


@cache
def _page_errors() -> Mapping[str, Any]:
    source = files("templates").joinpath("pages", "errors.toml")
    return tomllib.loads(source.read_text(encoding="utf-8"))
