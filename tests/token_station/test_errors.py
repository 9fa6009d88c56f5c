"""What a token's error says is a code, in both languages; its own text goes to the log alone."""

import pytest

from schema.reasons import TokenReason
from schema.stored_reasons import read_reason
from templates.codes import text
from token_station import errors
from token_station.errors import CardError, PinWrongError, PukWrongError, TokenError

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type)
    and issubclass(kind, TokenError)
    and kind.__init__ is TokenError.__init__
]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_brings_a_code_and_never_its_text(kind: type[TokenError]) -> None:
    error = kind("the reader of Ms Lin says no")

    assert error.reason.parameters == {}
    assert "Lin" not in error.reason.stored()
    assert text(error.reason, "zh-TW") != text(error.reason, "en")


def test_each_kind_of_error_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in KINDS]

    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PinWrongError(2), "載具密碼錯誤，還可以試 2 次"),
        (PukWrongError(1), "解鎖碼錯誤，還可以試 1 次"),
        (CardError("read an object", 0x6F00), "載具回應錯誤代碼 6F00"),
    ],
)
def test_what_is_known_of_an_error_is_a_parameter(error: TokenError, said: str) -> None:
    assert text(error.reason, "zh-TW") == said


def test_a_reason_that_a_station_of_before_has_stored_is_still_read() -> None:
    stored = 'token_cannot {"detail": "the token makes no P-256 key"}'

    reason = read_reason(stored)

    assert reason == TokenReason.CANNOT.why(detail="the token makes no P-256 key")
    assert text(reason, "zh-TW") == "載具無法處理：the token makes no P-256 key"
