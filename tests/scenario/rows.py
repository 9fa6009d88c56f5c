"""Builds the rows of customers and their certificates; a test names only what it is about."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from renewal.db.rows import Certificate, Customer, Enrolment

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from renewal.db.encryption import FieldCipher

BRANCH = "001"
YEAR = timedelta(days=364)


def name_of(customer: int) -> str:
    return f"王小明{customer}號"


def mobile_of(customer: int) -> str:
    return f"+{886_912_345_670 + customer}"


def mail_of(customer: int) -> str:
    return f"wang.siaoming{customer}@example.com.tw"


def id_number_of(customer: int) -> str:
    return f"A{123_456_780 + customer:09d}"


def account_of(customer: int) -> str:
    return f"{8_123_456_700 + customer:012d}"


def customer(cipher: FieldCipher, number: int, **differs: Any) -> Customer:  # noqa: ANN401 - fields
    """
    A customer who can be reached both ways; ``name``, ``id_number``, ``mobile`` and ``mail`` in
    plain text, ``None`` for what is not known, and any column by its name.
    """
    plain: dict[str, str | None] = {
        name: differs.pop(name, of(number)) for name, of in PERSONAL.items()
    }
    sealed = {
        f"{name}_sealed": None if text is None else cipher.seal(text, f"customers.{name}", number)
        for name, text in plain.items()
    }
    hashed = {
        f"{name}_hash": None if text is None else cipher.hash(text, f"customers.{name}")
        for name, text in plain.items()
        if name != "name"
    }
    usual: dict[str, Any] = {
        "id": number,
        "reference_hash": cipher.hash(f"customer {number}", "customers.reference"),
        "mobile_bad": None,
        "mail_bad": None,
        "locale": "zh-TW",
        "opted_out": False,
        "contact_version": 1,
        "version": 1,
    }
    return Customer(**(usual | sealed | hashed | differs))


PERSONAL: dict[str, Callable[[int], str]] = {
    "name": name_of,
    "id_number": id_number_of,
    "mobile": mobile_of,
    "mail": mail_of,
}


def enrolment(
    cipher: FieldCipher,
    customer: int,
    product: str,
    **differs: Any,  # noqa: ANN401 - fields
) -> Enrolment:
    """``account`` in plain text, ``None`` for none, and any column by its name."""
    account = differs.pop("account", account_of(customer))
    usual: dict[str, Any] = {
        "customer": customer,
        "product": product,
        "customer_class": 3,
        "operator": "administrator",
        "branch": BRANCH,
        "account_sealed": None
        if account is None
        else cipher.seal(account, "enrolments.account", f"{customer}/{product}"),
        "version": 1,
    }
    return Enrolment(**(usual | differs))


def certificate(
    number: int,
    product: str,
    ends: datetime,
    **differs: Any,  # noqa: ANN401 - fields
) -> Certificate:
    """A certificate in force of which nothing is known but its end; its customer has its number."""
    token = differs.get("token_serial")
    usual: dict[str, Any] = {
        "id": number,
        "customer": number,
        "product": product,
        "slot": f"{product}:{token or number}",
        "token_serial": None,
        "issuer_hash": b"issuer",
        "serial": f"{number + 0xA000:x}",
        "spki_sha256": b"%d" % number,
        "certificate_sha256": b"%d" % number,
        "not_before": ends - YEAR,
        "not_after": ends,
        "state": "active",
        "renewal": None,
        "der_sealed": b"",
        "announced_at": None,
        "left_at": None,
        "told": None,
        "remind_at": None,
        "changes": 0,
        "version": 1,
    }
    return Certificate(**(usual | differs))


def issued_certificate(
    cipher: FieldCipher,
    number: int,
    product: str,
    der: bytes,
    **differs: Any,  # noqa: ANN401 - fields
) -> Certificate:
    """The row of a certificate that a CA has issued."""
    read = x509.load_der_x509_certificate(der)
    spki = read.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    known: dict[str, Any] = {
        "issuer_hash": hashlib.sha256(read.issuer.public_bytes()).digest(),
        "serial": f"{read.serial_number:x}",
        "spki_sha256": hashlib.sha256(spki).digest(),
        "certificate_sha256": hashlib.sha256(der).digest(),
        "not_before": read.not_valid_before_utc,
        "der_sealed": cipher.seal(der, "certificates.der", number),
    }
    return certificate(number, product, read.not_valid_after_utc, **(known | differs))
