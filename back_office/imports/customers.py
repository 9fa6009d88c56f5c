"""Brings a bank's customers in, and what each is enrolled for, from one row per product."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import UNSET

from back_office.imports.batches import batches, in_one
from back_office.imports.customer_row import COLUMNS, CustomerRow, read_customer
from back_office.imports.report import Finding, Report, Tally, ignore
from back_office.imports.table import read_table
from renewal.store import intake
from renewal.store.rows import Customer, Enrolment
from renewal.store.scratch import Scratch
from schema.tables.people import customers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from back_office.imports.customer_row import Enrolling
    from back_office.imports.table import Record
    from renewal.cycle import Policies
    from renewal.store.engine import Store
    from renewal.store.work import Work

#: What several rows of one customer must agree upon.
CONTACT = ("id_number", "name", "mobile", "mail", "locale", "opted_out")
ENROLLED = ("customer_class", "operator", "branch", "account")
_COLUMN_OF = {"customer_class": "class"}


def import_customers(
    store: Store,
    policies: Policies,
    path: Path,
    *,
    dry_run: bool,
    progress: Callable[[int], None] = ignore,
    found: Callable[[Finding], None] = ignore,
) -> Report:
    """
    Bring in a CSV file of customers; a customer with several products has several rows.

    A column that the file does not have changes nothing on file. An empty cell takes a mobile
    number, mail address, branch or account away; of the other columns it changes nothing.
    Whatever stops the run, only whole batches are there, and the same file goes on from them.

    ``progress`` is called with the number of rows done, after each batch; ``found`` with what
    was refused or must be known, as it is found.

    Raises:
        ImportFileError: the file cannot be read, or is no table of customers.
    """
    tally = Tally(found, progress)
    rows = read_table(path, COLUMNS)
    with Scratch() as scratch:
        for batch in batches(rows):
            run = _Run(path.name, tally, policies)
            good = list(run.readable(batch))
            if good:
                decide = partial(_decided, good, scratch, dry_run=dry_run)
                decided = in_one(store, decide, dry_run=dry_run)
                scratch.keep(decided.seen)
                run.count(decided.verdicts)
            tally.tell()
    return tally.report(dry_run=dry_run)


class Verdict(NamedTuple):
    row: CustomerRow
    bucket: str  #: new, changed, unchanged or refused
    wrong: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class _Run:
    file: str
    tally: Tally
    policies: Policies

    def readable(self, batch: list[Record]) -> Iterator[CustomerRow]:
        for record in batch:
            if record.fault:
                self.tally.refuse(self._finding(record.line, "", record.fault, refused=True))
                continue
            row = read_customer(record.line, record.cells, self.policies)
            if isinstance(row, CustomerRow):
                yield row
            else:
                self.tally.refuse(*(self._finding(record.line, *it, refused=True) for it in row))

    def count(self, verdicts: list[Verdict]) -> None:
        for row, bucket, wrong in verdicts:
            if bucket == "refused":
                self.tally.refuse(*(self._finding(row.line, *it, refused=True) for it in wrong))
            else:
                notes = (self._finding(row.line, *note, refused=False) for note in row.notes)
                self.tally.take(bucket, *notes)

    def _finding(self, line: int, name: str, reason: str, *, refused: bool) -> Finding:
        return Finding(
            file=self.file, place=f"line {line}", field=name, reason=reason, refused=refused
        )


class Told(msgspec.Struct, array_like=True, frozen=True):
    """
    What an earlier row of the file has said, as digests.
    """

    line: int
    said: list[int]


class Marks(NamedTuple):
    """
    How a row's customer and enrolment are found: hashes on file, digests in the run.
    """

    reference: bytes
    id_number: bytes
    by_reference: int
    by_id: int
    by_enrolment: int


class Decided(NamedTuple):
    verdicts: list[Verdict]
    seen: dict[int, bytes]


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Told).decode


def _decided(rows: list[CustomerRow], scratch: Scratch, work: Work, *, dry_run: bool) -> Decided:
    return _Batch(work, scratch, dry_run).all(rows)


@dataclass
class _Batch:
    """
    Up to 500 rows in one transaction: read all that they need, decide, write all at its end.
    """

    work: Work
    scratch: Scratch
    dry_run: bool
    told: dict[int, Told] = field(default_factory=dict)
    fresh: dict[int, bytes] = field(default_factory=dict)
    known: dict[bytes, Customer] = field(default_factory=dict)  # by the reference's hash
    owner: dict[bytes, bytes] = field(default_factory=dict)  # ID number's hash -> reference's
    strangers: set[bytes] = field(default_factory=set)  # references that are not on file
    ids: Iterator[int] = field(default_factory=lambda: iter(()))

    def all(self, rows: list[CustomerRow]) -> Decided:
        marks = [self._marks(row) for row in rows]
        self._load(rows, marks)
        verdicts = [self._decide(row, its) for row, its in zip(rows, marks, strict=True)]
        return Decided(verdicts, self.fresh)

    def _marks(self, row: CustomerRow) -> Marks:
        hashed, digest = self.work.vault.hash, self.scratch.digest
        product = row.enrolling.product if row.enrolling else ""
        return Marks(
            reference=hashed(row.reference, "customers.reference"),
            id_number=hashed(row.id_number, "customers.id_number"),
            by_reference=digest("reference", row.reference),
            by_id=digest("id number", row.id_number),
            by_enrolment=digest("enrolment", row.reference, product),
        )

    def _load(self, rows: list[CustomerRow], marks: list[Marks]) -> None:
        keys = {key for its in marks for key in (its.by_reference, its.by_id, its.by_enrolment)}
        self.told = {key: _unpack(what) for key, what in self.scratch.find(keys).items()}
        references = {its.reference for its in marks}
        found = intake.customers_by(self.work, references, {its.id_number for its in marks})
        for customer in found:
            self.known[customer.reference_hash] = customer
            self.owner[customer.id_number_hash] = customer.reference_hash
        self.work.enrolments.load(
            (self.known[its.reference].id, row.enrolling.product)
            for row, its in zip(rows, marks, strict=True)
            if row.enrolling is not None and its.reference in self.known
        )
        self.strangers = references - self.known.keys()
        if self.strangers and not self.dry_run:
            self.ids = iter(self.work.new_ids(customers, len(self.strangers)))

    # --- the decision ---------------------------------------------------------------------------

    def _decide(self, row: CustomerRow, its: Marks) -> Verdict:
        contact = self._digests(row, CONTACT)
        who = [self.scratch.digest(row.reference)]
        enrolled = self._digests(row.enrolling, ENROLLED) if row.enrolling else []
        wrong = (
            *self._contradictions(its.by_reference, contact, CONTACT),
            *self._other_owner(its, who),
            *self._contradictions(its.by_enrolment, enrolled, ENROLLED),
        )
        if wrong:
            return Verdict(row, "refused", wrong)
        bucket = "unchanged" if its.by_reference in self.told else self._contact(row, its)
        if row.enrolling and its.by_enrolment not in self.told:
            enrols = self._enrol(row.enrolling, its.reference)
            bucket = "changed" if enrols and bucket == "unchanged" else bucket
        self._tell(its.by_reference, row.line, contact)
        self._tell(its.by_id, row.line, who)
        self._tell(its.by_enrolment, row.line, enrolled)
        return Verdict(row, bucket)

    def _digests(self, of: CustomerRow | Enrolling, names: tuple[str, ...]) -> list[int]:
        return [self.scratch.digest(getattr(of, name)) for name in names]

    def _tell(self, key: int, line: int, said: list[int]) -> None:
        if key not in self.told:
            self.told[key] = Told(line, said)
            self.fresh[key] = _pack(self.told[key])

    def _contradictions(
        self, key: int, said: list[int], names: tuple[str, ...]
    ) -> Iterator[tuple[str, str]]:
        before = self.told.get(key)
        if before is None or before.said == said:
            return
        for name, now, then in zip(names, said, before.said, strict=True):
            if now != then:
                yield _COLUMN_OF.get(name, name), f"is not what line {before.line} says"

    def _other_owner(self, its: Marks, who: list[int]) -> Iterator[tuple[str, str]]:
        before = self.told.get(its.by_id)
        customer = self.known.get(its.reference)
        if before is not None and before.said != who:
            yield "id_number", f"is that of line {before.line}, with another reference"
        elif self.owner.get(its.id_number, its.reference) != its.reference:
            yield "id_number", "is on file for another customer"
        elif customer is not None and customer.id_number_hash != its.id_number:
            # A bulk file must not hand one person's certificates to another.
            yield "id_number", "is not the one on file for this customer"

    # --- what follows ---------------------------------------------------------------------------

    def _contact(self, row: CustomerRow, its: Marks) -> str:
        customer = self.known.get(its.reference)
        if customer is None:
            if not self.dry_run:
                self.known[its.reference] = self._put(row, its)
            return "new"
        changes = self._changes(row, customer)
        if not changes:
            return "unchanged"
        if not self.dry_run:
            self.known[its.reference] = self.work.customers.change(customer, **changes)
        return "changed"

    def _put(self, row: CustomerRow, its: Marks) -> Customer:
        seal, hashed = self._seal, self._hash
        mobile, mail = row.mobile or None, row.mail or None
        return self.work.customers.put(
            Customer(
                id=next(self.ids),
                reference_hash=its.reference,
                id_number_sealed=self.work.vault.seal(row.id_number, "customers.id_number"),
                id_number_hash=its.id_number,
                name_sealed=self.work.vault.seal(row.name, "customers.name"),
                mobile_sealed=seal(mobile, "customers.mobile"),
                mobile_hash=hashed(mobile, "customers.mobile"),
                mail_sealed=seal(mail, "customers.mail"),
                mail_hash=hashed(mail, "customers.mail"),
                mobile_bad=None,
                mail_bad=None,
                locale=row.locale or "zh-TW",
                opted_out=row.opted_out is True,
                contact_version=1,
                version=1,
            )
        )

    def _seal(self, value: str | None, column: str) -> bytes | None:
        return self.work.vault.seal(value, column) if value else None

    def _hash(self, value: str | None, column: str) -> bytes | None:
        return self.work.vault.hash(value, column) if value else None

    def _changes(self, row: CustomerRow, customer: Customer) -> dict[str, object]:
        changes: dict[str, object] = {}
        for name in ("mobile", "mail"):
            value, column = getattr(row, name), f"customers.{name}"
            if value is UNSET or self._hash(value, column) == getattr(customer, f"{name}_hash"):
                continue
            # The carrier's verdict was about the old address; codes go to the new one only.
            changes |= {
                f"{name}_sealed": self._seal(value, column),
                f"{name}_hash": self._hash(value, column),
                f"{name}_bad": None,
                "contact_version": customer.contact_version + 1,
            }
        if self.work.vault.open_text(customer.name_sealed, "customers.name") != row.name:
            changes["name_sealed"] = self.work.vault.seal(row.name, "customers.name")
        for name in ("locale", "opted_out"):
            value = getattr(row, name)
            if value is not UNSET and value != getattr(customer, name):
                changes[name] = value
        return changes

    def _enrol(self, enrolling: Enrolling, reference: bytes) -> bool:
        """
        Say whether the enrolment is another than on file, and make it so.
        """
        customer = self.known.get(reference)
        key = (customer.id if customer else 0, enrolling.product)
        stranger = customer is None or reference in self.strangers
        before = None if stranger else self.work.enrolments.find(key)
        if before is None:
            if customer is not None and not self.dry_run:
                self.work.enrolments.put(self._enrolment(customer.id, enrolling))
            return True
        changes = self._enrolment_changes(enrolling, before)
        if changes and not self.dry_run:
            self.work.enrolments.change(before, **changes)
        return bool(changes)

    def _enrolment(self, customer: int, enrolling: Enrolling) -> Enrolment:
        return Enrolment(
            customer=customer,
            product=enrolling.product,
            customer_class=enrolling.customer_class or 0,
            operator=enrolling.operator or "",
            branch=enrolling.branch or None,
            account_sealed=self._seal(enrolling.account or None, "enrolments.account"),
            version=1,
        )

    def _enrolment_changes(self, enrolling: Enrolling, before: Enrolment) -> dict[str, object]:
        changes: dict[str, object] = {}
        for name in ("customer_class", "operator", "branch"):
            value = getattr(enrolling, name)
            if value is not UNSET and value != getattr(before, name):
                changes[name] = value
        if enrolling.account is not UNSET and enrolling.account != self._account(before):
            changes["account_sealed"] = self._seal(enrolling.account, "enrolments.account")
        return changes

    def _account(self, before: Enrolment) -> str | None:
        if before.account_sealed is None:
            return None
        return self.work.vault.open_text(before.account_sealed, "enrolments.account")
