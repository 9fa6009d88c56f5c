"""Finds what a person names: a certificate by its number or serial, a customer's masked address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renewal.errors import XuqiError
from renewal.rules import mask
from renewal.rules.serials import certificate_serial
from renewal.store import certificates as queries

if TYPE_CHECKING:
    from renewal.db.rows import Certificate, Customer
    from renewal.db.unit_of_work import UnitOfWork

#: SQLite and PostgreSQL keep ids in 64 bits.
MOST_ID_DIGITS = 18


def certificate_named(look: UnitOfWork, name: str) -> Certificate:
    """
    Find a certificate by our number, or by its serial in hex as browsers show it.

    Raises:
        XuqiError: there is none, or the name may mean several.
    """
    found = _named(look, name)
    if not found:
        raise XuqiError(
            f"there is no certificate {name}: give our number, or the serial in hex "
            "(`xuqi certificates list` shows both)"
        )
    if len(found) > 1:
        raise XuqiError(
            f"{name} may be any of several certificates: say `0x` and the serial, or one of "
            f"these: {', '.join(f'#{one.id}' for one in found)}"
        )
    return found[0]


def _named(look: UnitOfWork, name: str) -> list[Certificate]:
    """
    What it may mean: nothing is guessed. ``#55`` is our number alone, ``0x55`` a serial alone.
    """
    number = name.strip().removeprefix("#")
    found: list[Certificate] = []
    if number.isdecimal() and len(number) <= MOST_ID_DIGITS:
        found = [row] if (row := look.certificates.find(int(number))) else []
    serial = None if "#" in name else certificate_serial(name)
    by_serial = queries.by_serial(look, serial) if serial else []
    return [*found, *(one for one in by_serial if one.id not in {row.id for row in found})]


def person(
    look: UnitOfWork, customer: Customer | None, *, in_clear: bool = False
) -> dict[str, str]:
    """Who a customer is: the bank's own number and the name, masked unless ``in_clear``."""
    if customer is None:
        return {"reference": "-", "name": "-", "telephone": "-"}
    name = look.cipher.open_text(customer.name_sealed, "customers.name", customer.id)
    if not in_clear:
        mobile = masked_address(look, customer, "sms")
        return {"reference": "*", "name": mask.name(name), "telephone": mobile}
    sealed, number = customer.reference_sealed, customer.mobile_sealed
    read, id_ = look.cipher.open_text, customer.id
    return {
        "reference": read(sealed, "customers.reference", id_) if sealed else "-",
        "name": name,
        "telephone": read(number, "customers.mobile", id_) if number else "-",
    }


def masked_address(look: UnitOfWork, customer: Customer | None, channel: str) -> str:
    """The current address, masked so that nobody reads it over a shoulder."""
    if customer is None:
        return "-"
    sealed = customer.mobile_sealed if channel == "sms" else customer.mail_sealed
    if sealed is None:
        return "-"
    if channel == "sms":
        return mask.phone(look.cipher.open_text(sealed, "customers.mobile", customer.id))
    return mask.mail(look.cipher.open_text(sealed, "customers.mail", customer.id))
