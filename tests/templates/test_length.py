"""Shows how the segments of a text message are counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from templates.length import is_gsm7, segments

BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = "\f^{}\\[~]|€"
GSM7 = st.text(alphabet=BASIC + EXTENDED)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("€" * 152, 2),
        ("€" * 153, 3),  # 76 pairs a segment: the 153rd septet stays empty, an escape is not split
        ("續" * 70, 1),
        ("續" * 71, 2),
        ("續" * 134, 2),
        ("續" * 135, 3),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("😀" * 66, 2),
        ("😀" * 67, 3),  # 33 pairs a segment: half a pair is not sent
        ("a" * 69 + "續", 1),
        ("a" * 70 + "續", 2),
        ("a" * 159 + "`", 3),  # the backtick is not in the alphabet: all becomes UCS-2
    ],
    ids=lambda part: part if isinstance(part, int) else f"{len(part)} signs",
)
def test_segments_are_what_the_standard_says(text: str, count: int) -> None:
    assert segments(text) == count


def test_the_alphabet_has_127_signs_and_10_extended_ones() -> None:
    assert len(set(BASIC)) == 127  # 128 codes, one of them the escape
    assert len(set(EXTENDED)) == 10
    assert is_gsm7(BASIC + EXTENDED)


@pytest.mark.parametrize("sign", ["`", "續", "ç", "á", "’", "–", "\t", "\x1b", "😀", "…"])
def test_other_signs_are_not_gsm7(sign: str) -> None:
    assert not is_gsm7(f"a{sign}b")


@given(GSM7, GSM7)
def test_a_longer_text_never_takes_fewer_segments(text: str, more: str) -> None:
    assert segments(text + more) >= segments(text)


@given(GSM7)
def test_one_chinese_character_never_makes_a_text_cheaper(text: str) -> None:
    assert segments(f"{text}續") >= segments(text)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=71))
def test_a_segment_never_holds_more_than_it_can(text: str) -> None:
    octets = len(text.encode("utf-16-be"))

    count = segments(f"續{text}")

    assert count * 67 * 2 >= octets + 2
    assert (count - 1) * 66 * 2 < octets + 2  # at most one unit a segment stays empty
