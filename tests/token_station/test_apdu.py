"""Holds the framing of commands and answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from token_station.errors import CardError, MalformedAnswerError
from token_station.piv.apdu import CardChannel, Command, inside, parse, tlv


class Script:
    """Answers in a given order."""

    def __init__(self, *answers: tuple[bytes, int]) -> None:
        self.answers = list(answers)
        self.frames: list[bytes] = []

    def transmit(self, frame: bytes) -> tuple[bytes, int]:
        self.frames.append(frame)
        return self.answers.pop(0)


@pytest.mark.parametrize(
    ("size", "parts"), [(0, 1), (1, 1), (255, 1), (256, 2), (510, 2), (511, 3), (2800, 11)]
)
def test_a_command_is_chained_in_parts_of_255_bytes(size: int, parts: int) -> None:
    data = bytes(n % 251 for n in range(size))

    frames = Command(ins=0xDB, p1=0x3F, p2=0xFF, data=data).frames()

    assert len(frames) == parts
    assert {frame[0] for frame in frames[:-1]} <= {0x10}
    assert frames[-1][0] == 0x00
    assert {frame[1:4] for frame in frames} == {b"\xdb\x3f\xff"}
    assert b"".join(frame[5 : 5 + frame[4]] for frame in frames) == data


def test_a_chain_stops_at_the_first_refusal() -> None:
    card = Script((b"", 0x9000), (b"", 0x6985))

    answer = CardChannel(card).send(Command(ins=0xDB, data=bytes(800)))

    assert answer == (b"", 0x6985)
    assert len(card.frames) == 2


def test_the_rest_of_an_answer_is_fetched_with_the_length_told() -> None:
    card = Script((b"a" * 256, 0x6110), (b"b" * 16, 0x9000))

    answer = CardChannel(card).send(Command(ins=0xCB, answers=True))

    assert answer == (b"a" * 256 + b"b" * 16, 0x9000)
    assert card.frames[1] == bytes.fromhex("00C0000010")


def test_a_length_corrected_is_asked_for_once() -> None:
    card = Script((b"", 0x6C10), (b"", 0x6C11))

    answer = CardChannel(card).send(Command(ins=0xCB, data=b"x", answers=True))

    assert answer == (b"", 0x6C11)
    assert [frame[-1] for frame in card.frames] == [0x00, 0x10]


def test_a_pin_is_not_sent_again_whatever_length_the_card_wants() -> None:
    card = Script((b"", 0x6C08))

    answer = CardChannel(card).send(Command(ins=0x20, p2=0x80, data=b"1" * 8))

    assert answer == (b"", 0x6C08)
    assert len(card.frames) == 1


@pytest.mark.parametrize("more", [b"x" * 256, b"x", b""])
def test_an_answer_without_end_is_given_up(more: bytes) -> None:
    class Endless:
        count = 0

        def transmit(self, frame: bytes) -> tuple[bytes, int]:
            assert frame
            self.count += 1
            return more, 0x6100

    card = Endless()

    with pytest.raises(MalformedAnswerError):
        CardChannel(card).send(Command(ins=0xCB, answers=True))

    assert card.count < 200


def test_a_failure_names_what_was_done_and_the_status() -> None:
    with pytest.raises(CardError, match="sign: the token answered 6F00") as caught:
        CardChannel(Script((b"", 0x6F00))).expect(Command(ins=0x87), "sign")

    assert caught.value.status == 0x6F00


@given(st.sampled_from([0x53, 0x7C, 0x81, 0x5FC1 & 0xFF7F, 0x7F49]), st.binary(max_size=70_000))
def test_what_was_encoded_is_decoded(tag: int, value: bytes) -> None:
    assert inside(tlv(tag, value), tag) == value


@given(st.binary(max_size=40))
def test_any_bytes_are_decoded_or_refused(data: bytes) -> None:
    try:
        found = parse(data)
    except MalformedAnswerError:
        return

    assert sum(len(value) for value in found.values()) <= len(data)


@pytest.mark.parametrize(
    "data",
    [
        "53",
        "5302AA",
        "538",
        "5380",
        "5384",
        "538500000001AA",
        "5382FF",
        "7F",
        "7FFF0100",
        "530053" + "00",
    ],
)
def test_a_broken_answer_is_refused(data: str) -> None:
    with pytest.raises(MalformedAnswerError):
        parse(bytes.fromhex(data if len(data) % 2 == 0 else data + "1"))


def test_a_missing_field_is_named() -> None:
    with pytest.raises(MalformedAnswerError, match="lacks tag 82"):
        inside(bytes.fromhex("7C028000"), 0x7C, 0x82)
