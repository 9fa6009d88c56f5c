"""Shows that what a process writes of itself can be read by a program, and names no person."""

from __future__ import annotations

import logging
import threading
import warnings
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from renewal.gateways.sms.mailbox import SmsAnswerLost
from tests.flows.secrecy.test_canary import forms, personal, whole_story
from tests.scenario.acts import SESSION
from tests.scenario.book import lines
from tests.scenario.rows import id_number_of, mail_of, mobile_of
from tests.scenario.sample import BROWSER, open_sample, policies_with
from tests.scenario.tokens import PIN, PUK

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator
    from pathlib import Path

    from tests.scenario.scenario import Scenario


def test_each_line_is_a_fact_with_its_moment_and_its_keys(book: io.StringIO) -> None:
    logging.getLogger("renewal.x").warning("dead %s", "letter", extra={"consumer": "otp", "n": 1})

    (told,) = lines(book)

    assert datetime.fromisoformat(told.pop("at")).tzinfo is not None
    assert told == {
        "level": "WARNING",
        "logger": "renewal.x",
        "message": "dead letter",
        "consumer": "otp",
        "n": 1,
    }


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("to +886912345678.", "to <phone>."),
        ("to 0912-345-678", "to <phone>"),
        ("0912345678", "<phone>"),
        ("from a.b+c@mail.example.com,", "from <mail>,"),
        ("of A123456789", "of <number>"),
        ("of A800000014", "of <number>"),
        ("R00000001-01 took 1234567890123 ns", "R00000001-01 took 1234567890123 ns"),
        ("10912345678", "10912345678"),
        ("0f0912345678ab", "0f0912345678ab"),
        ("of XA123456789", "of XA123456789"),
    ],
)
def test_a_foreign_text_is_written_without_what_is_personal(
    book: io.StringIO, said: str, written: str
) -> None:
    logging.getLogger("foreign").info("%s", said, extra={"more": [said]})

    (told,) = lines(book)

    assert (told["message"], told["more"]) == (written, [written])


def test_an_error_is_told_by_kind_and_place_and_not_by_its_text(book: io.StringIO) -> None:
    def broken() -> None:
        raise KeyError("王小明")

    try:
        broken()
    except KeyError:
        logging.getLogger("x").exception("it broke")
    thread = threading.Thread(target=broken, name="otp")
    thread.start()
    thread.join()

    first, second = lines(book)
    assert (first["error"], first["message"]) == ("KeyError", "it broke")
    assert (second["error"], second["thread_name"]) == ("KeyError", "otp")
    assert ".<locals>.broken:" in first["place"]
    assert "王小明" not in book.getvalue()


def test_a_warning_is_a_line_too(book: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)

    assert lines(book)[0]["logger"] == "py.warnings"


@pytest.mark.shows("B09")
def test_a_whole_story_at_debug_leaves_nothing_personal(world: Scenario, book: io.StringIO) -> None:
    whole_story(world)

    written = book.getvalue().encode()
    secrets = {"PIN": PIN, "PUK": PUK, **personal()}
    told = lines(book)
    assert len({it["consumer"] for it in told if "consumer" in it}) > 5
    assert {it["message"] for it in told} >= {"done", "parked"}
    assert all(it["trace_id"] for it in told if "identity" in it)
    assert {what for what, it in secrets.items() for form in forms(it) if form in written} == set()


@pytest.fixture
def long_codes(tmp_path: Path) -> Iterator[Scenario]:
    """Four digits stand in many a number by chance: what is searched for has ten."""
    policies = policies_with(tmp_path / "policies", "digits = 4", "digits = 10")
    opened = open_sample(tmp_path / "home", policies=policies)
    yield opened
    opened.close()


@pytest.mark.shows("B09")
def test_no_code_is_written_at_debug(long_codes: Scenario, book: io.StringIO) -> None:
    world, left = long_codes, [SmsAnswerLost()]
    world.weather.sms = lambda _sms: left.pop() if left else None
    world.requested(BROWSER)
    world.centre.send_code(BROWSER, action="renew", session=SESSION)
    world.drain_over(timedelta(minutes=2), step=timedelta(seconds=10))
    sent, code = world.code()
    entered = {"action": "renew", "certificate": BROWSER}
    world.centre.enter_code(sent.challenge, code, session="a thief", **entered)  # type: ignore[arg-type]
    world.centre.enter_code(sent.challenge, code, session=SESSION, **entered)  # type: ignore[arg-type]

    written = book.getvalue().encode()

    codes = world.texted()
    assert len(codes) > 1
    assert {it for it in codes for form in forms(it) if form in written} == set()


def test_the_search_would_find_it(world: Scenario, book: io.StringIO) -> None:
    logging.getLogger("xuqi").debug("for %s", PIN)
    world.drain_over(timedelta(minutes=1), step=timedelta(minutes=1))

    assert PIN in book.getvalue()


def test_what_is_personal_in_the_world_is_what_the_log_would_hide(book: io.StringIO) -> None:
    for datum in (mobile_of(BROWSER), mail_of(BROWSER), id_number_of(BROWSER)):
        logging.getLogger("foreign").error(datum)

    assert [it["message"] for it in lines(book)] == ["<phone>", "<mail>", "<number>"]
