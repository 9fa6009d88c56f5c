"""Parses one row of a customer file and reports the fault of each field."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, TypeVar

import msgspec
import phonenumbers
from msgspec import UNSET, UnsetType

from back_office.imports.table import Columns
from renewal.errors import UnreadableError
from renewal.rules.id_numbers import is_mistyped
from schema.reasons import FindingReason, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from renewal.rules.policies import Policies
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
    **dict.fromkeys(("zh-tw", "zh_tw", "zh", "zh-hant", "zh-hant-tw", "zh_hant_tw"), "zh-TW"),
    **dict.fromkeys(("中文", "繁體中文", "繁體", "繁中", "正體中文", "中文(台灣)"), "zh-TW"),
    **dict.fromkeys(("en", "en-us", "en-gb", "en_us", "en_gb", "english"), "en"),
    **dict.fromkeys(("英文", "英語"), "en"),
}
YES_OR_NO = {
    **dict.fromkeys(("yes", "y", "true", "t", "1", "是", "有", "v", "✓", "✔", "√", "☑"), True),
    **dict.fromkeys(("no", "n", "false", "f", "0", "否", "不", "無", "☐"), False),
}
#: What can be wrong without harm: the customer comes in, and keeps what is on file. The others
#: say who it is, or what may be done in the name of whom.
LEFT_OUT = frozenset(("mobile", "mail", "locale", "opted_out", "branch", "account"))
#: How people write that there is nothing to write.
NOTHING = frozenset(
    ("-", "--", "—", "無", "沒有", "未提供", "n/a", "na", "none", "nil", "null", "x")
)

_REFERENCE = re.compile(r"[0-9A-Za-z][0-9A-Za-z._/-]{0,39}")
ID_NUMBER = re.compile(r"[0-9A-Z]{6,20}")  # persons, residents and companies
_WORD = re.compile(r"[0-9A-Za-z-]{1,16}")
_ACCOUNT = re.compile(r"[0-9A-Za-z][0-9A-Za-z -]{0,33}")
_DASHES = re.compile(r"[\u2010-\u2015\u2212\u30fc\ufe58]")  # also those that NFKC leaves
#: What a list puts behind an address.
_BEHIND = " ;,、"
# Digits, and the signs that people put between them.
_NUMBER = re.compile(r"\+?[0-9() .#-]{7,24}")
_MOBILE = re.compile(r"(?:\+?886|0)?(9[0-8][0-9]{7})")
#: Signs that turn the direction of a text: they would show a name as another one.
_TURNING = frozenset(
    "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
)
_NO_TEXT = frozenset(("Cc", "Cs", "Zl", "Zp"))
_GUARDED = re.compile(r'="(.*)"')
BY_SPREADSHEET = re.compile(r"[0-9]+(\.[0-9]+)?E\+?[0-9]+", re.IGNORECASE)
_MAIL = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"  # RFC 5321, Dot-string
    r"@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W_](?:[\w-]{0,61}[^\W_])?"
)
_MOST_MAIL, _MOST_LOCAL, _MOST_NAME, _MOST_OPERATOR = 254, 64, 100, 32
_MOBILE_KINDS = frozenset(
    (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE)
)


class Enrolling(msgspec.Struct, frozen=True):
    """One product of a customer. What is ``UNSET`` was not said and stays as it is on file."""

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
    notes: tuple[tuple[str, Reason], ...]  #: field and reason


class BadFieldError(UnreadableError):
    """A field cannot be used; its reason is without the field's value."""


def read_customer(
    line: int, cells: Mapping[str, str], policies: Policies
) -> CustomerRow | list[tuple[str, Reason]]:
    """Return the row, or all that is wrong with it: field and reason."""
    wrong: list[tuple[str, Reason]] = []
    notes: list[tuple[str, Reason]] = []
    read = _Reader(cells, wrong, notes)
    mobile = read("mobile", lambda text: read_mobile(text, notes))
    row = CustomerRow(
        line=line,
        reference=read("reference", read_reference) or "",
        id_number=read("id_number", lambda text: _checked(read_id_number(text), notes)) or "",
        name=read("name", lambda text: _name(text, notes)) or "",
        mobile=mobile,
        mail=read("mail", read_mail),
        locale=read("locale", _locale),
        opted_out=read("opted_out", _opted_out),
        enrolling=_enrolling(read, policies),
        notes=tuple(notes),
    )
    return [*notes, *wrong] if wrong else row


class _Reader:
    """Reads one field after the other, and keeps what is wrong with each."""

    def __init__(
        self,
        cells: Mapping[str, str],
        wrong: list[tuple[str, Reason]],
        notes: list[tuple[str, Reason]],
    ) -> None:
        self._cells = cells
        self.wrong = wrong
        self._notes = notes

    def note(self, name: str, reason: Reason) -> None:
        self._notes.append((name, reason))

    def __call__(self, name: str, reader: Callable[[str], T]) -> T | UnsetType:
        text = self._cells.get(name)
        if text is None:
            return UNSET
        try:
            # NFKC would turn rare characters of names into others.
            return reader(" ".join(text.split()) if name == "name" else plain(text))
        except BadFieldError as error:
            if name in LEFT_OUT:
                left = FindingReason.LEFT_OUT.why(detail=error.reason.stored())
                self._notes.append((name, left))
            else:
                self.wrong.append((name, error.reason))
            return UNSET


def plain(text: str) -> str:
    """
    Return the text with full-width digits and letters as plain ones, without blanks around it,
    signs that nobody sees, and the marks by which a spreadsheet keeps a text.
    """
    if not text.isascii():
        signs = unicodedata.normalize("NFKC", text)
        text = "".join(sign for sign in signs if unicodedata.category(sign) != "Cf")
    text = text.strip()
    guarded = _GUARDED.fullmatch(text)
    return guarded[1].strip() if guarded else text.removeprefix("'")


def read_reference(text: str) -> str:
    """
    Return the bank's number of a customer.

    Raises:
        BadFieldError
    """
    if not _REFERENCE.fullmatch(text):
        raise BadFieldError(FindingReason.REFERENCE_FORM)
    return text


def read_id_number(text: str) -> str:
    """
    Return the ID number in capitals.

    Raises:
        BadFieldError
    """
    number = re.sub(r"[\s-]", "", _DASHES.sub("-", text)).upper()
    if not ID_NUMBER.fullmatch(number):
        raise BadFieldError(FindingReason.ID_FORM)
    return number


def _checked(number: str, notes: list[tuple[str, Reason]]) -> str:
    """A note and no refusal: the bank's register may know better."""
    if is_mistyped(number):
        notes.append(("id_number", FindingReason.ID_CHECK_DIGIT.why()))
    return number


def _name(text: str, notes: list[tuple[str, Reason]]) -> str:
    """
    A name is taken as it is: a bank makes characters of its own for its customers' names.
    """
    signs = [sign for sign in text if sign not in _TURNING]
    if not 0 < len(signs) <= _MOST_NAME:
        raise BadFieldError(FindingReason.NAME_LENGTH.why(limit=_MOST_NAME))
    kinds = {unicodedata.category(sign) for sign in signs}
    if kinds & _NO_TEXT:
        raise BadFieldError(FindingReason.NAME_UNPRINTABLE)
    if "Co" in kinds:
        notes.append(("name", FindingReason.OWN_CHARACTER.why()))
    return "".join(signs)


def read_mobile(text: str, notes: list[tuple[str, Reason]]) -> str | None:
    if not text or text.casefold() in NOTHING:
        return None
    text = _without("tel:", _DASHES.sub("-", text).rstrip(_BEHIND))
    local = _MOBILE.fullmatch(text.replace("-", "").replace(" ", ""))
    if local:  # nearly all of them, without the library's fifty microseconds
        return f"+886{local[1]}"
    if BY_SPREADSHEET.fullmatch(text):
        raise BadFieldError(FindingReason.ROUNDED)
    if not _NUMBER.fullmatch(text):
        raise BadFieldError(FindingReason.NO_NUMBER)
    try:
        number = phonenumbers.parse(text, "TW")
    except phonenumbers.NumberParseException:
        raise BadFieldError(FindingReason.NO_NUMBER) from None  # its text may quote the number
    if not phonenumbers.is_valid_number(number):
        raise BadFieldError(FindingReason.NOBODYS_NUMBER)
    if phonenumbers.number_type(number) not in _MOBILE_KINDS:
        notes.append(("mobile", FindingReason.LANDLINE.why()))
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _without(prefix: str, text: str) -> str:
    has = text[: len(prefix)].casefold() == prefix
    return text[len(prefix) :].strip() if has else text


def _bare_mail(text: str) -> str:
    """The address alone, of what an address book or a list shows of it."""
    text = text.rstrip(_BEHIND + ".")
    if text.endswith(">"):
        text = text[:-1].rpartition("<")[2].strip()
    return _without("mailto:", text)


def read_mail(text: str) -> str | None:
    if not text or text.casefold() in NOTHING:
        return None
    text = _bare_mail(text)
    local, _, domain = text.rpartition("@")
    if not _MAIL.fullmatch(text):
        raise BadFieldError(FindingReason.NO_MAIL)
    if len(text) > _MOST_MAIL or len(local) > _MOST_LOCAL:
        raise BadFieldError(FindingReason.MAIL_TOO_LONG)
    return f"{local}@{domain.lower()}"


def _locale(text: str) -> str | UnsetType:
    return _one_of(text, LOCALES, FindingReason.LOCALE_FORM)


def _opted_out(text: str) -> bool | UnsetType:
    return _one_of(text, YES_OR_NO, FindingReason.YES_OR_NO)


def _class(text: str) -> int | UnsetType:
    return _one_of(text, CLASSES, FindingReason.CLASS_FORM)


def _one_of(text: str, choices: Mapping[str, T], reason: FindingReason) -> T | UnsetType:
    if not text:
        return UNSET
    if (choice := choices.get(text.casefold())) is None:
        raise BadFieldError(reason)
    return choice


def _branch(text: str) -> str | None:
    if text and not _WORD.fullmatch(text):
        raise BadFieldError(FindingReason.BRANCH_FORM)
    return text or None


def _account(text: str) -> str | None:
    if BY_SPREADSHEET.fullmatch(text):
        raise BadFieldError(FindingReason.ROUNDED)
    if text and not _ACCOUNT.fullmatch(text):
        raise BadFieldError(FindingReason.ACCOUNT_FORM)
    return text or None


def _operator(text: str) -> str | UnsetType:
    if len(text) > _MOST_OPERATOR or not text.isprintable():
        raise BadFieldError(FindingReason.OPERATOR_FORM.why(limit=_MOST_OPERATOR))
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
        return _with_role(enrolling, policy, read)
    stated = (enrolling.customer_class, enrolling.operator, enrolling.branch, enrolling.account)
    if any(stated) and not any(name == "product" for name, _ in read.wrong):
        read.wrong.append(("product", FindingReason.PRODUCT_NEEDED.why()))
    return None


def _with_role(enrolling: Enrolling, policy: Policy, read: _Reader) -> Enrolling:
    roles = policy.confirm.operators
    if not roles:
        return enrolling
    faulty = {name for name, _ in read.wrong}  # one mistake is one finding
    if enrolling.customer_class is UNSET and "class" not in faulty:
        read.wrong.append(("class", FindingReason.NEEDED_FOR.why(product=policy.product)))
    if enrolling.operator is UNSET:
        if "operator" not in faulty:
            missing = FindingReason.NEEDED_FOR.why(product=policy.product)
            read.wrong.append(("operator", missing))
        return enrolling
    written = {role.casefold(): role for role in roles.values()}
    role = written.get(enrolling.operator.casefold(), enrolling.operator)
    if enrolling.customer_class is not UNSET:
        wanted = roles.get(str(enrolling.customer_class))
        if role != wanted:
            read.note("operator", FindingReason.OTHER_ROLE.why(role=wanted or "-"))
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
    raise BadFieldError(
        FindingReason.NO_SUCH_PRODUCT.why(known=", ".join(sorted(policies.by_product)))
    )
