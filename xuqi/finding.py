"""Finds what a person names: a certificate by its number or serial, a customer's masked address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renewal.errors import XuqiError
from renewal.rules import mask
from renewal.store import certificates as queries

if TYPE_CHECKING:
    from renewal.store.rows import Certificate, Customer
    from renewal.store.work import Work

#: SQLite and PostgreSQL keep ids in 64 bits.
MOST_ID_DIGITS = 18


def certificate_named(look: Work, name: str) -> Certificate:
    """
    Find a certificate by our number, else by its serial in hex as browsers show it.

    Raises:
        XuqiError: there is none, or several CAs have used that serial.
    """
    if name.isdecimal() and len(name) <= MOST_ID_DIGITS:
        row = look.certificates.find(int(name))
        if row is not None:
            return row
    serial = name.lower().removeprefix("0x").replace(":", "").replace(" ", "").lstrip("0") or "0"
    found = queries.by_serial(look, serial)
    if not found:
        raise XuqiError(
            f"there is no certificate {name}: give our number, or the serial in hex "
            "(`xuqi certificates list` shows both)"
        )
    if len(found) > 1:
        ids = ", ".join(str(one.id) for one in found)
        raise XuqiError(f"{name} is the serial of several certificates: give a number of {ids}")
    return found[0]


def masked_address(look: Work, customer: Customer | None, channel: str) -> str:
    """
    The address on file now, so that nobody reads it over a shoulder.
    """
    if customer is None:
        return "-"
    sealed = customer.mobile_sealed if channel == "sms" else customer.mail_sealed
    if sealed is None:
        return "-"
    if channel == "sms":
        return mask.phone(look.vault.open_text(sealed, "customers.mobile"))
    return mask.mail(look.vault.open_text(sealed, "customers.mail"))
