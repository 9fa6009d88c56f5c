"""Tracks the certificate in force in each slot, also as a dry run would leave it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003 - msgspec reads the annotations when it decodes
from typing import TYPE_CHECKING

import msgspec

from renewal.rules import slots
from renewal.rules.window import Phase, phase_at
from renewal.store import import_queries
from schema.policy import Slot

if TYPE_CHECKING:
    from collections.abc import Collection

    from renewal.db.rows import Certificate
    from renewal.db.spill_set import SpillSet
    from renewal.db.unit_of_work import UnitOfWork
    from schema.policy import Policy

Ident = tuple[bytes, str]  #: issuer's hash and serial (RFC 5280, 4.1.2.2: unique together)
_SHA_SHOWN = 32


class SlotHolder(msgspec.Struct, array_like=True, kw_only=True):
    """A certificate as the run sees it; it changes as the run goes on."""

    row: int  #: its key on file; 0 if it is not there yet
    issuer_hash: bytes
    serial: str
    sha256: bytes
    product: str
    customer: int | None
    token_serial: str | None
    slot: str
    state: str
    not_before: datetime
    not_after: datetime
    verified: bool | None
    told: int | None = None  #: the last step of the reminder schedule that was told

    @property
    def ident(self) -> Ident:
        return (self.issuer_hash, self.serial)

    @property
    def in_force(self) -> bool:
        return self.state in import_queries.IN_FORCE


def slot_of(policy: Policy, customer: int | None, token_serial: str | None, sha256: bytes) -> str:
    """Return the slot that the certificate is in; without its customer or token, one of its own."""
    if policy.slot is Slot.CUSTOMER and customer is not None:
        return slots.of_customer(policy.product, customer)
    if policy.slot is Slot.TOKEN and token_serial is not None:
        return f"{policy.product}:t{token_serial}"
    return f"{policy.product}:x{sha256.hex()[:_SHA_SHOWN]}"


def closed(now: datetime, not_after: datetime, policy: Policy) -> bool:
    """Say whether the window is over; never for a certificate that never ends."""
    try:
        return phase_at(now, not_after, policy.window) is Phase.CLOSED
    except OverflowError:  # RFC 5280, 4.1.2.5: 99991231235959Z, no well-defined end
        return False


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(SlotHolder).decode


@dataclass
class SlotView:
    """
    The certificates that a batch is about, and those in force in its slots.

    ``scratch`` is a dry run's: what its earlier batches would have done is not on file.
    """

    work: UnitOfWork
    scratch: SpillSet | None
    known: dict[Ident, SlotHolder] = field(default_factory=dict)
    holders: dict[str, SlotHolder] = field(default_factory=dict)
    busy: set[str] = field(default_factory=set)  # slots with a renewal under way
    dirty: dict[Ident, SlotHolder] = field(default_factory=dict)

    def load_known(self, idents: Collection[Ident]) -> None:
        wanted = set(idents)
        for row in import_queries.with_serials(self.work, {serial for _, serial in wanted}):
            if (row.issuer_hash, row.serial) in wanted:
                self.known[row.issuer_hash, row.serial] = _standing(row)
        for standing in self._scratched([("certificate", *ident) for ident in wanted]):
            self.known[standing.ident] = standing

    def load_slots(self, slots: Collection[str]) -> None:
        for row in import_queries.in_force(self.work, slots):
            ident = (row.issuer_hash, row.serial)
            self.holders[row.slot] = self.known.setdefault(ident, _standing(row))
        for standing in self._scratched([("slot", slot) for slot in slots]):
            self.holders[standing.slot] = self.known.setdefault(standing.ident, standing)
        self.busy = import_queries.under_renewal(self.work, slots)

    def _scratched(self, keys: list[tuple[object, ...]]) -> list[SlotHolder]:
        if self.scratch is None:
            return []
        found = self.scratch.find([self.scratch.digest(*key) for key in keys])
        return [_unpack(what) for what in found.values()]

    def touch(self, standing: SlotHolder) -> None:
        self.known[standing.ident] = self.dirty[standing.ident] = standing

    def seen(self) -> dict[int, bytes]:
        """What the next batches of a dry run must know."""
        if self.scratch is None:
            return {}
        digest = self.scratch.digest
        seen = {digest("certificate", *it.ident): _pack(it) for it in self.dirty.values()}
        return seen | {
            digest("slot", it.slot): _pack(it) for it in self.dirty.values() if it.in_force
        }


def _standing(row: Certificate) -> SlotHolder:
    return SlotHolder(
        row=row.id,
        issuer_hash=row.issuer_hash,
        serial=row.serial,
        sha256=row.certificate_sha256,
        product=row.product,
        customer=row.customer,
        token_serial=row.token_serial,
        slot=row.slot,
        state=row.state,
        not_before=row.not_before,
        not_after=row.not_after,
        verified=row.verified,
        told=row.told,
    )
