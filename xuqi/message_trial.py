"""Writes every message with the worst values that can come, and holds the carriers' rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jinja2 import TemplateError

from templates import carrier_rules
from templates.bank_file import BankDataError
from templates.contexts import MESSAGES
from templates.extremes import everything
from templates.length import segments
from templates.rendering import LOCALES, UnknownMessageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from templates.contexts import MessageContext
    from templates.rendering import MessageRenderer, RenderedMail
    from xuqi.bank import Bank


@dataclass(frozen=True, kw_only=True)
class MessageTrial:
    """The worst that a message becomes in a language."""

    message: str
    locale: str
    segments: int  #: of a text message; 0: it is never one
    subject: int  #: characters


def try_messages(bank: Bank) -> tuple[list[MessageTrial], list[BankDataError]]:
    """The worst of each message, and the first of each kind of fault in it."""
    renderer, worst = bank.renderer(), _nothing_yet()
    wrong: dict[tuple[str, str, str], BankDataError] = {}
    for message in everything():
        for locale in LOCALES:
            key = (message.message, locale)
            try:
                written = _written(renderer, message, locale)
            except TemplateError as error:
                why = f"cannot be written: {error}"
                wrong.setdefault((*key, why), _error(message.message, "*", locale, why))
                continue
            worst[key] = _worse(worst[key], written)
            for part, why in _faults(message, written, locale, _brand(bank, locale)):
                wrong.setdefault((*key, part + why), _error(message.message, part, locale, why))
    trials = [
        MessageTrial(message=message, locale=locale, segments=count, subject=length)
        for (message, locale), (count, length) in worst.items()
    ]
    return trials, list(wrong.values())


def _nothing_yet() -> dict[tuple[str, str], tuple[int, int]]:
    return {(one.message, locale): (0, 0) for one in MESSAGES for locale in LOCALES}


@dataclass(frozen=True)
class _Written:
    sms: str | None
    mail: RenderedMail


def _written(renderer: MessageRenderer, message: MessageContext, locale: str) -> _Written:
    return _Written(_sms(renderer, message, locale), renderer.mail(message, locale))


def _sms(renderer: MessageRenderer, message: MessageContext, locale: str) -> str | None:
    try:
        return renderer.sms(message, locale)
    except UnknownMessageError:  # the branch's call list is no text message
        return None


def _worse(before: tuple[int, int], written: _Written) -> tuple[int, int]:
    count = segments(written.sms) if written.sms is not None else 0
    return max(before[0], count), max(before[1], len(written.mail.subject))


def _brand(bank: Bank, locale: str) -> str:
    """How each text begins: `_base/sms.*.txt`."""
    return f"({bank.details.brand_en}) " if locale == "en" else f"【{bank.details.brand_zh}】"


def _faults(
    message: MessageContext, written: _Written, locale: str, brand: str
) -> Iterator[tuple[str, str]]:
    if written.sms is not None:
        for why in carrier_rules.faults_of_sms(message, written.sms, locale, brand):
            yield "sms", why
    for why in carrier_rules.faults_of_mail(message, written.mail):
        yield "mail", why


def _error(message: str, part: str, locale: str, why: str) -> BankDataError:
    todo = "shorten or mend the wording, or the names in bank.toml"
    return BankDataError(f"messages/{message}", f"{part}.{locale}", why, todo)
