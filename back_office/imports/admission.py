"""Decides about a batch of certificates in one transaction and writes the result."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from back_office.imports.matching import Match, matched
from back_office.imports.slots import SlotHolder, SlotView, closed, slot_of
from renewal.db.rows import Certificate
from renewal.lifecycle.certificates import add, import_state
from renewal.rules import reminder_schedule
from renewal.rules.serials import token_serial
from schema.policy import Slot
from schema.reasons import DecisionKind, FindingReason, ImportReason
from schema.states import CertificateState
from schema.tables.people import certificates
from schema.taipei import day_of

if TYPE_CHECKING:
    from datetime import datetime

    from back_office.imports.certificate_facts import CertificateFields
    from back_office.imports.certificate_files import CertificateEntry
    from back_office.imports.slots import Ident
    from renewal.db.spill_set import SpillSet
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies
    from schema.policy import Policy
    from schema.reasons import Reason

NO_CUSTOMER = ("", FindingReason.NO_CUSTOMER.why())
NO_TOKEN = ("token_serial", FindingReason.NO_TOKEN.why())
NOT_ENROLLED = ("product", FindingReason.NOT_ENROLLED.why())
OTHER_NAME = ("certificate", FindingReason.OTHER_NAME.why())
OTHER_STATE = ("state", FindingReason.OTHER_STATE.why())
REMINDED_LATER = ("reminded", FindingReason.DAY_FORM.why())
HANDED_OVER = ("", FindingReason.HANDED_OVER.why())


class CertificateVerdict(NamedTuple):
    entry: CertificateEntry
    bucket: str  #: new, changed, unchanged or refused
    about: tuple[tuple[str, Reason], ...] = ()


class CertificateDecisions(NamedTuple):
    verdicts: list[CertificateVerdict]
    seen: dict[int, bytes]
    states: list[str]
    superseded: int


class RefusedError(Exception):
    """One certificate cannot come in, for that reason in that field."""

    def __init__(self, name: str, reason: FindingReason) -> None:
        super().__init__(reason.value)
        self.about = ((name, reason.why()),)


class AdmissionRequest(NamedTuple):
    entry: CertificateEntry
    facts: CertificateFields
    match: Match

    @property
    def ident(self) -> Ident:
        return (self.facts.issuer_hash, self.facts.serial)


@dataclass
class Admission:
    work: UnitOfWork
    policies: Policies
    product: str | None  #: of those for which nothing else says it
    scratch: SpillSet | None  #: a dry run's, which does not write
    verified: bool = False  #: a CA that the bank named has signed each of them
    facts: dict[Ident, CertificateFields] = field(default_factory=dict)  # of those that are new
    states: list[str] = field(default_factory=list)
    superseded: int = 0

    def decide(
        self, entries: list[tuple[CertificateEntry, CertificateFields]]
    ) -> CertificateDecisions:
        matches = matched(self.work, entries)
        wishes = [
            AdmissionRequest(*entry, match) for entry, match in zip(entries, matches, strict=True)
        ]
        self.world = SlotView(self.work, self.scratch)
        self.world.load_known([wish.ident for wish in wishes])
        self.world.load_slots({slot for wish in wishes if (slot := self._slot(wish))})
        verdicts = [self._verdict(wish) for wish in wishes]
        if self.scratch is None:
            self._write()
        return CertificateDecisions(verdicts, self.world.seen(), self.states, self.superseded)

    def _verdict(self, wish: AdmissionRequest) -> CertificateVerdict:
        if wish.match.wrong:
            return CertificateVerdict(wish.entry, "refused", wish.match.wrong)
        reminded = wish.entry.stated.reminded
        if reminded is not None and reminded > day_of(self.work.at):
            return CertificateVerdict(wish.entry, "refused", (REMINDED_LATER,))
        known = self.world.known.get(wish.ident)
        try:
            return self._enter(wish) if known is None else self._again(wish, known)
        except RefusedError as error:
            return CertificateVerdict(wish.entry, "refused", error.about)

    # --- one that is not on file ----------------------------------------------------------------

    def _enter(self, wish: AdmissionRequest) -> CertificateVerdict:
        stated, facts = wish.entry.stated, wish.facts
        product = self._product(wish)
        policy = self.policies.of(product)
        standing = SlotHolder(
            row=0,
            issuer_hash=facts.issuer_hash,
            serial=facts.serial,
            sha256=facts.sha256,
            product=product,
            customer=wish.match.customer,
            token_serial=stated.token_serial,
            slot=slot_of(policy, wish.match.customer, stated.token_serial, facts.sha256),
            state=stated.state,
            not_before=facts.not_before,
            not_after=facts.not_after,
            verified=self.verified,
            told=self._last_step(wish, policy),
        )
        taken = None
        if standing.in_force and self._closed(standing):
            standing.state = "expired"
        if standing.in_force:
            taken = self._take_slot(standing)
        self.facts[standing.ident] = facts
        self.states.append(standing.state)
        self.world.touch(standing)
        return CertificateVerdict(
            wish.entry, "new", (*self._notes(wish, standing), *_handed_over(taken))
        )

    def _product(self, wish: AdmissionRequest) -> str:
        stated = wish.entry.stated.product or self.product
        if stated is not None:
            return stated
        if wish.match.customer is None:
            raise RefusedError("product", FindingReason.PRODUCT_UNSAID)
        if len(wish.match.enrolled) != 1:
            several = bool(wish.match.enrolled)
            raise RefusedError(
                "product", FindingReason.SEVERAL_PRODUCTS if several else FindingReason.NO_PRODUCT
            )
        return next(iter(wish.match.enrolled))

    def _slot(self, wish: AdmissionRequest) -> str | None:
        """The slot that the certificate may come to be in: what has to be read for it."""
        known = self.world.known.get(wish.ident)
        try:
            product = known.product if known else self._product(wish)
        except RefusedError:
            return None
        policy = self.policies.by_product.get(product)
        if policy is None:
            return None
        customer = (known.customer if known else None) or wish.match.customer
        token = (known.token_serial if known else None) or wish.entry.stated.token_serial
        return slot_of(policy, customer, token, wish.facts.sha256)

    def _take_slot(self, standing: SlotHolder) -> SlotHolder | None:
        """
        Put the certificate in force, or set it behind the one that is (I2); return the one that
        gave way.
        """
        holder = self.world.holders.get(standing.slot)
        if holder is not None and holder is not standing and not self._before(holder, standing):
            standing.state = "superseded"
            return None
        self._may_take(standing, holder)
        if standing.slot in self.world.busy:
            raise RefusedError("", FindingReason.RENEWAL_UNDER_WAY)
        if holder is not None and holder is not standing:
            holder.state = "expired" if self._closed(holder) else "superseded"
            self.superseded += 1
            self.world.touch(holder)
        self.world.holders[standing.slot] = standing
        return holder if holder is not standing else None

    def _may_take(self, standing: SlotHolder, holder: SlotHolder | None) -> None:
        """
        A slot changes hands only to a later certificate of the CA that issued the one in force, and
        what was verified never gives way to what was not.

        Raises:
            RefusedError
        """
        if holder is None or holder is standing or self._closed(holder):
            return
        if holder.customer not in {None, standing.customer}:
            raise RefusedError("token_serial", FindingReason.OTHER_TOKEN)
        if holder.issuer_hash != standing.issuer_hash:
            raise RefusedError("certificate", FindingReason.OTHER_ISSUER)
        if holder.verified and not standing.verified:
            raise RefusedError("certificate", FindingReason.NOT_VERIFIED)

    def _before(self, one: SlotHolder, other: SlotHolder) -> bool:
        return self._rank(one) < self._rank(other)

    def _rank(self, of: SlotHolder) -> tuple[bool, datetime, datetime, bytes]:
        return (not self._closed(of), of.not_before, of.not_after, of.sha256)

    def _closed(self, of: SlotHolder) -> bool:
        return closed(self.work.at, of.not_after, self.policies.of(of.product))

    def _notes(
        self, wish: AdmissionRequest, standing: SlotHolder
    ) -> tuple[tuple[str, Reason], ...]:
        policy = self.policies.of(standing.product)
        notes = []
        if standing.customer is None:
            notes.append(NO_CUSTOMER)
        elif standing.customer == wish.match.customer and policy.product not in wish.match.enrolled:
            notes.append(NOT_ENROLLED)
        if policy.slot is Slot.TOKEN and standing.token_serial is None:
            notes.append(NO_TOKEN)
        if wish.match.stranger:
            notes.append(OTHER_NAME)
        return tuple(notes)

    # --- one that is on file --------------------------------------------------------------------

    def _again(self, wish: AdmissionRequest, known: SlotHolder) -> CertificateVerdict:
        stated = wish.entry.stated
        if known.sha256 != wish.facts.sha256:
            raise RefusedError("certificate", FindingReason.SERIAL_TAKEN)
        if (stated.product or self.product or known.product) != known.product:
            raise RefusedError("product", FindingReason.OTHER_PRODUCT)
        if wish.match.named and known.customer not in {None, wish.match.customer}:
            raise RefusedError("", FindingReason.OTHER_CUSTOMER)
        if stated.token_serial and token_serial(known.token_serial or stated.token_serial) != (
            stated.token_serial
        ):
            raise RefusedError("token_serial", FindingReason.WITH_OTHER_TOKEN)
        bucket = "changed" if self._complete(wish, known) else "unchanged"
        notes = self._notes(wish, known)
        if known.in_force and stated.state not in {"active", known.state}:
            notes = (*notes, OTHER_STATE)
        return CertificateVerdict(wish.entry, bucket, notes)

    def _complete(self, wish: AdmissionRequest, known: SlotHolder) -> bool:
        """Add what was not known: the customer, the token; with them comes another slot."""
        customer = known.customer or wish.match.customer
        token = known.token_serial or wish.entry.stated.token_serial
        verified = known.verified or self.verified
        told = _later(known.told, self._last_step(wish, self.policies.of(known.product)))
        if (customer, token, verified, told) == (
            known.customer,
            known.token_serial,
            known.verified,
            known.told,
        ):
            return False
        moved = copy(known)  # if it is refused, what is known has not changed
        moved.told = told
        moved.verified = verified
        moved.customer, moved.token_serial = customer, token
        moved.slot = slot_of(self.policies.of(known.product), customer, token, known.sha256)
        if moved.in_force and moved.slot != known.slot:
            self._take_slot(moved)
        if moved.in_force:
            self.world.holders[moved.slot] = moved
        self.world.touch(moved)
        return True

    def _last_step(self, wish: AdmissionRequest, policy: Policy) -> int | None:
        """The step of the schedule that the system before this one has told, by the file."""
        day = wish.entry.stated.reminded
        if day is None:
            return None
        return reminder_schedule.step_told_on(day, wish.facts.not_after, policy)

    # --- what follows ---------------------------------------------------------------------------

    def _write(self) -> None:
        """Write what has changed: a slot is given up before it is taken."""
        there = [standing for standing in self.world.dirty.values() if standing.row]
        self.work.certificates.load(standing.row for standing in there)
        for in_force in (False, True):
            for standing in there:
                if standing.in_force is in_force:
                    self._change(standing)
            self.work.write()
        fresh = [standing for standing in self.world.dirty.values() if not standing.row]
        numbers = self.work.new_ids(certificates, len(fresh)) if fresh else range(0)
        for number, standing in zip(numbers, fresh, strict=True):
            self._put(number, standing)

    def _change(self, standing: SlotHolder) -> None:
        row = self.work.certificates.change(
            self.work.certificates.get(standing.row),
            customer=standing.customer,
            token_serial=standing.token_serial,
            slot=standing.slot,
            verified=standing.verified,
        )
        if standing.told != row.told:
            row = self.work.certificates.change(row, told=standing.told)
            self._by_old_system(row.id, standing.told)
        remind_at = self._remind_at(standing, row.told)
        import_state(self.work, row, standing.state, remind_at=remind_at)

    def _put(self, number: int, standing: SlotHolder) -> None:
        facts = self.facts[standing.ident]
        add(
            self.work,
            Certificate(
                id=number,
                customer=standing.customer,
                product=standing.product,
                slot=standing.slot,
                token_serial=standing.token_serial,
                issuer_hash=facts.issuer_hash,
                serial=facts.serial,
                spki_sha256=facts.spki_sha256,
                certificate_sha256=facts.sha256,
                not_before=facts.not_before,
                not_after=facts.not_after,
                state=standing.state,
                renewal=None,
                der_sealed=self.work.cipher.seal(facts.der, "certificates.der", number),
                announced_at=None,
                left_at=None,
                told=standing.told,
                remind_at=self._remind_at(standing, standing.told),
                changes=0,
                version=1,
                verified=standing.verified,
            ),
        )
        if standing.told is not None:
            self._by_old_system(number, standing.told)
        if standing.state == CertificateState.SUPERSEDED:
            self.work.record_decision(number, DecisionKind.IMPORT_SUPERSEDED)
        if standing.customer is None and standing.in_force:
            why = ImportReason.NO_CUSTOMER
            self.work.record_decision(number, DecisionKind.IMPORT_NO_REMINDERS, why)

    def _by_old_system(self, number: int, step: int | None) -> None:
        self.work.record_decision(number, DecisionKind.REMINDER_BY_OLD_SYSTEM, threshold=step)

    def _remind_at(self, standing: SlotHolder, told: int | None) -> datetime | None:
        if standing.state != "active" or standing.customer is None:
            return None
        policy = self.policies.of(standing.product)
        try:
            return reminder_schedule.next_look(self.work.at, standing.not_after, policy, told)
        except OverflowError:  # RFC 5280, 4.1.2.5: it never ends
            return None


def _later(one: int | None, other: int | None) -> int | None:
    """Of two steps the one with fewer days left."""
    return min((step for step in (one, other) if step is not None), default=None)


def _handed_over(taken: SlotHolder | None) -> tuple[tuple[str, Reason], ...]:
    """
    What the report says of a slot that has changed hands: the same in a dry run, and one line.
    """
    return () if taken is None else (HANDED_OVER,)
