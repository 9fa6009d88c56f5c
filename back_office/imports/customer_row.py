"""Reads one row of a bank's customers, or says what is wrong with each of its fields."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, TypeVar

import msgspec
import phonenumbers
from msgspec import UNSET, UnsetType

from back_office.imports.table import Columns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from renewal.cycle import Policies
    from schema.policy import Policy

COLUMNS = Columns(
    names={
        "reference": ("customer", "customer_number", "customer_no", "客戶編號", "客戶代號", "客號"),
        "id_number": (
            *("id", "id_no", "national_id", "身分證字號", "身份證字號", "證號"),
            *("統一編號", "身分證統一編號"),
        ),
        "name": ("customer_name", "姓名", "戶名", "名稱", "客戶姓名"),
        "mobile": ("phone", "mobile_number", "手機", "手機號碼", "行動電話", "電話"),
        "mail": ("email", "e_mail", "電子郵件", "電子信箱", "信箱"),
        "locale": ("language", "語言", "語系"),
        "opted_out": ("opt_out", "拒收", "拒收通知", "不接收通知"),
        "product": ("產品", "商品", "憑證產品"),
        "class": ("customer_class", "類別", "客戶類別", "身分類別"),
        "operator": ("role", "操作者", "操作員", "角色", "權限"),
        "branch": ("分行", "分行代號", "分公司"),
        "account": ("帳號", "扣款帳號"),
    },
    needed=("reference", "id_number", "name"),
    most_bytes=1 << 14,
)
T = TypeVar("T")
CLASSES = {"2": 2, "3": 3, "4": 4}
LOCALES = {
    **dict.fromkeys(("zh-tw", "zh_tw", "zh", "中文", "繁體中文"), "zh-TW"),
    **dict.fromkeys(("en", "en-us", "en-gb", "english", "英文"), "en"),
}
YES_OR_NO = {
    **dict.fromkeys(("yes", "y", "true", "1", "是"), True),
    **dict.fromkeys(("no", "n", "false", "0", "否"), False),
}
LANDLINE = "is no mobile number: text messages will not reach it"

_REFERENCE = re.compile(r"[0-9A-Za-z][0-9A-Za-z._/-]{0,39}")
ID_NUMBER = re.compile(r"[0-9A-Z]{6,20}")  # persons, residents and companies
_WORD = re.compile(r"[0-9A-Za-z-]{1,16}")
_ACCOUNT = re.compile(r"[0-9A-Za-z][0-9A-Za-z -]{0,33}")
# Digits, and the signs that people put between them.
_NUMBER = re.compile(r"\+?[0-9() .#-]{7,24}")
_MOBILE = re.compile(r"(?:\+?886|0)?(9[0-8][0-9]{7})")
_BY_SPREADSHEET = re.compile(r"[0-9]+(\.[0-9]+)?E\+?[0-9]+", re.IGNORECASE)
_MAIL = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"  # RFC 5321, Dot-string
    r"@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W_](?:[\w-]{0,61}[^\W_])?"
)
_MOST_MAIL, _MOST_LOCAL, _MOST_NAME, _MOST_OPERATOR = 254, 64, 100, 32
_MOBILE_KINDS = frozenset(
    (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE)
)


class Enrolling(msgspec.Struct, frozen=True):
    """
    One product of a customer. What is ``UNSET`` was not said and stays as it is on file.
    """

    product: str
    customer_class: int | UnsetType
    operator: str | UnsetType
    branch: str | UnsetType | None
    account: str | UnsetType | None


class CustomerRow(msgspec.Struct, frozen=True):
    line: int
    reference: str
    id_number: str
    name: str
    mobile: str | UnsetType | None  #: E.164; None: there is none any more
    mail: str | UnsetType | None
    locale: str | UnsetType
    opted_out: bool | UnsetType
    enrolling: Enrolling | None
    notes: tuple[tuple[str, str], ...]  #: field and reason


class BadFieldError(ValueError):
    """
    A field cannot be used; the text says why, without the field's value.
    """


def read_customer(
    line: int, cells: Mapping[str, str], policies: Policies
) -> CustomerRow | list[tuple[str, str]]:
    """
    Return the row, or all that is wrong with it: field and reason.
    """
    wrong: list[tuple[str, str]] = []
    notes: list[tuple[str, str]] = []
    read = _Reader(cells, wrong)
    mobile = read("mobile", lambda text: _mobile(text, notes))
    row = CustomerRow(
        line=line,
        reference=read("reference", read_reference) or "",
        id_number=read("id_number", read_id_number) or "",
        name=read("name", _name) or "",
        mobile=mobile,
        mail=read("mail", _mail),
        locale=read("locale", _locale),
        opted_out=read("opted_out", _opted_out),
        enrolling=_enrolling(read, policies),
        notes=tuple(notes),
    )
    return wrong or row


class _Reader:
    """
    Reads one field after the other, and keeps what is wrong with each.
    """

    def __init__(self, cells: Mapping[str, str], wrong: list[tuple[str, str]]) -> None:
        self._cells = cells
        self.wrong = wrong

    def __call__(self, name: str, reader: Callable[[str], T]) -> T | UnsetType:
        text = self._cells.get(name)
        if text is None:
            return UNSET
        try:
            # NFKC would turn rare characters of names into others.
            return reader(" ".join(text.split()) if name == "name" else plain(text))
        except BadFieldError as error:
            self.wrong.append((name, str(error)))
            return UNSET


def plain(text: str) -> str:
    """
    Return the text with full-width digits and letters as plain ones, without blanks around it.
    """
    return (text if text.isascii() else unicodedata.normalize("NFKC", text)).strip()


def read_reference(text: str) -> str:
    """
    Return the bank's number of a customer.

    Raises:
        BadFieldError
    """
    if not _REFERENCE.fullmatch(text):
        raise BadFieldError("must be 1 to 40 letters, digits or ._/-")
    return text


def read_id_number(text: str) -> str:
    """
    Return the ID number in capitals.

    Raises:
        BadFieldError
    """
    number = text.upper()
    if not ID_NUMBER.fullmatch(number):
        raise BadFieldError("must be 6 to 20 letters and digits")
    return number


def _name(text: str) -> str:
    if not 0 < len(text) <= _MOST_NAME:
        raise BadFieldError(f"must be 1 to {_MOST_NAME} characters")
    if not text.isprintable():
        raise BadFieldError("holds a character that cannot be printed")
    return text


def _mobile(text: str, notes: list[tuple[str, str]]) -> str | None:
    if not text:
        return None
    local = _MOBILE.fullmatch(text.replace("-", "").replace(" ", ""))
    if local:  # nearly all of them, without the library's fifty microseconds
        return f"+886{local[1]}"
    if _BY_SPREADSHEET.fullmatch(text):
        raise BadFieldError("was rounded by a spreadsheet: format the column as text")
    if not _NUMBER.fullmatch(text):
        raise BadFieldError("is no telephone number")
    try:
        number = phonenumbers.parse(text, "TW")
    except phonenumbers.NumberParseException:
        raise BadFieldError("is no telephone number") from None  # its text may quote the number
    if not phonenumbers.is_valid_number(number):
        raise BadFieldError("is no number that anybody can have")
    if phonenumbers.number_type(number) not in _MOBILE_KINDS:
        notes.append(("mobile", LANDLINE))
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _mail(text: str) -> str | None:
    if not text:
        return None
    local, _, domain = text.rpartition("@")
    if not _MAIL.fullmatch(text):
        raise BadFieldError("is no mail address")
    if len(text) > _MOST_MAIL or len(local) > _MOST_LOCAL:
        raise BadFieldError("is too long for a mail address")
    return f"{local}@{domain.lower()}"


def _locale(text: str) -> str | UnsetType:
    return _one_of(text, LOCALES, "must be zh-TW or en")


def _opted_out(text: str) -> bool | UnsetType:
    return _one_of(text, YES_OR_NO, "must be yes or no")


def _class(text: str) -> int | UnsetType:
    return _one_of(text, CLASSES, "must be 2, 3 or 4")


def _one_of(text: str, choices: Mapping[str, T], reason: str) -> T | UnsetType:
    if not text:
        return UNSET
    if (choice := choices.get(text.casefold())) is None:
        raise BadFieldError(reason)
    return choice


def _branch(text: str) -> str | None:
    if text and not _WORD.fullmatch(text):
        raise BadFieldError("must be 1 to 16 letters, digits or hyphens")
    return text or None


def _account(text: str) -> str | None:
    if _BY_SPREADSHEET.fullmatch(text):
        raise BadFieldError("was rounded by a spreadsheet: format the column as text")
    if text and not _ACCOUNT.fullmatch(text):
        raise BadFieldError("must be 1 to 34 letters, digits, blanks or hyphens")
    return text or None


def _operator(text: str) -> str | UnsetType:
    if len(text) > _MOST_OPERATOR or not text.isprintable():
        raise BadFieldError(f"must be at most {_MOST_OPERATOR} printable characters")
    return text or UNSET


def _enrolling(read: _Reader, policies: Policies) -> Enrolling | None:
    product = read("product", lambda text: find_product(text, policies))
    enrolling = Enrolling(
        product=product or "",
        customer_class=read("class", _class),
        operator=read("operator", _operator),
        branch=read("branch", _branch),
        account=read("account", _account),
    )
    policy = policies.by_product.get(enrolling.product)
    if policy is not None:
        return _with_role(enrolling, policy, read.wrong)
    said = (enrolling.customer_class, enrolling.operator, enrolling.branch, enrolling.account)
    if any(said) and not any(name == "product" for name, _ in read.wrong):
        read.wrong.append(("product", "is needed where a class, operator, branch or account is"))
    return None


def _with_role(enrolling: Enrolling, policy: Policy, wrong: list[tuple[str, str]]) -> Enrolling:
    roles = policy.confirm.operators
    if not roles:
        return enrolling
    if enrolling.customer_class is UNSET:
        wrong.append(("class", f"is needed for {policy.product}"))
    if enrolling.operator is UNSET:
        wrong.append(("operator", f"is needed for {policy.product}"))
        return enrolling
    written = {role.casefold(): role for role in roles.values()}
    role = written.get(enrolling.operator.casefold(), enrolling.operator)
    return msgspec.structs.replace(enrolling, operator=role)


def find_product(text: str, policies: Policies) -> str | None:
    """
    Return the product that is called so, by its name or its title; ``None`` for an empty text.

    Raises:
        BadFieldError: there is none.
    """
    if not text:
        return None
    if text in policies.by_product:
        return text
    for name, policy in policies.by_product.items():
        if text.casefold() in {name, policy.title.zh.casefold(), policy.title.en.casefold()}:
            return name
    raise BadFieldError(f"is none of {', '.join(sorted(policies.by_product))}")
