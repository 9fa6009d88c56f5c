"""Writes the messages that customers and branches get."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import PackageLoader, StrictUndefined, TemplateNotFound, select_autoescape
from jinja2.sandbox import ImmutableSandboxedEnvironment

from templates.bank import Bank
from templates.dates import roc, roc_long, taipei_date, taipei_time
from templates.plain import plain

if TYPE_CHECKING:
    from templates.facts import Facts

LOCALES = ("zh-TW", "en")


class UnknownLocaleError(LookupError):
    """
    The voice does not speak this language.
    """


class UnknownMessageError(LookupError):
    """
    No template is written for this message on this channel.
    """


@dataclass(frozen=True, kw_only=True)
class Letter:
    subject: str  #: one line
    text: str
    html: str


class Voice:
    """
    Renders facts in a language. Threads may share one; templates are compiled when first used.
    """

    def __init__(self, bank: Bank | None = None) -> None:
        self._environment = _environment(bank or Bank())

    def sms(self, facts: Facts, locale: str) -> str:
        """
        The text message: one line, the brand first, no link, at most two segments (a code: one).

        Raises:
            UnknownLocaleError: not one of ``LOCALES``.
            UnknownMessageError: this message is never sent as a text message.
        """
        return self._render(facts, "sms", locale, "txt").strip()

    def mail(self, facts: Facts, locale: str) -> Letter:
        """
        The mail in both its forms; no link in either.

        Raises:
            UnknownLocaleError: not one of ``LOCALES``.
            UnknownMessageError: this message is never sent as a mail.
        """
        return Letter(
            subject=self._render(facts, "subject", locale, "txt").strip(),
            text=self._render(facts, "body", locale, "txt"),
            html=self._render(facts, "body", locale, "html"),
        )

    def _render(self, facts: Facts, part: str, locale: str, form: str) -> str:
        if locale not in LOCALES:
            raise UnknownLocaleError(f"no messages in {locale!r}, only in {', '.join(LOCALES)}")
        name = f"{facts.message}/{part}.{locale}.{form}"
        try:
            template = self._environment.get_template(name)
        except TemplateNotFound as error:
            raise UnknownMessageError(f"templates/{name} is not written") from error
        return template.render(facts=facts)


class _Sandbox(ImmutableSandboxedEnvironment):
    """
    The fields of what a template is given need no looking at: a mail asks for thirty.
    """

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:  # noqa: ANN401 - jinja2's
        return attr in _fields(obj.__class__) or super().is_safe_attribute(obj, attr, value)


@cache
def _fields(kind: type) -> frozenset[str]:
    return frozenset(one.name for one in fields(kind)) if is_dataclass(kind) else frozenset()


def _environment(bank: Bank) -> ImmutableSandboxedEnvironment:
    environment = _Sandbox(
        loader=PackageLoader("templates", ""),
        undefined=StrictUndefined,
        autoescape=select_autoescape(("html",), default=False),
        finalize=plain,  # on every value, so that no template can forget it
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
        cache_size=-1,
    )
    environment.globals["bank"] = bank
    environment.filters |= {
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
