"""Replaces a telephone number or mail address, and keeps the former one until it has heard."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from renewal.contacts import of_lane, why_resting
from renewal.db.rows import Customer, ReplacedAddress
from renewal.store import contact_edits
from schema.events import AddressReplaced
from schema.policy import Channel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from renewal.db.unit_of_work import UnitOfWork

CHANNELS: Mapping[str, Channel] = {"mobile": Channel.SMS, "mail": Channel.MAIL}
SEALED_FOR = "replaced_addresses.address"
#: So long a replaced address is kept at most. The longest row of days without a text is ten.
KEPT_FOR = timedelta(days=14)


def new_address(
    work: UnitOfWork, customer: Customer, name: str, value: str | None
) -> dict[str, object]:
    """
    The columns that change if ``mobile`` or ``mail`` becomes this; none if it is that already.

    The carrier's verdict was about the former address; codes go to the new one only.
    """
    column = f"customers.{name}"
    hashed = work.cipher.hash(value, column) if value else None
    if hashed == getattr(customer, f"{name}_hash"):
        return {}
    changes: dict[str, object] = {
        f"{name}_sealed": work.cipher.seal(value, column, customer.id) if value else None,
        f"{name}_hash": hashed,
        f"{name}_bad": None,
        f"{name}_bad_until": None,
        "contact_version": customer.contact_version + 1,
    }
    if name == "mobile":
        changes |= {"codes_bad": None, "codes_bad_until": None}
    return changes


def change_customer(work: UnitOfWork, customer: Customer, changes: dict[str, object]) -> Customer:
    """
    Change the customer. Each address that was replaced is kept, sealed, until it has been told of
    it once; one that carriers or a person have closed is not: nobody there would read it. A new
    number that waits for a second person waits no more once there is another.
    """
    changed = work.customers.change(customer, **changes)
    if "mobile_hash" in changes:  # an older number that waits would take the place of this one
        contact_edits.remove(work, customer.id)
    for name, channel in CHANNELS.items():
        address_hash: bytes | None = getattr(customer, f"{name}_hash")
        closed = why_resting(customer, of_lane(channel, codes=False), work.at) is not None
        if f"{name}_hash" in changes and address_hash is not None and not closed:
            _keep(work, customer, changed.contact_version, name, address_hash)
    return changed


def _keep(
    work: UnitOfWork, customer: Customer, version: int, name: str, address_hash: bytes
) -> None:
    channel = CHANNELS[name].value
    sealed: bytes = getattr(customer, f"{name}_sealed")
    plain = work.cipher.open(sealed, f"customers.{name}", customer.id)
    kept = f"{customer.id}/{version}/{channel}"
    work.rows_of(ReplacedAddress).put(
        ReplacedAddress(
            customer=customer.id,
            contact_version=version,
            channel=channel,
            address_sealed=work.cipher.seal(plain, SEALED_FOR, kept),
            address_hash=address_hash,
            replaced_at=work.at,
        )
    )
    work.emit(AddressReplaced(customer=customer.id, contact_version=version, channel=channel))
