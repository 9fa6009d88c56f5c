"""Shows that no message in zh-TW holds a raw name, `None` or an English sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from templates import extremes
from tests.scenario.chinese import faults, faults_of_page

if TYPE_CHECKING:
    from collections.abc import Iterator

    from templates.contexts import MessageContext
    from templates.rendering import MessageRenderer


def one_of_each() -> Iterator[MessageContext]:
    """The first example of each kind with each of its outcomes, as far as they differ."""
    seen = set()
    for example in extremes.everything():
        if example.customer != "王小明":
            continue  # the others hold English on purpose
        kind = (example.message, getattr(example, "reason", ""), getattr(example, "action", ""))
        if kind not in seen:
            seen.add(kind)
            yield example


def test_no_message_shows_what_is_not_meant_for_people(voice: MessageRenderer) -> None:
    found = {}
    for example in one_of_each():
        mail = voice.mail(example, "zh-TW")
        plain = [voice.sms(example, "zh-TW"), mail.subject, mail.text]
        wrong = [*faults("\n".join(plain)), *faults_of_page(mail.html)]
        if wrong:
            found[example.message] = wrong

    assert found == {}


def test_the_search_finds_each_kind_of_fault() -> None:
    assert faults("狀態 not_after 是 None") == ["not_after", "None"]
    assert faults("請洽 there is no such certificate here") == ["there is no such certificate here"]
    page = '<p title="please look at this">好</p><p lang="en">in English it may be</p>'
    assert faults_of_page(page) == ["please look at this"]
    assert faults("【續期銀行】Chrome、Edge 或 Firefox，見 https://a.example/x_y") == []
