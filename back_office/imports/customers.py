"""Imports customers and their enrolments, one row for each product."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import UNSET

from back_office.imports.batches import batches, in_one_transaction
from back_office.imports.customer_row import COLUMNS, CustomerRow, read_customer
from back_office.imports.report import ImportFinding, ImportReport, RowPlace, Tally, ignore
from back_office.imports.table import read_table
from renewal.db.rows import Customer, Enrolment
from renewal.db.spill_set import SpillSet
from renewal.lifecycle.addresses import change_customer, new_address
from renewal.store import import_queries
from schema.reasons import FindingReason, ImportedChange
from schema.tables.people import customers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from back_office.imports.customer_row import Enrolling
    from back_office.imports.table import TableRecord
    from renewal.db.engine import Store
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies
    from schema.reasons import Reason

#: What several rows of one customer must agree upon.
CONTACT = ("id_number", "name", "mobile", "mail", "locale", "opted_out")
ENROLLED = ("customer_class", "operator", "branch", "account")
_COLUMN_OF = {"customer_class": "class"}
ADDRESSES = ("mobile", "mail")
SHARED = {
    "mobile": FindingReason.SHARED_MOBILE.why(),
    "mail": FindingReason.SHARED_MAIL.why(),
}
_ADDED = {"mobile": ImportedChange.MOBILE_ADDED, "mail": ImportedChange.MAIL_ADDED}
_REPLACED = {"mobile": ImportedChange.MOBILE_REPLACED, "mail": ImportedChange.MAIL_REPLACED}
_TAKEN_AWAY = {"mobile": ImportedChange.MOBILE_TAKEN_AWAY, "mail": ImportedChange.MAIL_TAKEN_AWAY}
_OTHER_CHANGES = (
    (ImportedChange.NAME, "name_sealed"),
    (ImportedChange.LOCALE, "locale"),
    (ImportedChange.OPTED_OUT, "opted_out"),
)


def import_customers(
    store: Store,
    policies: Policies,
    path: Path,
    *,
    dry_run: bool,
    progress: Callable[[int], None] = ignore,
    found: Callable[[ImportFinding], None] = ignore,
) -> ImportReport:
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
    with SpillSet() as scratch:
        for batch in batches(rows):
            run = _Run(path.name, tally, policies)
            good = list(run.readable(batch))
            if good:
                decide = partial(_decided, good, scratch, dry_run=dry_run)
                decided = in_one_transaction(store, decide, dry_run=dry_run)
                scratch.keep(decided.seen)
                run.count(decided.verdicts)
            tally.tell()
    return tally.report(dry_run=dry_run)


class CustomerVerdict(NamedTuple):
    row: CustomerRow
    bucket: str  #: new, changed, unchanged or refused
    wrong: tuple[tuple[str, Reason], ...] = ()
    changes: tuple[ImportedChange, ...] = ()  #: what of the customer is another than before
    #: of each address that this row brings anew: how many customers of the file get it, or have it
    shared: Mapping[str, int] = {}
    slipped: bool = False  #: whether an address was replaced by one that others on file have


@dataclass(frozen=True)
class _Run:
    file: str
    tally: Tally
    policies: Policies

    def readable(self, batch: list[TableRecord]) -> Iterator[CustomerRow]:
        for record in batch:
            if record.fault:
                self.tally.refuse(self._finding(record.line, "", record.fault, refused=True))
                continue
            row = read_customer(record.line, record.cells, self.policies)
            if isinstance(row, CustomerRow):
                yield row
            else:
                self.tally.refuse(*(self._finding(record.line, *it, refused=True) for it in row))

    def count(self, verdicts: list[CustomerVerdict]) -> None:
        for row, bucket, wrong, changes, shared, slipped in verdicts:
            self.tally.changes.update(changes)
            self.tally.slipped += slipped
            self.tally.share(shared)
            if bucket == "refused":
                self.tally.refuse(*(self._finding(row.line, *it, refused=True) for it in wrong))
            else:
                earlier = (
                    *row.notes,
                    *((name, SHARED[name]) for name, n in shared.items() if n > 1),
                )
                notes = (self._finding(row.line, *note, refused=False) for note in earlier)
                self.tally.take(bucket, *notes)

    def _finding(self, line: int, name: str, reason: Reason, *, refused: bool) -> ImportFinding:
        return ImportFinding(
            file=self.file, place=RowPlace(line), field=name, reason=reason, refused=refused
        )


class EarlierLine(msgspec.Struct, array_like=True, frozen=True):
    """What an earlier row of the file has said, as digests."""

    line: int
    stated: list[int]


class CustomerMarks(NamedTuple):
    """How a row's customer and enrolment are found: hashes on file, digests in the run."""

    reference: bytes
    id_number: bytes
    by_reference: int
    by_id: int
    by_enrolment: int


class CustomerDecisions(NamedTuple):
    verdicts: list[CustomerVerdict]
    seen: dict[int, bytes]


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(EarlierLine).decode


def _decided(
    rows: list[CustomerRow], scratch: SpillSet, work: UnitOfWork, *, dry_run: bool
) -> CustomerDecisions:
    return _Batch(work, scratch, dry_run).all(rows)


@dataclass
class _Batch:
    """Up to 500 rows in one transaction: read all that they need, decide, write all at its end."""

    work: UnitOfWork
    scratch: SpillSet
    dry_run: bool
    earlier: dict[int, EarlierLine] = field(default_factory=dict)
    fresh: dict[int, bytes] = field(default_factory=dict)
    known: dict[bytes, Customer] = field(default_factory=dict)  # by the reference's hash
    owner: dict[bytes, bytes] = field(default_factory=dict)  # ID number's hash -> reference's
    strangers: set[bytes] = field(default_factory=set)  # references that are not on file
    #: by column, an address's hash -> how many customers on file have it
    there: dict[str, dict[bytes, int]] = field(default_factory=dict)
    ids: Iterator[int] = field(default_factory=lambda: iter(()))

    def all(self, rows: list[CustomerRow]) -> CustomerDecisions:
        marks = [self._marks(row) for row in rows]
        self._load(rows, marks)
        verdicts = [self._decide(row, its) for row, its in zip(rows, marks, strict=True)]
        return CustomerDecisions(verdicts, self.fresh)

    def _marks(self, row: CustomerRow) -> CustomerMarks:
        hashed, digest = self.work.cipher.hash, self.scratch.digest
        product = row.enrolling.product if row.enrolling else ""
        return CustomerMarks(
            reference=hashed(row.reference, "customers.reference"),
            id_number=hashed(row.id_number, "customers.id_number"),
            by_reference=digest("reference", row.reference),
            by_id=digest("id number", row.id_number),
            by_enrolment=digest("enrolment", row.reference, product),
        )

    def _load(self, rows: list[CustomerRow], marks: list[CustomerMarks]) -> None:
        keys = {key for its in marks for key in (its.by_reference, its.by_id, its.by_enrolment)}
        keys |= {
            self.scratch.digest(name, value)
            for row in rows
            for name in ADDRESSES
            if (value := getattr(row, name)) is not UNSET and value
        }
        self.there = {name: self._having(name, rows) for name in ADDRESSES}
        self.earlier = {key: _unpack(what) for key, what in self.scratch.find(keys).items()}
        references = {its.reference for its in marks}
        found = import_queries.customers_by(self.work, references, {its.id_number for its in marks})
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

    def _having(self, name: str, rows: list[CustomerRow]) -> dict[bytes, int]:
        values = {value for row in rows if (value := getattr(row, name)) is not UNSET and value}
        hashes = {self.work.cipher.hash(value, f"customers.{name}") for value in values}
        return import_queries.having(self.work, name, hashes)

    # --- the decision ---------------------------------------------------------------------------

    def _decide(self, row: CustomerRow, its: CustomerMarks) -> CustomerVerdict:
        contact = self._digests(row, CONTACT)
        who = [self.scratch.digest(row.reference)]
        enrolled = self._digests(row.enrolling, ENROLLED) if row.enrolling else []
        wrong = (
            *self._contradictions(its.by_reference, contact, CONTACT),
            *self._other_owner(its, who),
            *self._contradictions(its.by_enrolment, enrolled, ENROLLED),
        )
        if wrong:
            return CustomerVerdict(row, "refused", wrong)
        bucket, changes, shared = "unchanged", tuple[ImportedChange, ...](), dict[str, int]()
        if its.by_reference not in self.earlier:
            bucket, changes = self._contact(row, its)
            shared = self._shared(row, bucket, changes)
        if row.enrolling and its.by_enrolment not in self.earlier:
            enrols = self._enrol(row.enrolling, its.reference)
            bucket = "changed" if enrols and bucket == "unchanged" else bucket
        self._tell(its.by_reference, row.line, contact)
        self._tell(its.by_id, row.line, who)
        self._tell(its.by_enrolment, row.line, enrolled)
        slipped = any(many > 1 and _REPLACED[name] in changes for name, many in shared.items())
        return CustomerVerdict(row, bucket, changes=changes, shared=shared, slipped=slipped)

    def _digests(self, of: CustomerRow | Enrolling, names: tuple[str, ...]) -> list[int]:
        return [self.scratch.digest(getattr(of, name)) for name in names]

    def _tell(self, key: int, line: int, stated: list[int]) -> None:
        if key not in self.earlier:
            self.earlier[key] = EarlierLine(line, stated)
            self.fresh[key] = _pack(self.earlier[key])

    def _contradictions(
        self, key: int, stated: list[int], names: tuple[str, ...]
    ) -> Iterator[tuple[str, Reason]]:
        before = self.earlier.get(key)
        if before is None or before.stated == stated:
            return
        for name, now, then in zip(names, stated, before.stated, strict=True):
            if now != then:
                line = str(before.line)
                yield _COLUMN_OF.get(name, name), FindingReason.OTHER_THAN_LINE.why(line=line)

    def _other_owner(self, its: CustomerMarks, who: list[int]) -> Iterator[tuple[str, Reason]]:
        before = self.earlier.get(its.by_id)
        customer = self.known.get(its.reference)
        if before is not None and before.stated != who:
            yield "id_number", FindingReason.ID_OF_LINE.why(line=str(before.line))
        elif self.owner.get(its.id_number, its.reference) != its.reference:
            yield "id_number", FindingReason.ID_OF_ANOTHER.why()
        elif customer is not None and customer.id_number_hash != its.id_number:
            # A bulk file must not hand one person's certificates to another.
            yield "id_number", FindingReason.ID_CHANGED.why()

    def _shared(
        self, row: CustomerRow, bucket: str, changes: tuple[ImportedChange, ...]
    ) -> dict[str, int]:
        """
        Of each address that this customer gets now: for how many it stands so far. Those who have
        it on file are counted apart from those of the file, who may be the same.
        """
        found = {}
        for name in ADDRESSES:
            value = getattr(row, name)
            anew = bucket == "new" or {_ADDED[name], _REPLACED[name]} & {*changes}
            if value is UNSET or not value or not anew:
                continue
            key = self.scratch.digest(name, value)
            before = self.earlier.get(key, EarlierLine(row.line, [0]))
            self.earlier[key] = EarlierLine(before.line, [before.stated[0] + 1])
            self.fresh[key] = _pack(self.earlier[key])
            there = self.there[name].get(self._hash(value, f"customers.{name}") or b"", 0)
            found[name] = max(self.earlier[key].stated[0], there + 1)
        return found

    # --- what follows ---------------------------------------------------------------------------

    def _contact(
        self, row: CustomerRow, its: CustomerMarks
    ) -> tuple[str, tuple[ImportedChange, ...]]:
        customer = self.known.get(its.reference)
        if customer is None:
            if not self.dry_run:
                self.known[its.reference] = self._put(row, its)
            return "new", ()
        changes = self._changes(row, customer)
        if not changes:
            self._name_reference(row, its, customer)
            return "unchanged", ()
        if not self.dry_run:
            self.known[its.reference] = change_customer(self.work, customer, changes)
        return "changed", tuple(_in_words(changes, customer))

    def _name_reference(self, row: CustomerRow, its: CustomerMarks, customer: Customer) -> None:
        """Keep the bank's own number of a customer whom an older program took in without it."""
        if customer.reference_sealed is None and not self.dry_run:
            sealed = self._seal(row.reference, "customers.reference", customer.id)
            changed = self.work.customers.change(customer, reference_sealed=sealed)
            self.known[its.reference] = changed

    def _put(self, row: CustomerRow, its: CustomerMarks) -> Customer:
        hashed, number = self._hash, next(self.ids)
        mobile, mail = row.mobile or None, row.mail or None
        return self.work.customers.put(
            Customer(
                id=number,
                reference_hash=its.reference,
                id_number_sealed=self.work.cipher.seal(
                    row.id_number, "customers.id_number", number
                ),
                id_number_hash=its.id_number,
                name_sealed=self.work.cipher.seal(row.name, "customers.name", number),
                mobile_sealed=self._seal(mobile, "customers.mobile", number),
                mobile_hash=hashed(mobile, "customers.mobile"),
                mail_sealed=self._seal(mail, "customers.mail", number),
                mail_hash=hashed(mail, "customers.mail"),
                mobile_bad=None,
                mail_bad=None,
                locale=row.locale or "zh-TW",
                opted_out=row.opted_out is True,
                contact_version=1,
                version=1,
                reference_sealed=self._seal(row.reference, "customers.reference", number),
            )
        )

    def _seal(self, value: str | None, column: str, of: int | str) -> bytes | None:
        return self.work.cipher.seal(value, column, of) if value else None

    def _hash(self, value: str | None, column: str) -> bytes | None:
        return self.work.cipher.hash(value, column) if value else None

    def _changes(self, row: CustomerRow, customer: Customer) -> dict[str, object]:
        changes: dict[str, object] = {}
        for name in ADDRESSES:
            value = getattr(row, name)
            if value is not UNSET:
                changes |= new_address(self.work, customer, name, value)
        if changes and customer.reference_sealed is None:
            changes["reference_sealed"] = self._seal(
                row.reference, "customers.reference", customer.id
            )
        if (
            self.work.cipher.open_text(customer.name_sealed, "customers.name", customer.id)
            != row.name
        ):
            changes["name_sealed"] = self.work.cipher.seal(row.name, "customers.name", customer.id)
        for name in ("locale", "opted_out"):
            value = getattr(row, name)
            if value is not UNSET and value != getattr(customer, name):
                changes[name] = value
        return changes

    def _enrol(self, enrolling: Enrolling, reference: bytes) -> bool:
        """Say whether the enrolment is another than on file, and make it so."""
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
            account_sealed=self._seal(
                enrolling.account or None, "enrolments.account", f"{customer}/{enrolling.product}"
            ),
            version=1,
        )

    def _enrolment_changes(self, enrolling: Enrolling, before: Enrolment) -> dict[str, object]:
        changes: dict[str, object] = {}
        for name in ("customer_class", "operator", "branch"):
            value = getattr(enrolling, name)
            if value is not UNSET and value != getattr(before, name):
                changes[name] = value
        if enrolling.account is not UNSET and enrolling.account != self._account(before):
            changes["account_sealed"] = self._seal(
                enrolling.account, "enrolments.account", before.sealed_row
            )
        return changes

    def _account(self, before: Enrolment) -> str | None:
        if before.account_sealed is None:
            return None
        return self.work.cipher.open_text(
            before.account_sealed, "enrolments.account", before.sealed_row
        )


def _in_words(changes: dict[str, object], before: Customer) -> Iterator[ImportedChange]:
    for name in ADDRESSES:
        column = f"{name}_sealed"
        if column in changes and changes[column] is None:
            yield _TAKEN_AWAY[name]
        elif column in changes:
            yield (_ADDED if getattr(before, column) is None else _REPLACED)[name]
    for change, column in _OTHER_CHANGES:
        if column in changes:
            yield change
