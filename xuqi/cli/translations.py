"""Translates stored reasons, states and decisions for the command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schema.reasons import DecisionKind
from schema.stored_reasons import read_reason
from templates.codes import text
from xuqi.cli.i18n import Lang, moment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schema.reasons import Reason
    from schema.state_machine import State


def reason(lang: Lang, why: str | Reason) -> str:
    """A reason, or the stored form of one."""
    return text(read_reason(why) if isinstance(why, str) else why, lang.value)


def state(lang: Lang, what: State) -> str:
    return text(what, lang.value)


def decision(lang: Lang, row: Mapping[str, Any]) -> str:
    """One stored decision in words; one of a later version is told as it is stored."""
    try:
        parts = [text(DecisionKind(f"{row['about']}/{row['what']}"), lang.value)]
    except ValueError:
        parts = [f"{row['about']}: {row['what']}"]
    if row["why"]:
        parts.append(lang.pick("：", ": ") + reason(lang, row["why"]))
    notes = [note for note in _notes(lang, row) if note]
    if notes:
        parts.append(f" ({', '.join(notes)})")
    return "".join(parts)


def days(lang: Lang, threshold: int) -> str:
    if threshold < 0:
        return lang.pick(f"到期後 {-threshold} 天", f"{-threshold} days after the end")
    return lang.pick(f"到期前 {threshold} 天", f"{threshold} days before the end")


def _notes(lang: Lang, row: Mapping[str, Any]) -> list[str]:
    channels = {"sms": lang.pick("簡訊", "by SMS"), "mail": lang.pick("電子郵件", "by mail")}
    until = lang.pick("延至 ", "until ") + moment(row["until"]) if row["until"] else ""
    return [
        days(lang, row["threshold"]) if row["threshold"] is not None else "",
        channels.get(row["channel"] or "", ""),
        until,
        row["message"] or "",
        row["renewal"] or "",
    ]
