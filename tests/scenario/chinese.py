"""Finds what a person who reads zh-TW should not meet: raw names, `None`, English sentences."""

from __future__ import annotations

import html
import re

#: Words that stand in no sentence: names of settings, kinds and files, as they are typed.
_RAW = re.compile(r"(?<![\w.@/-])[a-z]{2,}_[a-z_]+(?![\w.-])")
_SENTENCE = re.compile(r"\b[A-Za-z]{2,}(?: [A-Za-z]{2,}){3,}\b")
_NOT_SHOWN = re.compile(
    r"<(script|style|svg|head)\b.*?</\1>|<!--.*?-->|<code\b.*?</code>", re.DOTALL
)
#: What is in English on purpose: the switch of the language.
_ENGLISH = re.compile(r"<(\w+)[^>]*\blang=\"?en\"?[^>]*>.*?</\1>", re.DOTALL)
_SPOKEN = re.compile(r"\b(?:alt|aria-label|placeholder|title)=\"([^\"]*)\"")
_TAG = re.compile(r"<[^>]+>")


def faults(text: str) -> list[str]:
    """What is wrong with a text for a person."""
    return [*_RAW.findall(text), *_SENTENCE.findall(text), *re.findall(r"\bNone\b", text)]


def faults_of_page(page: str) -> list[str]:
    """The same of a page: what it shows and what it says to a screen reader."""
    shown = _ENGLISH.sub(" ", _NOT_SHOWN.sub(" ", page))
    spoken = "\n".join(_SPOKEN.findall(shown))
    return faults(html.unescape(f"{_TAG.sub(' | ', shown)}\n{spoken}"))
