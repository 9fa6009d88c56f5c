"""Shows how names are made harmless and left alone when they are."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from templates.sanitizing import LONGEST, sanitize


@pytest.mark.parametrize(
    "name",
    [
        "王小明",
        "𠮷野家",
        "Chen, Mei-Ling",
        "Acme Co., Ltd.",
        "Dr. No",
        "محمد",
        "👩 Lab",
        "\ue000華",
        "",
    ],
)
def test_an_honest_name_is_left_as_it_is(name: str) -> None:
    assert sanitize(name) == name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\r\nBcc: x", "a Bcc: x"),
        ("王\u3000小明 ", "王 小明"),
        ("\u202eevil\u202c", "evil"),
        ("https://evil.com/x", "evil‧com/x"),
        ("hthttp://tp://evil.com", "evil‧com"),
        ("evil。com evil．tw", "evil‧com evil‧tw"),
        ("A.B.C. Ltd.", "A‧B‧C. Ltd."),
        ("//evil", "evil"),
        ("\ud800x", "x"),
        ("ht\u200btp://x", "x"),
    ],
)
def test_what_is_odd_in_a_name_is_taken_out(name: str, shown: str) -> None:
    assert sanitize(name) == shown


@pytest.mark.parametrize("value", [3, None, Markup("https://a.b\n")])
def test_numbers_and_our_own_markup_pass(value: object) -> None:
    assert sanitize(value) is value


def test_a_long_name_is_cut_and_shows_it() -> None:
    assert sanitize("名" * LONGEST) == "名" * LONGEST
    assert sanitize("名" * (LONGEST + 1)) == "名" * (LONGEST - 1) + "…"


@given(st.text(alphabet=st.characters(exclude_categories=[]) | st.sampled_from(":/.www\r\n\u202e")))
def test_no_name_breaks_a_line_or_makes_a_link(name: str) -> None:
    shown = sanitize(name)

    assert isinstance(shown, str)
    assert len(shown) <= LONGEST
    assert "://" not in shown
    assert not {"Cc", "Cs", "Zl", "Zp"} & {unicodedata.category(sign) for sign in shown}
    assert not any(
        unicodedata.bidirectional(sign) in {"RLO", "LRO", "RLE", "LRE"} for sign in shown
    )
    assert sanitize(shown) == shown
