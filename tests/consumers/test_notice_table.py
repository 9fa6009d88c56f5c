"""Shows that the table of notices is whole: one row for an event, every message written."""

from __future__ import annotations

from collections import Counter
from importlib.resources import files

import pytest

from consumers.notice_table import KINDS, NOTICES, Notice, TextTime, notice_of
from consumers.notices import Notices
from schema import events as e
from templates import contexts
from templates.rendering import LOCALES

PARTS = {"mail": ("subject.{}.txt", "body.{}.txt", "body.{}.html"), "sms": ("sms.{}.txt",)}
#: Of other consumers: reminders, and codes; and of no certificate: a replaced address.
NOT_NOTICES = {"reminder", "code", "address-replaced", "branch-call", "token-locked"}


def row_of(kind: type[e.Event]) -> Notice:
    return next(notice for notice in NOTICES if kind in notice.events)


def test_an_event_has_one_row() -> None:
    rows = Counter(kind for notice in NOTICES for kind in notice.events)

    assert set(rows.values()) == {1}
    assert set(Notices.kinds) == {*KINDS, e.AddressReplaced, e.MessageFailed}


@pytest.mark.parametrize("notice", NOTICES, ids=lambda notice: notice.events[0].__name__)
def test_each_message_of_a_row_is_written_for_each_of_its_channels(notice: Notice) -> None:
    for message in notice.messages:
        folder = files("templates") / message.message
        for channel in notice.channels:
            for part in PARTS[channel.value]:
                for locale in LOCALES:
                    assert (folder / part.format(locale)).is_file(), (message, part, locale)


def test_every_message_that_is_no_reminder_and_no_code_has_a_row() -> None:
    told = {message.message for notice in NOTICES for message in notice.messages}
    written = {
        one.message
        for one in vars(contexts).values()
        if isinstance(one, type)
        and issubclass(one, contexts.MessageContext)
        and one is not contexts.MessageContext
        and hasattr(one, "message")
    }

    assert told == written - NOT_NOTICES


def test_what_urges_waits_for_the_hours_and_what_is_of_the_certificate_does_not() -> None:
    for notice in NOTICES:
        if notice.urges:
            assert notice.text_time in {TextTime.WITHIN_HOURS, TextTime.FREE_DAY}
            assert notice.matters
    assert row_of(e.CertificateChanged).text_time is TextTime.AT_ONCE
    assert row_of(e.RenewalDone).matters is False


def test_an_event_without_a_row_is_an_error() -> None:
    with pytest.raises(TypeError, match="TokenDeclined is not for notices"):
        notice_of(e.TokenDeclined(renewal="R00000001-01", why=""))
