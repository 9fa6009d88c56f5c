"""Shows that a stored decision is told in both languages, whoever wrote it."""

from __future__ import annotations

import pytest

from schema.reasons import DecisionKind, SuppressionReason
from xuqi.cli import translations
from xuqi.cli.i18n import Lang


def row(**named: object) -> dict[str, object]:
    empty = {"why": "", "threshold": None, "channel": None, "until": None, "message": None}
    return {**empty, "renewal": None, **named}


def test_a_decision_of_tomorrow_is_told_as_it_is_stored() -> None:
    told = translations.decision(Lang.EN, row(about="moon", what="risen", why="it is night"))

    assert told == "moon: risen: it is night"


@pytest.mark.parametrize(
    ("threshold", "zh", "en"),
    [
        (30, "到期前 30 天", "30 days before the end"),
        (0, "到期前 0 天", "0 days before the end"),
        (-14, "到期後 14 天", "14 days after the end"),
    ],
)
def test_a_threshold_is_told_from_the_end(threshold: int, zh: str, en: str) -> None:
    decided = row(about="reminder", what="claimed", threshold=threshold)

    assert zh in translations.decision(Lang.ZH, decided)
    assert en in translations.decision(Lang.EN, decided)


def test_a_decision_is_told_with_its_reason() -> None:
    kind = DecisionKind.REMINDER_SUPPRESSED
    decided = row(about=kind.about, what=kind.what, why=SuppressionReason.OPTED_OUT.value)

    assert translations.decision(Lang.ZH, decided) == "不提醒：客戶不願收到提醒"
    assert translations.decision(Lang.EN, decided) == "not reminded: the customer has opted out"


def test_a_decision_of_version_0_1_is_told_as_one_of_today() -> None:
    decided = row(about="fee", what="paid", why="NT$600")

    assert translations.decision(Lang.ZH, decided) == "已繳費：新臺幣 600 元"
    assert translations.decision(Lang.EN, decided) == "the fee was paid: NT$600"
