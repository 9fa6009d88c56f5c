"""Shows that no facts, however odd, make a message that must not be sent."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from html.parser import HTMLParser

import pytest

from templates import contexts
from templates.bank import LONGEST
from templates.bank_file import sample_bank
from templates.carrier_rules import LINK, UNSEEN
from templates.extremes import everything
from templates.length import is_gsm7, segments
from templates.rendering import LOCALES, MessageRenderer, RenderedMail

TAGS = {
    "html",
    "head",
    "meta",
    "title",
    "body",
    "p",
    "table",
    "tr",
    "th",
    "td",
    "bdi",
    "br",
    "strong",
}
WIDEST = replace(
    sample_bank(),
    name_zh="名" * 30,
    name_en="N" * 60,
    brand_zh="續" * LONGEST["brand_zh"],
    brand_en="X" * LONGEST["brand_en"],
    phone="0" * LONGEST["phone"],
    menu_zh="選" * LONGEST["menu_zh"],
    menu_en="M" * LONGEST["menu_en"],
)


@dataclass(frozen=True)
class Said:
    facts: contexts.MessageContext
    locale: str
    sms: str | None  #: the branch's call list has none
    letter: RenderedMail


@pytest.fixture(scope="module")
def all_said() -> list[Said]:
    voice = MessageRenderer(WIDEST)
    return [
        Said(about, locale, sms_of(voice, about, locale), voice.mail(about, locale))
        for about in everything()
        for locale in LOCALES
    ]


def sms_of(voice: MessageRenderer, about: contexts.MessageContext, locale: str) -> str | None:
    return voice.sms(about, locale)


class Reading(HTMLParser):
    """What a reader of the html sees, and the tags it is made of."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.lines: list[str] = [""]
        self.tags: set[str] = set()
        self._path: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._path.append(tag)
        if tag in {"p", "tr", "br"}:
            self.lines.append("")
        assert not any(name.startswith("on") or name in {"href", "src"} for name, _ in attrs)

    def handle_endtag(self, tag: str) -> None:
        while self._path and self._path.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "head" not in self._path:
            self.lines[-1] += data


def letters_only(lines: list[str]) -> list[str]:
    bare = [re.sub(r"[\s｜|：:]", "", line) for line in lines]
    return [line for line in bare if line]


def test_the_extremes_speak_every_message(all_said: list[Said]) -> None:
    assert {type(said.facts) for said in all_said} == set(contexts.MESSAGES)


def test_a_code_is_one_segment_and_any_other_text_at_most_two(all_said: list[Said]) -> None:
    for said in all_said:
        most = 1 if isinstance(said.facts, contexts.CodeMessage) else 2
        assert said.sms is None or segments(said.sms) <= most, said.sms


def test_an_english_text_keeps_to_the_gsm_alphabet(all_said: list[Said]) -> None:
    assert all(is_gsm7(said.sms) for said in all_said if said.locale == "en" and said.sms)


def test_the_brand_comes_first_in_every_text(all_said: list[Said]) -> None:
    brands = {"zh-TW": f"【{WIDEST.brand_zh}】", "en": f"({WIDEST.brand_en}) "}

    assert all(said.sms.startswith(brands[said.locale]) for said in all_said if said.sms)


def test_no_message_carries_a_link(all_said: list[Said]) -> None:
    for said in all_said:
        for text in (said.sms or "", said.letter.subject, said.letter.text, said.letter.html):
            assert LINK.search(text) is None, text


def test_no_message_carries_a_sign_that_is_not_seen(all_said: list[Said]) -> None:
    for said in all_said:
        for text in (said.sms or "", said.letter.subject, said.letter.text, said.letter.html):
            assert UNSEEN.search(text) is None, text
            text.encode()


def test_texts_and_subjects_are_one_line_without_gaps(all_said: list[Said]) -> None:
    for said in all_said:
        for text in (said.sms or "x", said.letter.subject):
            assert text == " ".join(text.split()), text


def test_subjects_are_short_enough_for_a_list_of_mails(all_said: list[Said]) -> None:
    assert max(len(said.letter.subject) for said in all_said) <= 120


def test_no_code_stands_in_a_subject(all_said: list[Said]) -> None:
    for said in all_said:
        if isinstance(said.facts, contexts.CodeMessage):
            assert said.facts.code not in said.letter.subject
            assert f"\n{said.facts.code}\n" in said.letter.text
            assert said.facts.code in said.letter.html


def test_what_customers_are_called_is_never_markup(all_said: list[Said]) -> None:
    for said in all_said:
        assert Reading(said.letter.html).tags <= TAGS


def test_text_and_html_say_the_same_line_by_line(all_said: list[Said]) -> None:
    for said in all_said:
        if not isinstance(said.facts, contexts.ReminderMessage) or said.facts.count == 2:
            seen = letters_only(Reading(said.letter.html).lines)
            assert seen == letters_only(said.letter.text.splitlines())


def test_nothing_is_left_of_the_template_language(all_said: list[Said]) -> None:
    for said in all_said:
        for text in (said.sms or "", said.letter.text, said.letter.html):
            rest = text.replace("{{ 7*7 }}{% for a in b %}", "")  # a name, shown as it is
            assert "{{" not in rest
            assert "{%" not in rest
            assert "None" not in rest
            assert "()" not in rest
            assert "（）" not in rest


def test_a_mail_has_no_gap_wider_than_one_line(all_said: list[Said]) -> None:
    for said in all_said:
        assert "\n\n\n" not in said.letter.text, said.letter.text
        assert not said.letter.text.startswith("\n")
        assert said.letter.text.endswith("\n")


def test_only_reminders_speak_of_opting_out(all_said: list[Said]) -> None:
    for said in all_said:
        assert isinstance(said.facts, contexts.ReminderMessage) == (
            "通知設定" in said.letter.text or "Notifications" in said.letter.text
        )
