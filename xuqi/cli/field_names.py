"""What the fields of a row are called on a terminal, and how their values are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schema.states import FeeState, MessageState, OldState, RenewalState
from xuqi.cli import translations
from xuqi.cli.i18n import moment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schema.state_machine import State
    from xuqi.cli.i18n import Lang

NAMES: Mapping[str, tuple[str, str]] = {
    "id": ("編號", "id"),
    "kind": ("種類", "kind"),
    "certificate": ("憑證", "certificate"),
    "new_certificate": ("新憑證", "new certificate"),
    "customer": ("客戶", "customer"),
    "product": ("產品", "product"),
    "slot": ("憑證欄位", "slot"),
    "state": ("狀態", "state"),
    "branch": ("分行", "branch"),
    "channel": ("管道", "channel"),
    "to": ("寄往", "to"),
    "requested_at": ("申請時間", "requested at"),
    "moved_at": ("最近變更", "last moved at"),
    "owed_at": ("應送時間", "owed at"),
    "claimed_at": ("認領時間", "claimed at"),
    "handed_at": ("送交時間", "handed over at"),
    "ended_at": ("結束時間", "ended at"),
    "not_before": ("有效起", "valid from"),
    "not_after": ("有效迄", "valid to"),
    "carrier_id": ("業者編號", "carrier's id"),
    "code": ("業者代碼", "carrier's code"),
    "instead_of": ("取代的訊息", "instead of"),
    "renewal": ("展期", "renewal"),
    "fee_amount": ("費用（元）", "fee (NT$)"),
    "fee_state": ("費用狀態", "state of the fee"),
    "old_state": ("舊憑證", "the old certificate"),
    "why": ("原因", "why"),
    "collected_told": ("已提醒領取（天）", "reminded to collect (days)"),
    "terms_sha256": ("約定條款摘要", "digest of the terms"),
    "spki_sha256": ("公開金鑰摘要", "digest of the public key"),
    "version": ("版次", "version"),
}
_RENEWAL: Mapping[str, type[State]] = {
    "state": RenewalState,
    "fee_state": FeeState,
    "old_state": OldState,
}
_MESSAGE: Mapping[str, type[State]] = {"state": MessageState}


def renewal_lines(lang: Lang, row: Mapping[str, Any]) -> list[str]:
    return _lines(lang, row, _RENEWAL)


def message_lines(lang: Lang, row: Mapping[str, Any]) -> list[str]:
    return _lines(lang, row, _MESSAGE)


def _lines(lang: Lang, row: Mapping[str, Any], states: Mapping[str, type[State]]) -> list[str]:
    colon = lang.pick("：", ": ")
    return [
        f"{lang.pick(*NAMES[name])}{colon}{_shown(lang, name, value, states)}"
        for name, value in row.items()
        if name in NAMES
    ]


def _shown(lang: Lang, name: str, value: Any, states: Mapping[str, type[State]]) -> str:  # noqa: ANN401 - of any field
    if value is None or value == "":
        return "-"
    if name in states:
        return translations.state(lang, states[name](value))
    if name == "why":
        return translations.reason(lang, value)
    if isinstance(value, bytes):
        return value.hex()
    return moment(value) if hasattr(value, "tzinfo") else str(value)
