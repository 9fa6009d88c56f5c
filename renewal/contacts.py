"""Rests an address that carriers have proven bad, lane by lane, and opens it again."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from renewal.gateways.mail.bounce import verdict_of
from renewal.gateways.sms.errors import action_for
from renewal.rules.resting import REMEMBERED, Proof, rests_until
from renewal.store import messages as queries
from schema.policy import Channel

if TYPE_CHECKING:
    from renewal.db.rows import Customer, Message
    from renewal.db.unit_of_work import UnitOfWork

_EVER = datetime(1, 1, 2, tzinfo=UTC)
NOT_THEIRS = "not theirs"  #: a person's word, in place of a carrier's code


class Address(StrEnum):
    """A customer's address as one lane uses it: what is said of reminders holds for no code."""

    MOBILE = "mobile"
    MAIL = "mail"
    CODES = "codes"


def of_lane(channel: Channel | str, *, codes: bool) -> Address:
    if channel == Channel.MAIL:
        return Address.MAIL
    return Address.CODES if codes else Address.MOBILE


def why_resting(customer: Customer, address: Address, at: datetime) -> str | None:
    """Return the carrier's code for which an address is not used now, or ``None``: it is."""
    code: str | None = getattr(customer, f"{address}_bad")
    until: datetime | None = getattr(customer, f"{address}_bad_until")
    return code if code and (until is None or until > at) else None


def rests_for_good(customer: Customer, address: Address) -> bool:
    """Whether a person has closed it: no carrier's verdict makes that any shorter."""
    return bool(getattr(customer, f"{address}_bad") == NOT_THEIRS)


def mark_contact(work: UnitOfWork, message: Message, code: str) -> None:
    """
    Let the address rest to which the message went if that is proven by now; not another one that
    the customer has meanwhile. It is the address that rests, whoever has it.
    """
    row = work.customers.find(message.customer)
    needed = _proofs_needed(message.channel, code)
    if row is None or not needed:
        return
    channel = Channel(message.channel)
    hash_ = row.mail_hash if channel is Channel.MAIL else row.mobile_hash
    if message.address_hash not in {None, hash_}:
        return
    codes = message.kind == "code" and channel is Channel.SMS
    address = of_lane(channel, codes=codes)
    before = _proofs(work, message, row, address, codes=codes)
    until = rests_until(before, Proof(work.at, needed), codes=codes)
    if until is None:
        return
    for each in queries.who_has(work, channel.value, hash_) if hash_ else [row]:
        if rests_for_good(each, address):
            continue
        work.customers.change(each, **{f"{address}_bad": code, f"{address}_bad_until": until})


def _proofs(
    work: UnitOfWork, message: Message, row: Customer, address: Address, *, codes: bool
) -> list[Proof]:
    if message.address_hash is None:
        return []
    opened: datetime | None = getattr(row, f"{address}_bad_until")
    forgotten = opened if opened and getattr(row, f"{address}_bad") is None else _EVER
    since = max(work.at - REMEMBERED, forgotten)
    found = queries.failures(work, message, since=since, codes=codes)
    return [Proof(at, _proofs_needed(message.channel, code)) for code, at in found]


def _proofs_needed(channel: str, code: str) -> int:
    """How many such failures prove an address bad; 0: they speak of something else."""
    return verdict_of(code).proofs if channel == Channel.MAIL else action_for(code).proofs


def open_again(work: UnitOfWork, channel: Channel, address_hash: bytes, *, codes: bool) -> int:
    """
    Use an address again that carriers have closed, whoever has it; what was said of it before
    counts no more. What a person has closed, a person opens.
    """
    address = of_lane(channel, codes=codes)
    opened = 0
    for row in queries.who_has(work, channel.value, address_hash):
        if getattr(row, f"{address}_bad") is not None and not rests_for_good(row, address):
            open_address(work, row, address)
            opened += 1
    return opened


def open_address(work: UnitOfWork, row: Customer, address: Address) -> None:
    # Its end stays: what was said before that moment is forgotten.
    work.customers.change(row, **{f"{address}_bad": None, f"{address}_bad_until": work.at})
