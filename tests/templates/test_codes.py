"""Shows that every code has its words in both languages, with the same parameters."""

import re
import string
import tomllib
from importlib.resources import files
from typing import Any

import pytest

from schema.policy import Purpose
from schema.reasons import (
    CODES,
    ERROR_CODES,
    CaReason,
    DecisionKind,
    ProofReason,
    ReasonCode,
    RefusalReason,
    SettingReason,
)
from schema.state_machine import State
from schema.states import MACHINES, FeeState, RenewalState
from templates import contexts
from templates.codes import LANGUAGES, error, remedy, text
from templates.contexts import MessageContext

CHINESE = re.compile(r"[\u4e00-\u9fff]")
STATES = [state for machine in MACHINES.values() for state in machine.states]
both_languages = pytest.mark.parametrize("language", LANGUAGES)


def catalogue(language: str) -> dict[str, Any]:
    source = files("templates.codes").joinpath(f"{language}.toml")
    return tomllib.loads(source.read_text(encoding="utf-8"))


def messages(kind: type[MessageContext]) -> set[str]:
    """The folders of templates of this kind and those under it, without the tests' own kinds."""
    ours = "message" in vars(kind) and kind.__module__ == contexts.__name__
    own = {kind.message} if ours else set()
    return own.union(*map(messages, kind.__subclasses__()))


def names_in(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


def example(code: ReasonCode) -> dict[str, str | int]:
    coded = {
        "certificate_state": "active",
        "renewal_state": "issued",
        "fee_state": "held",
        "run_state": "running",
        "token_state": "lost",
        "wanted_state": "active",
        "purpose": "renew",
    }
    return {name: coded.get(name, 7) for name in code.parameters}


@both_languages
def test_the_catalogue_has_exactly_the_codes_that_there_are(language: str) -> None:
    words = catalogue(language)

    assert set(words["reasons"]) == set(CODES)
    assert set(words["decisions"]) == {kind.value for kind in DecisionKind}
    assert set(words["purposes"]) == {purpose.value for purpose in Purpose}
    assert set(words["messages"]) == messages(MessageContext)
    assert {name: set(states) for name, states in words["states"].items()} == {
        name: {state.value for state in machine.states} for name, machine in MACHINES.items()
    }


@both_languages
@pytest.mark.parametrize("code", CODES.values())
def test_each_reason_is_said_with_its_parameters(code: ReasonCode, language: str) -> None:
    said = text(code.why(**example(code)), language)

    assert names_in(catalogue(language)["reasons"][code.value]) <= set(code.parameters)
    assert said
    assert "{" not in said


@pytest.mark.parametrize("code", CODES.values())
def test_each_parameter_is_said(code: ReasonCode) -> None:
    sentences = [
        catalogue(language)[part].get(code.value, "")
        for language in LANGUAGES
        for part in ("reasons", "remedies")
    ]

    assert set().union(*map(names_in, sentences)) == set(code.parameters)


@both_languages
@pytest.mark.parametrize("code", SettingReason)
def test_whatever_is_wrong_with_a_setting_has_a_remedy(code: SettingReason, language: str) -> None:
    said = remedy(code.why(**example(code)), language)

    assert said
    assert "{" not in said
    assert bool(CHINESE.search(said)) is (language == "zh-TW")


@both_languages
@pytest.mark.parametrize("state", STATES)
def test_each_state_is_said(state: State, language: str) -> None:
    assert text(state, language)


#: What an advice may name beside the parameters of its reason.
BESIDES = dict.fromkeys(("opens_at", "closes_at", "branch", "known", "next"), "2027-01-01")


@both_languages
@pytest.mark.parametrize("code", ERROR_CODES)
def test_each_error_says_what_happened_and_what_to_do(code: ReasonCode, language: str) -> None:
    said = error(code.why(**example(code)), language, **BESIDES)

    assert said is not None
    assert said.code == ERROR_CODES[code]
    assert said.advice.endswith(("。", "."))
    assert "{" not in said.title + said.advice


def test_chinese_is_chinese_and_english_is_not() -> None:
    bare = {"text", "note", "purpose"}  # what a person has written, as it is

    for state in STATES:
        assert CHINESE.search(text(state, "zh-TW"))
        assert not CHINESE.search(text(state, "en"))
    for name, code in CODES.items():
        if name not in bare:
            assert CHINESE.search(text(code, "zh-TW", **example(code)))
            assert not CHINESE.search(text(code, "en", **example(code)))


def test_a_state_within_a_sentence_is_said_in_its_language() -> None:
    reason = RefusalReason.WRONG_STATE.why(renewal_state=RenewalState.SENT_TO_CA.value)

    assert "簽發中" in text(reason, "zh-TW")
    assert "being issued" in text(reason, "en")


def test_what_a_sentence_is_filled_with_is_no_template_itself() -> None:
    reason = CaReason.SAID.why(detail="{tries_left}")

    assert text(reason, "en") == "the CA: {tries_left}"


def test_a_reason_within_a_reason_is_said_in_its_language() -> None:
    inner = ProofReason.OLD_STATE.why(certificate_state="revoked")
    reason = CaReason.SAID.why(detail=inner.stored())

    assert text(reason, "en") == 'the CA: the old certificate is "revoked"'
    assert text(reason, "zh-TW") == "憑證機構：舊憑證狀態是「已廢止」"


def test_a_language_without_words_is_an_error() -> None:
    with pytest.raises(KeyError, match="fr"):
        text(FeeState.HELD, "fr")
