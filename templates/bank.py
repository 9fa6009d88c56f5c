"""What an installation tells the voice of its bank."""

from __future__ import annotations

from dataclasses import dataclass

from templates.length import is_gsm7

#: How many characters each may have, so that a code fits one segment and any other text two.
LONGEST = {"brand_zh": 10, "brand_en": 16, "menu_zh": 24, "menu_en": 48, "phone": 20}
_IN_ENGLISH_SMS = ("brand_en", "menu_en", "phone")


@dataclass(frozen=True, kw_only=True)
class Bank:
    """
    Raises:
        ValueError: a text does not fit the text messages that carry it; it names which and why.
    """

    name_zh: str = "續期銀行"
    name_en: str = "Xuqi Bank"
    brand_zh: str = "續期銀行"  #: comes first in every text message: carriers overwrite sender ids
    brand_en: str = "Xuqi Bank"
    phone: str = "02-2345-6789"
    hours_zh: str = "週一至週五 09:00–17:30"
    hours_en: str = "Monday to Friday 09:00–17:30"
    menu_zh: str = "憑證中心＞憑證查詢及申請"  #: messages carry no link: they name the way
    menu_en: str = "Certificate Centre > Query and apply"
    opt_out_zh: str = "憑證中心＞通知設定"
    opt_out_en: str = "Certificate Centre > Notifications"

    def __post_init__(self) -> None:
        for name, most in LONGEST.items():
            if not 0 < len(getattr(self, name)) <= most:
                raise ValueError(f"bank.{name} must have 1 to {most} characters: it stands in SMS")
        for name in _IN_ENGLISH_SMS:
            if not is_gsm7(getattr(self, name)):
                raise ValueError(f"bank.{name} must be in the GSM 7 bit alphabet: it stands in SMS")
