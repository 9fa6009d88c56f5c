"""Shows that no foreign text acts upon a terminal."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xuqi.terminal import safe, safe_json, safe_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b2J", "\\x9b2J"),
        ("a\rb", "a\\x0db"),
        ("a\x7fb\x00", "a\\x7fb\\x00"),
        ("\u202eabc\u2066", "\\u202eabc\\u2066"),
        ("a\u2028b", "a\\u2028b"),
        ("王小明\tO'Neil\n", "王小明\tO'Neil\n"),
        ("👩\u200d💻", "👩\u200d💻"),
    ],
)
def test_controls_are_written_out_and_words_are_not(text: str, shown: str) -> None:
    assert safe(text) == shown


def test_what_must_stay_on_one_line_does() -> None:
    assert safe_line("a\nb\tc") == "a\\nb\\tc"


@given(st.text())
def test_nothing_that_is_shown_is_a_control(text: str) -> None:
    acts = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
    kept = "\n\t\u200c\u200d"

    assert not [it for it in safe(text) if it not in kept and unicodedata.category(it) in acts]


@given(st.text())
def test_json_stays_the_same_value(text: str) -> None:
    written = safe_json(json.dumps({"name": text}, ensure_ascii=False))

    assert json.loads(written) == {"name": text}
    assert "\x1b" not in written
    assert "\u202e" not in written
