"""Finds the customer and the product of each certificate of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from renewal.store import import_queries
from schema.reasons import FindingReason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from back_office.imports.certificate_facts import CertificateFields
    from back_office.imports.certificate_files import CertificateEntry
    from renewal.db.unit_of_work import UnitOfWork
    from schema.reasons import Reason


class Match(NamedTuple):
    customer: int | None
    named: bool  #: by the file itself, not by the certificate's subject
    enrolled: frozenset[str]
    wrong: tuple[tuple[str, Reason], ...] = ()
    stranger: bool = False  #: the certificate's own name begins with nobody's ID number on file


@dataclass
class _Marks:
    """The hashes by which one certificate's customer may be found."""

    reference: bytes | None
    id_number: bytes | None
    subject: bytes | None


def matched(
    work: UnitOfWork, entries: Sequence[tuple[CertificateEntry, CertificateFields]]
) -> list[Match]:
    """Return for each certificate whose it is; one query for each table."""
    marks = [_marks(work, entry, facts) for entry, facts in entries]
    people = import_queries.persons_by(
        work,
        {it.reference for it in marks if it.reference},
        {mark for it in marks for mark in (it.id_number, it.subject) if mark},
    )
    by_reference = {person.reference_hash: person.id for person in people}
    by_id = {person.id_number_hash: person.id for person in people}
    enrolled = import_queries.products_of(work, {person.id for person in people})
    return [_match(its, by_reference, by_id, enrolled) for its in marks]


def _marks(work: UnitOfWork, entry: CertificateEntry, facts: CertificateFields) -> _Marks:
    def hashed(value: str | None, column: str) -> bytes | None:
        return work.cipher.hash(value, column) if value is not None else None

    return _Marks(
        reference=hashed(entry.stated.reference, "customers.reference"),
        id_number=hashed(entry.stated.id_number, "customers.id_number"),
        subject=hashed(facts.id_number, "customers.id_number"),
    )


def _match(
    its: _Marks,
    by_reference: dict[bytes, int],
    by_id: dict[bytes, int],
    enrolled: dict[int, set[str]],
) -> Match:
    stated = {
        name: table.get(mark)
        for name, table, mark in (
            ("reference", by_reference, its.reference),
            ("id_number", by_id, its.id_number),
        )
        if mark is not None
    }
    wrong = tuple(
        (name, FindingReason.NOT_ON_FILE.why())
        for name, customer in stated.items()
        if customer is None
    )
    if not wrong and len(set(stated.values())) > 1:
        wrong = (("id_number", FindingReason.ID_AND_REFERENCE.why()),)
    named = next(iter(stated.values()), None)
    in_name = by_id.get(its.subject or b"")
    if not wrong and stated and in_name is not None and in_name != named:
        # A row that slipped by one would hand one person's certificate to another.
        wrong = (("certificate", FindingReason.SLIPPED.why()),)
    customer = named if stated else in_name
    products = enrolled.get(customer, set()) if customer is not None else set()
    stranger = bool(stated) and its.subject is not None and in_name is None
    return Match(customer, bool(stated), frozenset(products), wrong, stranger)
