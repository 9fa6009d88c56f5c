"""Shows the normal messages as their readers see them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypedDict

import pytest

from templates import contexts
from templates.extremes import about_one_certificate
from templates.length import segments
from templates.rendering import LOCALES

if TYPE_CHECKING:
    from templates.rendering import MessageRenderer

END = datetime(2026, 12, 23, 15, 59, 59, tzinfo=UTC)  # 23:59:59 in Taipei
START = datetime(2026, 11, 23, 3, 28, 33, tzinfo=UTC)  # 11:28:33 in Taipei
TO_2027 = datetime(2027, 11, 23, 15, 59, 59, tzinfo=UTC)


class Certificate(TypedDict):
    product: str
    serial_tail: str


CERTIFICATE = Certificate(product="企業憑證", serial_tail="029dc2d0")


def due(
    days_left: int,
    *,
    opens_at: datetime | None = None,
    closes_at: datetime | None = None,
    fee_payable: bool = False,
) -> contexts.ReminderItem:
    return contexts.ReminderItem(
        **CERTIFICATE,
        not_after=END,
        days_left=days_left,
        opens_at=opens_at,
        closes_at=closes_at,
        fee_payable=fee_payable,
    )


def code(action: contexts.Action = contexts.Action.RENEW) -> contexts.CodeMessage:
    return contexts.CodeMessage(code="493027", action=action, seconds=60, masked_to="0966****06")


@pytest.mark.parametrize(
    ("said", "locale", "text"),
    [
        (
            contexts.ReminderMessage(items=(due(30),)),
            "zh-TW",
            (
                "【續期銀行】您的憑證將於2026/12/23到期（剩30天），"
                "請至憑證中心＞憑證查詢及申請辦理更新。"
            ),
        ),
        (
            contexts.ReminderMessage(items=(due(30),)),
            "en",
            (
                "(Xuqi Bank) Your certificate expires on 2026/12/23 (30 days left). "
                "Renew it at Certificate Centre > Query and apply."
            ),
        ),
        (
            contexts.ReminderMessage(items=(due(1),)),
            "en",
            (
                "(Xuqi Bank) Your certificate expires on 2026/12/23 (1 day left). "
                "Renew it at Certificate Centre > Query and apply."
            ),
        ),
        (
            contexts.ReminderMessage(items=(due(0),)),
            "zh-TW",
            (
                "【續期銀行】您的憑證將於今日（2026/12/23）到期，"
                "請儘速至憑證中心＞憑證查詢及申請辦理更新。"
            ),
        ),
        (
            contexts.ReminderMessage(items=(due(-27, closes_at=TO_2027), due(-27))),
            "zh-TW",
            (
                "【續期銀行】您有2張憑證需更新，最早一張已於2026/12/23到期（逾期27天），"
                "請最遲於2027/11/23至憑證中心＞憑證查詢及申請辦理更新。"
            ),
        ),
        (
            contexts.ReminderMessage(items=(due(-1),)),
            "en",
            (
                "(Xuqi Bank) Your certificate expired on 2026/12/23 (1 day ago). "
                "Renew it at Certificate Centre > Query and apply."
            ),
        ),
        (
            contexts.ReminderMessage(items=(due(60, opens_at=START, fee_payable=True),)),
            "zh-TW",
            (
                "【續期銀行】您的憑證將於2026/12/23到期（剩60天），2026/11/23 11:28起可辦理更新，"
                "費用現可先繳納。請至憑證中心＞憑證查詢及申請查詢。"
            ),
        ),
        (
            contexts.ReminderMessage(items=(due(60, opens_at=START),)),
            "en",
            (
                "(Xuqi Bank) Your certificate expires on 2026/12/23 (60 days left); renewal opens "
                "on 2026/11/23 11:28. See Certificate Centre > Query and apply."
            ),
        ),
        (
            contexts.NotCollectedMessage(**CERTIFICATE, issued_at=START, collect_by=END),
            "zh-TW",
            (
                "【續期銀行】您的新憑證（末碼029dc2d0）已於2026/11/23核發，"
                "請最遲於2026/12/23至憑證中心＞憑證查詢及申請下載。"
            ),
        ),
        (
            contexts.InvitedMessage(**CERTIFICATE, not_after=END, has_ended=False, renew_by=END),
            "zh-TW",
            (
                "【續期銀行】您的憑證（末碼029dc2d0）將於2026/12/23到期，"
                "請最遲於2026/12/23至憑證中心＞憑證查詢及申請辦理更新。"
            ),
        ),
        (
            contexts.InvitedMessage(
                **CERTIFICATE, not_after=END, has_ended=False, renew_by=END, branch="001"
            ),
            "en",
            (
                "(Xuqi Bank) Your certificate (029dc2d0) expires on 2026/12/23. "
                "Please renew it by 2026/12/23 with your token at branch 001."
            ),
        ),
        (
            contexts.ReceiptMessage(
                **CERTIFICATE, amount=1200, paid_at=START, valid_from=END, valid_to=TO_2027
            ),
            "zh-TW",
            (
                "【續期銀行】已收訖憑證更新費新臺幣1,200元，新憑證（末碼029dc2d0）"
                "效期至2027/11/23。洽詢電話02-2345-6789。"
            ),
        ),
    ],
    ids=lambda part: getattr(part, "message", part if part in LOCALES else "reads"),
)
def test_a_text_message_reads(
    voice: MessageRenderer, said: contexts.MessageContext, locale: str, text: str
) -> None:
    assert voice.sms(said, locale) == text


@pytest.mark.shows("B09")
@pytest.mark.parametrize(
    ("locale", "text"),
    [
        (
            "zh-TW",
            "【續期銀行】憑證更新驗證碼493027，60秒內有效。請勿告知任何人，本行不會向您索取。",
        ),
        (
            "en",
            (
                "(Xuqi Bank) Code 493027 to renew your certificate, valid for 60 seconds. "
                "Never tell it to anyone; we will never ask for it."
            ),
        ),
    ],
)
def test_a_code_says_what_it_is_for_and_how_long(
    voice: MessageRenderer, locale: str, text: str
) -> None:
    assert voice.sms(code(), locale) == text


@pytest.mark.parametrize(
    ("action", "chinese"),
    [
        (contexts.Action.RENEW, "更新"),
        (contexts.Action.APPLY, "申請"),
        (contexts.Action.REVOKE, "註銷"),
    ],
)
def test_a_code_names_the_action_in_both_languages(
    voice: MessageRenderer, action: contexts.Action, chinese: str
) -> None:
    assert f"憑證{chinese}驗證碼" in voice.sms(code(action), "zh-TW")
    assert f"憑證{chinese}驗證碼" in voice.mail(code(action), "zh-TW").subject
    assert f"to {action} your certificate" in voice.sms(code(action), "en")


@pytest.mark.shows("B10")
def test_the_mail_with_a_code_shows_where_it_went_masked(voice: MessageRenderer) -> None:
    assert "已發送至 0966****06。" in voice.mail(code(), "zh-TW").text
    assert "已發送至 0966****06。" in voice.mail(code(), "zh-TW").html


@pytest.mark.shows("B15")
@pytest.mark.parametrize(
    ("locale", "again"),
    [("zh-TW", "須重新匯入新憑證"), ("en", "must import the new certificate again")],
)
def test_success_in_a_browser_says_that_other_computers_import_again(
    voice: MessageRenderer, locale: str, again: str
) -> None:
    browser = contexts.RenewedMessage(
        **CERTIFICATE, valid_from=START, valid_to=TO_2027, in_browser=True
    )
    token = contexts.RenewedMessage(
        **CERTIFICATE, valid_from=START, valid_to=TO_2027, in_browser=False
    )

    said = [voice.sms(browser, locale), voice.mail(browser, locale).text]
    unsaid = [voice.sms(token, locale), voice.mail(token, locale).text]

    assert all(again in text for text in said)
    assert not any(again in text for text in unsaid)


@pytest.mark.shows("A14")
@pytest.mark.shows("C12")
@pytest.mark.parametrize("reason", list(contexts.MessageRefusal))
@pytest.mark.parametrize("locale", ["zh-TW", "en"])
def test_a_refusal_names_reason_hours_and_telephone(
    voice: MessageRenderer, reason: contexts.MessageRefusal, locale: str
) -> None:
    refused = contexts.RefusedMessage(**CERTIFICATE, reason=reason, opens_at=END)

    letter = voice.mail(refused, locale)

    assert "02-2345-6789" in voice.sms(refused, locale)
    for text in (letter.text, letter.html):  # once beside the reason, once in the signature
        assert text.count("02-2345-6789") == 2
        assert text.count("09:00–17:30") == 2


def test_a_refusal_by_mail_reads(voice: MessageRenderer) -> None:
    refused = contexts.RefusedMessage(**CERTIFICATE, reason=contexts.MessageRefusal.EXPIRED)

    letter = voice.mail(refused, "zh-TW")

    assert letter.subject == "【續期銀行】憑證更新未能受理通知"
    assert letter.text.startswith("""\
親愛的客戶您好：

您的憑證更新申請未能受理，說明如下：

憑證種類：企業憑證
序號末碼：029dc2d0
原因：已逾更新期限，請洽營業單位辦理。

如需協助，請於服務時間（週一至週五 09:00–17:30）致電 02-2345-6789。

續期銀行 敬上
""")


def test_each_reason_of_a_refusal_has_its_own_text(voice: MessageRenderer) -> None:
    told = {
        voice.sms(contexts.RefusedMessage(**CERTIFICATE, reason=reason, opens_at=END), locale)
        for reason in contexts.MessageRefusal
        for locale in ("zh-TW", "en")
    }

    assert len(told) == 2 * len(contexts.MessageRefusal)
    assert not any("：如有疑問" in text or "renewed:  " in text for text in told)


def test_a_reminder_by_mail_reads(voice: MessageRenderer) -> None:
    soon = due(30)
    later = due(60, opens_at=START, fee_payable=True)

    letter = voice.mail(contexts.ReminderMessage(customer="王小明", items=(soon, later)), "zh-TW")

    assert letter.subject == "【續期銀行】憑證即將到期通知（共2張）"
    assert (
        letter.text
        == """\
王小明 您好：

提醒您，下列憑證已到期或即將到期，請至「憑證中心＞憑證查詢及申請」辦理更新，以免影響您的交易：

憑證種類｜序號末碼｜到期日｜狀態
企業憑證｜029dc2d0｜2026/12/23｜剩 30 天
企業憑證｜029dc2d0｜2026/12/23｜剩 60 天，2026/11/23 11:28 起可更新，費用現可先繳納

如您已完成更新，請忽略本通知。

如不需再收到到期提醒，請至「憑證中心＞通知設定」取消。

續期銀行 敬上
客服專線：02-2345-6789（週一至週五 09:00–17:30）

本信件由系統自動寄發，請勿直接回覆。本行不會以信件、簡訊或電話向您索取密碼或驗證碼。
"""
    )


def test_a_receipt_by_mail_reads(voice: MessageRenderer) -> None:
    receipt = contexts.ReceiptMessage(
        **CERTIFICATE, amount=1200, paid_at=START, valid_from=START, valid_to=TO_2027
    )

    letter = voice.mail(receipt, "zh-TW")

    assert letter.subject == "【續期銀行】憑證更新費用收訖通知"
    assert letter.text.startswith("""\
親愛的客戶您好：

您的憑證已更新完成，更新費用已收訖，明細如下：

憑證種類：企業憑證
序號末碼：029dc2d0
收費金額：新臺幣 1,200 元
收費日期：民國115年11月23日
有效期間起：2026/11/23 11:28:33
有效期間迄：2027/11/23 23:59:59

本通知供您核對留存，如有疑問，請與本行聯絡。
""")


def test_a_list_of_101_certificates_is_cut_after_100_and_says_so(voice: MessageRenderer) -> None:
    hundred = contexts.ReminderMessage(items=(due(30),) * 100)
    one_more = contexts.ReminderMessage(items=(due(30),) * 101)

    assert "其餘" not in voice.mail(hundred, "zh-TW").text
    assert voice.mail(one_more, "zh-TW").text.count("029dc2d0") == 100
    assert "其餘 1 張未列出" in voice.mail(one_more, "zh-TW").text
    assert "and 1 more" in voice.mail(one_more, "en").html


def test_the_list_begins_with_the_certificate_that_ends_first(voice: MessageRenderer) -> None:
    last = contexts.ReminderItem(product="B", serial_tail="2", not_after=TO_2027, days_left=365)
    first = contexts.ReminderItem(product="A", serial_tail="1", not_after=END, days_left=30)

    reminder = contexts.ReminderMessage(items=(last, first))

    text = voice.mail(reminder, "en").text
    assert text.index("A | 1 | 2026/12/23") < text.index("B | 2 | 2027/11/23")
    assert "2026/12/23" in voice.sms(reminder, "en")


def test_with_the_sample_bank_a_message_about_one_certificate_is_one_segment(
    voice: MessageRenderer,
) -> None:
    usual = [
        said for said in about_one_certificate("王小明", END) if getattr(said, "amount", 0) < 10**6
    ]

    dear = {
        voice.sms(said, locale)
        for said in usual
        for locale in LOCALES
        if segments(voice.sms(said, locale)) > 1
    }

    assert dear == set()
