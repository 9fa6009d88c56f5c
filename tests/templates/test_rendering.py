"""Shows what the voice refuses, how it is shared and how fast it is."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from jinja2 import UndefinedError
from jinja2.exceptions import SecurityError

from templates import contexts
from templates.bank import LONGEST, BankDetails
from templates.bank_file import sample_bank
from templates.rendering import MessageRenderer, UnknownLocaleError, UnknownMessageError

CODE = contexts.CodeMessage(
    code="493027", action=contexts.Action.RENEW, seconds=60, masked_to="0966****06"
)
SPOKEN_A_SECOND = 10_000


class Unwritten(contexts.MessageContext):
    message = "unwritten"


class Hollow(contexts.MessageContext):
    message = "code"


@pytest.mark.parametrize("locale", ["fr", "zh-tw", "", "../../etc"])
def test_another_language_is_refused_by_name(voice: MessageRenderer, locale: str) -> None:
    with pytest.raises(UnknownLocaleError, match=r"only in zh-TW, en$"):
        voice.sms(CODE, locale)


def test_a_message_that_nobody_wrote_is_refused_by_name(voice: MessageRenderer) -> None:
    with pytest.raises(UnknownMessageError, match=r"templates/unwritten/subject\.en\.txt is not"):
        voice.mail(Unwritten(), "en")


def test_a_missing_fact_is_refused_and_not_left_blank(voice: MessageRenderer) -> None:
    with pytest.raises(UndefinedError, match="has no attribute 'code'"):
        voice.sms(Hollow(), "en")


@pytest.mark.parametrize(
    "reaching", ["{{ facts.__class__.__mro__ }}", "{{ [].append(1) }}", "{{ facts.__init__() }}"]
)
def test_a_template_reaches_nothing_but_facts(voice: MessageRenderer, reaching: str) -> None:
    template = voice._environment.from_string(reaching)

    with pytest.raises(SecurityError):
        template.render(facts=CODE)


@pytest.mark.parametrize("code", ["", "123", "12345678901", "12a4", "１２３４", " 1234", "1234\n"])
def test_a_code_that_is_none_is_refused_without_being_shown(code: str) -> None:
    with pytest.raises(ValueError, match=r"^a one-time code has 4 to 10 digits$"):
        contexts.CodeMessage(code=code, action=contexts.Action.RENEW, seconds=60, masked_to="")


def test_a_code_does_not_show_itself() -> None:
    assert "493027" not in repr(CODE)


def test_a_reminder_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one certificate"):
        contexts.ReminderMessage(items=())


def test_a_refusal_as_too_early_says_from_when() -> None:
    with pytest.raises(ValueError, match="from when"):
        contexts.RefusedMessage(
            product="P", serial_tail="1", reason=contexts.MessageRefusal.NOT_OPEN
        )


def test_a_negative_amount_is_refused(voice: MessageRenderer) -> None:
    lost = contexts.RefundedMessage(
        product="P", serial_tail="1", amount=-1, refunded_at=datetime(2026, 1, 1, tzinfo=UTC)
    )

    with pytest.raises(ValueError, match="-1 is no amount"):
        voice.sms(lost, "en")


def changed(name: str, text: str) -> BankDetails:
    values: dict[str, Any] = {name: text}
    return replace(sample_bank(), **values)


@pytest.mark.parametrize("name", list(LONGEST))
def test_what_stands_in_a_text_message_is_bounded(name: str) -> None:
    changed(name, "x" * LONGEST[name])

    for wrong in ("", "x" * (LONGEST[name] + 1)):
        with pytest.raises(ValueError, match=f"bank.{name} must have 1 to {LONGEST[name]} char"):
            changed(name, wrong)


@pytest.mark.parametrize("name", ["brand_en", "menu_en", "phone"])
def test_what_stands_in_an_english_text_is_in_the_gsm_alphabet(name: str) -> None:
    with pytest.raises(ValueError, match=f"bank.{name} must be in the GSM 7 bit alphabet"):
        changed(name, "銀行")


def test_another_bank_is_named_in_everything() -> None:
    voice = MessageRenderer(
        replace(sample_bank(), name_zh="他山銀行", brand_zh="他山", phone="0800-000-000")
    )

    letter = voice.mail(CODE, "zh-TW")

    assert voice.sms(CODE, "zh-TW").startswith("【他山】")
    assert letter.subject.startswith("【他山】")
    assert "他山銀行 敬上\n客服專線：0800-000-000" in letter.text
    assert "續期" not in letter.text + letter.html


def test_threads_share_one_voice() -> None:
    voice = MessageRenderer(sample_bank())

    with ThreadPoolExecutor(8) as threads:
        said = set(threads.map(lambda _: voice.sms(CODE, "zh-TW"), range(200)))

    assert len(said) == 1


def test_ten_thousand_codes_are_written_in_a_second(voice: MessageRenderer) -> None:
    voice.sms(CODE, "zh-TW")
    begun = time.process_time()

    for _ in range(SPOKEN_A_SECOND // 10):
        voice.sms(CODE, "zh-TW")

    assert time.process_time() - begun < 1 / 10
