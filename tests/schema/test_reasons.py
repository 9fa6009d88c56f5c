"""Shows that each reason is one code with its own parameters, and is read as it was stored."""

import re

import pytest

from schema.reasons import (
    CODES,
    ERROR_CODES,
    REASONS,
    CaReason,
    DecisionKind,
    EndReason,
    FeeReason,
    OutcomeReason,
    Reason,
    ReasonCode,
    RefusalReason,
    StatedReason,
)
from schema.stored_reasons import SENTENCES_OF_0_1, read_reason


def test_no_two_reasons_have_one_code() -> None:
    assert len(CODES) == sum(len(kind) for kind in REASONS)


@pytest.mark.parametrize("code", CODES.values())
def test_a_stored_reason_is_read_as_it_was(code: ReasonCode) -> None:
    reason = code.why(**{name: f"a {name}" for name in code.parameters})

    assert read_reason(reason.stored()) == reason


def test_a_code_takes_its_own_parameters_only() -> None:
    with pytest.raises(TypeError, match="code_wrong takes tries_left, not none"):
        RefusalReason.CODE_WRONG.why()
    with pytest.raises(TypeError, match="window_closed takes no parameters, not note"):
        RefusalReason.WINDOW_OVER.why(note="x")


def test_text_that_is_no_code_is_kept_as_text() -> None:
    assert read_reason("came by fax") == StatedReason.TEXT.why(text="came by fax")


def test_a_code_without_its_parameters_is_kept_as_text() -> None:
    assert read_reason("ended_by_staff") == StatedReason.TEXT.why(text="ended_by_staff")
    assert read_reason('ended_by_staff {"note": "asked to"}') == EndReason.ENDED_BY_STAFF.why(
        note="asked to"
    )


def test_a_reason_that_is_longer_than_its_column_is_cut_and_still_read() -> None:
    reason = EndReason.ENDED_BY_STAFF.why(note='"' * 300)

    stored = reason.stored(200)

    assert len(stored) <= 200
    assert read_reason(stored).code is EndReason.ENDED_BY_STAFF
    assert str(read_reason(stored).parameters["note"]).endswith('"…')


def test_each_code_fits_its_column() -> None:
    assert max(map(len, CODES)) <= 32


def test_a_kind_of_decision_is_stored_in_two_columns() -> None:
    kind = DecisionKind.TOKEN_WRITTEN

    assert (kind.about, kind.what) == ("token", "written, read back")


def test_an_error_is_named_by_its_letter_and_a_number() -> None:
    # E: what a person did; V: a row of a file; R: an item of a run.
    assert all(re.fullmatch(r"E\d{4}|[VR]\d{3}", code) for code in ERROR_CODES.values())


@pytest.mark.parametrize("sentence", SENTENCES_OF_0_1)
def test_each_sentence_of_0_1_is_read_as_a_code(sentence: str) -> None:
    reason = read_reason(sentence)

    assert reason.code is SENTENCES_OF_0_1[sentence]
    assert reason.code is not StatedReason.TEXT


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("2 tries left", RefusalReason.CODE_WRONG.why(tries_left=2)),
        ("NT$600", FeeReason.AMOUNT.why(amount=600)),
        ("it is superseded", CaReason.CERTIFICATE_STATE.why(certificate_state="superseded")),
        (
            "the certificate is revoked",
            FeeReason.CERTIFICATE_STATE.why(certificate_state="revoked"),
        ),
        ("renew", StatedReason.PURPOSE.why(purpose="renew")),
        (
            "TokenWritten is not for billing",
            OutcomeReason.NOT_FOR_CONSUMER.why(event="TokenWritten", consumer="billing"),
        ),
        ("not readable: no\nJSON", OutcomeReason.UNREADABLE.why(detail="no\nJSON")),
        ("unsure: lost", OutcomeReason.UNSURE.why(detail="lost")),
        ("12 tries: unsure: lost", OutcomeReason.UNSURE.why(detail="lost")),
        ("60 tries: the bank is away", StatedReason.TEXT.why(text="the bank is away")),
        ("carried out, but: KeyError", OutcomeReason.NOT_RECORDED.why(detail="KeyError")),
        ("a false statement: old", OutcomeReason.FALSE_STATEMENT.why(detail="old")),
        (
            "the bank refused to capture a hold: no",
            FeeReason.HOLD_NOT_ENDED.why(operation="capture", detail="no"),
        ),
        ("the bank refused a refund: no", FeeReason.NOT_PAID_BACK.why(detail="no")),
        (
            "the CA refused to revoke: no",
            CaReason.CHANGE_REFUSED.why(change="revoke", detail="no"),
        ),
    ],
)
def test_a_sentence_of_0_1_with_a_value_keeps_its_value(sentence: str, reason: Reason) -> None:
    assert read_reason(sentence) == reason
