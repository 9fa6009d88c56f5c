"""Decides about a batch of certificates in one transaction, and writes what was decided."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from back_office.imports.matching import Match, matched
from back_office.imports.slots import Standing, World, closed, slot_of
from renewal.rules import ladder
from renewal.store.rows import Certificate
from schema.policy import Slot
from schema.tables.people import certificates

if TYPE_CHECKING:
    from datetime import datetime

    from back_office.imports.certificate_facts import Facts
    from back_office.imports.certificate_files import Entry
    from back_office.imports.slots import Ident
    from renewal.cycle import Policies
    from renewal.store.scratch import Scratch
    from renewal.store.work import Work

NO_CUSTOMER = ("", "no customer: no reminders")
NO_TOKEN = ("token_serial", "no token: the branch will not know it")
NOT_ENROLLED = ("product", "its customer is not enrolled for the product")
OTHER_STATE = ("state", "is in another state on file: nothing was changed")


class Verdict(NamedTuple):
    entry: Entry
    bucket: str  #: new, changed, unchanged or refused
    about: tuple[tuple[str, str], ...] = ()


class Decided(NamedTuple):
    verdicts: list[Verdict]
    seen: dict[int, bytes]
    states: list[str]
    superseded: int


class RefusedError(Exception):
    """
    One certificate cannot come in, for that reason in that field.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(reason)
        self.about = ((name, reason),)


class Wish(NamedTuple):
    entry: Entry
    facts: Facts
    match: Match

    @property
    def ident(self) -> Ident:
        return (self.facts.issuer_hash, self.facts.serial)


@dataclass
class Admission:
    work: Work
    policies: Policies
    product: str | None  #: of those for which nothing else says it
    scratch: Scratch | None  #: a dry run's, which does not write
    facts: dict[Ident, Facts] = field(default_factory=dict)  # of those that are new
    states: list[str] = field(default_factory=list)
    superseded: int = 0

    def decide(self, entries: list[tuple[Entry, Facts]]) -> Decided:
        matches = matched(self.work, entries)
        wishes = [Wish(*entry, match) for entry, match in zip(entries, matches, strict=True)]
        self.world = World(self.work, self.scratch)
        self.world.load_known([wish.ident for wish in wishes])
        self.world.load_slots({slot for wish in wishes if (slot := self._slot(wish))})
        verdicts = [self._verdict(wish) for wish in wishes]
        if self.scratch is None:
            self._write()
        return Decided(verdicts, self.world.seen(), self.states, self.superseded)

    def _verdict(self, wish: Wish) -> Verdict:
        if wish.match.wrong:
            return Verdict(wish.entry, "refused", wish.match.wrong)
        known = self.world.known.get(wish.ident)
        try:
            return self._enter(wish) if known is None else self._again(wish, known)
        except RefusedError as error:
            return Verdict(wish.entry, "refused", error.about)

    # --- one that is not on file ----------------------------------------------------------------

    def _enter(self, wish: Wish) -> Verdict:
        said, facts = wish.entry.said, wish.facts
        product = self._product(wish)
        policy = self.policies.of(product)
        standing = Standing(
            row=0,
            issuer_hash=facts.issuer_hash,
            serial=facts.serial,
            sha256=facts.sha256,
            product=product,
            customer=wish.match.customer,
            token_serial=said.token_serial,
            slot=slot_of(policy, wish.match.customer, said.token_serial, facts.sha256),
            state=said.state,
            not_before=facts.not_before,
            not_after=facts.not_after,
        )
        if standing.in_force and self._closed(standing):
            standing.state = "expired"
        if standing.in_force:
            self._take_slot(standing)
        self.facts[standing.ident] = facts
        self.states.append(standing.state)
        self.world.touch(standing)
        return Verdict(wish.entry, "new", self._notes(wish, standing))

    def _product(self, wish: Wish) -> str:
        said = wish.entry.said.product or self.product
        if said is not None:
            return said
        if wish.match.customer is None:
            raise RefusedError("product", "is not said, and there is no customer to tell it")
        if len(wish.match.enrolled) != 1:
            many = "several products" if wish.match.enrolled else "no product"
            raise RefusedError("product", f"is not said, and its customer is enrolled for {many}")
        return next(iter(wish.match.enrolled))

    def _slot(self, wish: Wish) -> str | None:
        """
        The slot that the certificate may come to be in: what has to be read for it.
        """
        known = self.world.known.get(wish.ident)
        try:
            product = known.product if known else self._product(wish)
        except RefusedError:
            return None
        policy = self.policies.by_product.get(product)
        if policy is None:
            return None
        customer = (known.customer if known else None) or wish.match.customer
        token = (known.token_serial if known else None) or wish.entry.said.token_serial
        return slot_of(policy, customer, token, wish.facts.sha256)

    def _take_slot(self, standing: Standing) -> None:
        """
        Put the certificate in force, or set it behind the one that is (I2).
        """
        holder = self.world.holders.get(standing.slot)
        if holder is not None and holder is not standing and not self._before(holder, standing):
            standing.state = "superseded"
            return
        if standing.slot in self.world.busy:
            raise RefusedError("", "a renewal is under way where this one would be in force")
        if holder is not None and holder is not standing:
            holder.state = "expired" if self._closed(holder) else "superseded"
            self.superseded += 1
            self.world.touch(holder)
        self.world.holders[standing.slot] = standing

    def _before(self, one: Standing, other: Standing) -> bool:
        return self._rank(one) < self._rank(other)

    def _rank(self, of: Standing) -> tuple[bool, datetime, datetime, bytes]:
        return (not self._closed(of), of.not_before, of.not_after, of.sha256)

    def _closed(self, of: Standing) -> bool:
        return closed(self.work.at, of.not_after, self.policies.of(of.product))

    def _notes(self, wish: Wish, standing: Standing) -> tuple[tuple[str, str], ...]:
        policy = self.policies.of(standing.product)
        notes = []
        if standing.customer is None:
            notes.append(NO_CUSTOMER)
        elif standing.customer == wish.match.customer and policy.product not in wish.match.enrolled:
            notes.append(NOT_ENROLLED)
        if policy.slot is Slot.TOKEN and standing.token_serial is None:
            notes.append(NO_TOKEN)
        return tuple(notes)

    # --- one that is on file --------------------------------------------------------------------

    def _again(self, wish: Wish, known: Standing) -> Verdict:
        said = wish.entry.said
        if known.sha256 != wish.facts.sha256:
            raise RefusedError("certificate", "another one of this issuer and serial is on file")
        if (said.product or self.product or known.product) != known.product:
            raise RefusedError("product", "is on file for another product")
        if wish.match.named and known.customer not in {None, wish.match.customer}:
            raise RefusedError("", "is on file for another customer")
        if said.token_serial and known.token_serial not in {None, said.token_serial}:
            raise RefusedError("token_serial", "is on file with another token")
        bucket = "changed" if self._complete(wish, known) else "unchanged"
        notes = self._notes(wish, known)
        if known.in_force and said.state not in {"active", known.state}:
            notes = (*notes, OTHER_STATE)
        return Verdict(wish.entry, bucket, notes)

    def _complete(self, wish: Wish, known: Standing) -> bool:
        """
        Add what was not known: the customer, the token; with them comes another slot.
        """
        customer = known.customer or wish.match.customer
        token = known.token_serial or wish.entry.said.token_serial
        if (customer, token) == (known.customer, known.token_serial):
            return False
        moved = copy(known)  # if it is refused, what is known has not changed
        moved.customer, moved.token_serial = customer, token
        moved.slot = slot_of(self.policies.of(known.product), customer, token, known.sha256)
        if moved.in_force and moved.slot != known.slot:
            self._take_slot(moved)
        if moved.in_force:
            self.world.holders[moved.slot] = moved
        self.world.touch(moved)
        return True

    # --- what follows ---------------------------------------------------------------------------

    def _write(self) -> None:
        """
        Write what has changed: a slot is given up before it is taken.
        """
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

    def _change(self, standing: Standing) -> None:
        row = self.work.certificates.get(standing.row)
        if row.state != standing.state:
            self.work.decide(row.id, "import", standing.state, "a newer one of its slot came in")
        self.work.certificates.change(
            row,
            customer=standing.customer,
            token_serial=standing.token_serial,
            slot=standing.slot,
            state=standing.state,
            remind_at=self._remind_at(standing, row.told),
        )

    def _put(self, number: int, standing: Standing) -> None:
        facts = self.facts[standing.ident]
        self.work.certificates.put(
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
                der_sealed=self.work.vault.seal(facts.der, "certificates.der"),
                announced_at=None,
                left_at=None,
                told=None,
                remind_at=self._remind_at(standing, None),
                changes=0,
                version=1,
            )
        )
        if standing.customer is None and standing.in_force:
            self.work.decide(number, "import", "no reminders", "no customer is known for it")

    def _remind_at(self, standing: Standing, told: int | None) -> datetime | None:
        if standing.state != "active" or standing.customer is None:
            return None
        policy = self.policies.of(standing.product)
        try:
            return ladder.next_look(self.work.at, standing.not_after, policy, told)
        except OverflowError:  # RFC 5280, 4.1.2.5: it never ends
            return None
