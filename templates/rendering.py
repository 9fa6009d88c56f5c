"""Renders messages."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import (
    ChoiceLoader,
    FileSystemLoader,
    PackageLoader,
    StrictUndefined,
    TemplateNotFound,
    select_autoescape,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment

from templates.compiled import CompiledTemplates
from templates.dates import (
    roc,
    roc_long,
    taipei_date,
    taipei_end,
    taipei_start,
    taipei_time,
)
from templates.sanitizing import sanitize

if TYPE_CHECKING:
    from pathlib import Path

    from templates.bank import BankDetails
    from templates.contexts import MessageContext

LOCALES = ("zh-TW", "en")
_COMPILED = CompiledTemplates()


class UnknownLocaleError(LookupError):
    """No message is written in this language."""


class UnknownMessageError(LookupError):
    """No template is written for this message on this channel."""


@dataclass(frozen=True, kw_only=True)
class RenderedMail:
    subject: str  #: one line
    text: str
    html: str


class MessageRenderer:
    """
    Renders facts in a language. Threads may share one; templates are compiled when first used.
    """

    def __init__(self, bank: BankDetails, overrides: Path | None = None) -> None:
        """``overrides``: a folder of the bank's own wording, which goes before that shipped."""
        self.bank = bank
        self._environment = _environment(bank, overrides)

    def sms(self, facts: MessageContext, locale: str) -> str:
        """
        The text message: one line, the brand first, no link, at most two segments (a code: one).

        Raises:
            UnknownLocaleError: not one of ``LOCALES``.
            UnknownMessageError: this message is never sent as a text message.
        """
        return self._render(facts, "sms", locale, "txt").strip()

    def mail(self, facts: MessageContext, locale: str) -> RenderedMail:
        """
        The mail in both its forms; no link in either.

        Raises:
            UnknownLocaleError: not one of ``LOCALES``.
            UnknownMessageError: this message is never sent as a mail.
        """
        return RenderedMail(
            subject=self._render(facts, "subject", locale, "txt").strip(),
            text=self._render(facts, "body", locale, "txt"),
            html=self._render(facts, "body", locale, "html"),
        )

    def _render(self, facts: MessageContext, part: str, locale: str, form: str) -> str:
        if locale not in LOCALES:
            raise UnknownLocaleError(f"no messages in {locale!r}, only in {', '.join(LOCALES)}")
        name = f"{facts.message}/{part}.{locale}.{form}"
        try:
            template = self._environment.get_template(name)
        except TemplateNotFound as error:
            raise UnknownMessageError(f"templates/{name} is not written") from error
        return template.render(facts=facts)


class _Sandbox(ImmutableSandboxedEnvironment):
    """The fields of what a template is given need no looking at: a mail asks for thirty."""

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:  # noqa: ANN401 - jinja2's
        return attr in _fields(obj.__class__) or super().is_safe_attribute(obj, attr, value)


@cache
def _fields(kind: type) -> frozenset[str]:
    return frozenset(one.name for one in fields(kind)) if is_dataclass(kind) else frozenset()


def _environment(bank: BankDetails, overrides: Path | None) -> ImmutableSandboxedEnvironment:
    ours = [FileSystemLoader(overrides)] if overrides is not None else []
    environment = _Sandbox(
        loader=ChoiceLoader([*ours, PackageLoader("templates", "")]),
        undefined=StrictUndefined,
        autoescape=select_autoescape(("html",), default=False),
        finalize=sanitize,  # on every value, so that no template can forget it
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
        cache_size=-1,
        bytecode_cache=_COMPILED,
    )
    environment.globals["bank"] = bank
    environment.filters |= {
        "taipei_start": taipei_start,
        "taipei_end": taipei_end,
        "taipei_date": taipei_date,
        "taipei_time": taipei_time,
        "roc": roc,
        "roc_long": roc_long,
        "thousands": _thousands,
        "tail": _tail,
    }
    return environment


def _thousands(amount: int) -> str:
    if amount < 0:
        raise ValueError(f"{amount} is no amount")
    return f"{amount:,}"


def _tail(serial: str) -> str:
    return serial[-8:]  # as long as the lists of the certificate centre show it
