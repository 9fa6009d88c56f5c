"""The two languages' words for what was decided and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xuqi.language import Lang, moment

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What was decided about a certificate, as ``decisions`` keeps it: about, what.
DECIDED: Mapping[tuple[str, str], tuple[str, str]] = {
    ("reminder", "claimed"): ("決定提醒", "a reminder was decided upon"),
    ("reminder", "merged"): ("併入同一則提醒", "told in one reminder with another certificate"),
    ("reminder", "sent"): ("提醒已交給電信／郵件業者", "the reminder was handed to the carrier"),
    ("reminder", "delivered"): ("提醒已送達", "the reminder was delivered"),
    ("reminder", "undelivered"): ("提醒未送達", "the reminder was not delivered"),
    ("reminder", "uncertain"): ("提醒是否送達不明", "nothing was heard of the reminder"),
    ("reminder", "failed"): ("提醒被業者拒收", "the carrier refused the reminder"),
    ("reminder", "tried again"): ("簡訊再送一次", "the text message is tried again"),
    ("reminder", "carrier away"): (
        "業者無法連線，改用其他管道",
        "the carrier stayed away: another channel",
    ),
    ("reminder", "suppressed"): ("不提醒", "not reminded"),
    ("reminder", "deferred"): ("提醒延後", "the reminder was put off"),
    ("reminder", "branch call"): ("改由分行電話聯絡", "the branch is to call"),
    ("renewal", "requested"): ("申請展期", "a renewal was requested"),
    ("renewal", "refused"): ("拒絕展期", "the renewal was refused"),
    ("renewal", "confirmed"): ("客戶已確認", "the customer has confirmed"),
    ("renewal", "delivered"): ("新憑證已領取", "the new certificate was collected"),
    ("renewal", "activated"): ("新憑證已驗證並生效", "the new certificate is proven and in force"),
    ("renewal", "done"): ("展期完成", "the renewal is done"),
    ("renewal", "abandoned"): ("展期放棄", "the renewal was given up"),
    ("renewal", "window left"): ("展期期間已過", "the window closed without a renewal"),
    ("code", "requested"): ("請求驗證碼", "a code was asked for"),
    ("code", "refused"): ("不發送驗證碼", "no code was sent"),
    ("code", "sent"): ("驗證碼已發送", "the code was sent"),
    ("code", "failed"): ("驗證碼被業者拒收", "the carrier refused the code"),
    ("code", "not sent"): ("驗證碼未發送", "the code was not sent"),
    ("code", "dropped"): ("驗證碼已逾時，不再發送", "the code was too late to be sent"),
    ("code", "wrong"): ("驗證碼錯誤", "a wrong code was entered"),
    ("code", "used"): ("驗證碼正確", "the right code was entered"),
    ("fee", "payment asked"): ("請求繳費", "the fee was asked for"),
    ("fee", "paid"): ("已繳費", "the fee was paid"),
    ("fee", "payment declined"): ("繳費被拒", "the payment was declined"),
    ("fee", "entitlement used"): ("使用預繳費用", "the fee paid before is used"),
    ("fee", "holding"): ("準備圈存費用", "the fee is about to be held"),
    ("fee", "held"): ("費用已圈存", "the fee is held"),
    ("fee", "not held"): ("費用未圈存", "the fee was not held after all"),
    ("fee", "declined"): ("費用圈存被拒", "the fee was declined"),
    ("fee", "captured"): ("費用已扣款", "the fee was charged"),
    ("fee", "voided"): ("費用圈存已取消", "the hold was released"),
    ("fee", "consumed"): ("預繳費用已結清", "the fee paid before is used up"),
    ("fee", "to refund"): ("應退費", "the fee is to be refunded"),
    ("fee", "refunded"): ("已退費", "the fee was refunded"),
    ("CA", "asked to issue"): ("請憑證機構簽發", "the CA is about to be asked to issue"),
    ("CA", "issued"): ("憑證機構已簽發", "the CA has issued"),
    ("CA", "issued in vain"): ("憑證機構已簽發，但展期已結束", "the CA has issued, too late"),
    ("CA", "refused"): ("憑證機構拒絕", "the CA has refused"),
    ("CA", "wrong answer"): ("憑證機構回覆不符", "the CA's answer was wrong"),
    ("CA", "kept"): ("舊憑證保留", "the old certificate is kept"),
    ("CA", "revoked"): ("憑證已廢止", "revoked"),
    ("CA", "suspended"): ("憑證已暫禁", "suspended"),
    ("CA", "resumed"): ("憑證已恢復", "resumed"),
    ("CA", "suspend asked"): ("請求暫禁", "a person asked to suspend it"),
    ("CA", "resume asked"): ("請求恢復", "a person asked to resume it"),
    ("CA", "revoke asked"): ("請求廢止", "a person asked to revoke it"),
    ("CA", "suspend passed on"): ("暫禁改由新憑證承受", "the suspension passed on"),
    ("CA", "suspend refused"): ("不得暫禁", "cannot be suspended"),
    ("CA", "resume refused"): ("不得恢復", "cannot be resumed"),
    ("CA", "revoke refused"): ("不得廢止", "cannot be revoked"),
    ("import", "no reminders"): ("匯入，但不提醒", "came in, and will not be reminded of"),
    ("token", "request signed"): ("載具已簽署申請", "the token has signed the request"),
    ("token", "refused"): ("載具申請無效", "the token's request was refused"),
    ("token", "written, read back"): ("已寫入載具並讀回", "written to the token and read back"),
    ("token", "not proven"): ("載具證明無效", "the token's proof was refused"),
    ("token", "declined"): ("分行無法處理此載具", "the station could not go on"),
    ("notice", "sent"): ("通知已交給業者", "a notice was handed to the carrier"),
    ("notice", "failed"): ("通知被業者拒收", "the carrier refused the notice"),
    ("notice", "suppressed"): ("不再通知", "no notice: it would be in vain"),
    ("notice", "not sent"): ("無法通知", "no notice"),
}

#: Reasons, as the rules say them.
REASONS: Mapping[str, str] = {
    "revoked": "已廢止",
    "superseded": "已被新憑證取代",
    "suspended": "暫禁中",
    "not active": "不在使用中",
    "wrong operator": "操作人員身分不符",
    "renewal under way": "展期辦理中",
    "not in window yet": "尚未進入展期期間",
    "expired, go to the branch": "已過期，請洽營業單位",
    "window over": "已逾展期期間",
    "fee not paid": "尚未繳費",
    "renewed": "已展期",
    "paid": "已繳費",
    "opted out": "客戶不願收到提醒",
    "no contact": "沒有聯絡方式",
    "bad contact": "聯絡方式無效",
    "one SMS a day": "每日一則簡訊",
    "quiet hours": "非可聯絡時段",
    "no channel is left": "已無其他管道",
    "not finished in time": "逾期未完成",
    "declined by the customer": "客戶取消",
    "until it expires": "直到到期",
    "cessationOfOperation": "停止使用",
    "keyCompromise": "金鑰外洩",
    "renewed meanwhile": "其間已展期",
    "collected meanwhile": "其間已領取",
    "unreported": "業者六小時內沒有回報",
    "away": "業者無法連線",
    "the phone was off": "手機關機或收不到訊號",
    "no account is on file": "沒有扣款帳號",
    "fee declined": "費用被拒",
    "renew": "展期",
    "revoke": "廢止",
    "apply": "申請",
    "to the one in force": "生效中的那一張",
    "of the one before it": "因為前一張",
    "no customer is known for it": "不知道客戶是誰",
    "too late": "逾時",
    "no mobile on file": "沒有行動電話",
    "no mobile number is on file": "沒有行動電話",
    "no address is usable": "沒有可用的聯絡方式",
    "too many wrong codes: locked for 24 hours": "錯誤次數過多，鎖定 24 小時",
    "no code can be sent for this certificate": "這張憑證無法發送驗證碼",
    "this product is not confirmed by a code": "這項產品不用驗證碼",
}

STATES: Mapping[str, str] = {
    "pending": "待啟用",
    "active": "使用中",
    "suspended": "暫禁",
    "superseded": "已被取代",
    "revoked": "已廢止",
    "expired": "已過期",
    "requested": "已申請",
    "confirmed": "已確認",
    "fee held": "費用已備妥",
    "sent to CA": "簽發中",
    "issued": "已簽發",
    "delivered": "已送達",
    "activated": "已生效",
    "done": "完成",
    "refused": "被拒",
    "abandoned": "已放棄",
    "claimed": "待交付",
    "handed over": "已交付",
    "undelivered": "未送達",
    "uncertain": "不明",
}


def reason(lang: Lang, why: str) -> str:
    return lang.pick(REASONS.get(why, why), why)


def state(lang: Lang, name: str) -> str:
    return lang.pick(STATES.get(name, name), name)


def decision(lang: Lang, row: Mapping[str, Any]) -> str:
    """
    One stored decision in words; one without words here is told as it is stored.
    """
    stored = f"{row['about']}: {row['what']}"
    parts = [lang.pick(*DECIDED.get((row["about"], row["what"]), (stored, stored)))]
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
