"""Each row of the gateways' tables of answers, written down apart from them."""

from __future__ import annotations

import pytest

from renewal.gateways.answers import Meaning
from renewal.gateways.mail import answers as smtp
from renewal.gateways.mail.answers import SmtpStage
from renewal.gateways.mail.bounce import BounceVerdict, verdict_of
from renewal.gateways.sms import twilio_answers as twilio

DONE, NOTHING, OURS = Meaning.DONE, Meaning.NOTHING, Meaning.OURS
REFUSED, UNSURE = Meaning.REFUSED, Meaning.UNSURE

CREATED = [
    (503, None, NOTHING),
    (503, "20503", NOTHING),
    (503, "99999", NOTHING),
    (500, None, UNSURE),
    (500, "20500", UNSURE),
    (500, "20503", UNSURE),
    (500, "20504", UNSURE),
    (500, "30021", UNSURE),
    (502, "20003", UNSURE),
    (504, None, UNSURE),
    (520, "21614", UNSURE),
    (599, "29999", UNSURE),
    (429, None, NOTHING),
    (429, "20429", NOTHING),
    (429, "14107", NOTHING),
    (429, "29999", NOTHING),
    (408, None, NOTHING),
    (302, None, OURS),
    (400, "21730", NOTHING),
    (400, "20003", OURS),
    (401, None, OURS),
    (401, "20005", OURS),
    (403, "29999", OURS),
    (404, "21701", OURS),
    (400, "29999", OURS),
    (418, None, OURS),
    (400, "21614", REFUSED),
    (403, "21610", REFUSED),
    (400, "21612", REFUSED),
    (400, "21602", REFUSED),
    (700, None, UNSURE),
]


@pytest.mark.parametrize(("status", "number", "means"), CREATED)
def test_what_an_answer_to_a_creation_proves(
    status: int, number: str | None, means: Meaning
) -> None:
    assert twilio.meaning_of("POST", status, number) is means


@pytest.mark.parametrize(
    ("status", "number", "means"),
    [
        (500, "20500", NOTHING),
        (503, None, NOTHING),
        (429, None, NOTHING),
        (408, None, NOTHING),
        (400, "21730", NOTHING),
        (404, "20404", OURS),
        (401, None, OURS),
        (302, None, OURS),
    ],
)
def test_a_question_is_never_unsure(status: int, number: str | None, means: Meaning) -> None:
    assert twilio.meaning_of("GET", status, number) is means


REPLIES = [
    (SmtpStage.SENDER, 250, DONE),
    (SmtpStage.SENDER, 451, NOTHING),
    (SmtpStage.SENDER, 552, REFUSED),
    (SmtpStage.SENDER, 553, OURS),
    (SmtpStage.SENDER, 354, NOTHING),
    (SmtpStage.RECIPIENT, 252, DONE),
    (SmtpStage.RECIPIENT, 421, NOTHING),
    (SmtpStage.RECIPIENT, 530, OURS),
    (SmtpStage.RECIPIENT, 503, OURS),
    (SmtpStage.RECIPIENT, 550, REFUSED),
    (SmtpStage.RECIPIENT, -1, NOTHING),
    (SmtpStage.DATA, 354, DONE),
    (SmtpStage.DATA, 451, NOTHING),
    (SmtpStage.DATA, 503, OURS),
    (SmtpStage.DATA, 554, REFUSED),
    (SmtpStage.DATA, 250, NOTHING),
    (SmtpStage.CONTENT, 250, DONE),
    (SmtpStage.CONTENT, 421, NOTHING),
    (SmtpStage.CONTENT, 550, REFUSED),
    (SmtpStage.CONTENT, 354, UNSURE),
    (SmtpStage.CONTENT, -1, UNSURE),
    (SmtpStage.CONTENT, 100, UNSURE),
]


@pytest.mark.parametrize(("stage", "reply", "means"), REPLIES)
def test_what_a_reply_proves_at_its_stage(stage: SmtpStage, reply: int, means: Meaning) -> None:
    assert smtp.meaning_of(stage, reply) is means


@pytest.mark.parametrize("table", [twilio.CREATION, twilio.QUESTION, smtp.ANSWERS])
def test_each_row_says_why(table: tuple[twilio.TwilioRow | smtp.SmtpRow, ...]) -> None:
    assert all(row.because for row in table)


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("5.1.1", BounceVerdict.ADDRESS_BAD),
        ("5.1.1/data", BounceVerdict.CONTENT),
        ("5.1.2", BounceVerdict.DOUBTFUL),
        ("5.1.7", BounceVerdict.CONTENT),
        ("5.1.8", BounceVerdict.CONTENT),
        ("5.3.4", BounceVerdict.CONTENT),
        ("5.4.1", BounceVerdict.SOFT),
        ("550", BounceVerdict.SOFT),
        ("550/data", BounceVerdict.CONTENT),
        ("553", BounceVerdict.SOFT),
        ("554", BounceVerdict.CONTENT),
        ("552", BounceVerdict.SOFT),
        ("away", BounceVerdict.CONTENT),
    ],
)
def test_what_is_said_of_the_mail_or_of_us_is_no_word_on_the_address(
    said: str, verdict: BounceVerdict
) -> None:
    assert verdict_of(said) is verdict
