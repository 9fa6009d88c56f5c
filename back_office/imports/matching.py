"""Finds the customer and the product of each certificate of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from renewal.store import intake

if TYPE_CHECKING:
    from collections.abc import Sequence

    from back_office.imports.certificate_facts import Facts
    from back_office.imports.certificate_files import Entry
    from renewal.store.work import Work


class Match(NamedTuple):
    customer: int | None
    named: bool  #: by the file itself, not by the certificate's subject
    enrolled: frozenset[str]
    wrong: tuple[tuple[str, str], ...] = ()


@dataclass
class _Marks:
    """
    The hashes by which one certificate's customer may be found.
    """

    reference: bytes | None
    id_number: bytes | None
    subject: bytes | None


def matched(work: Work, entries: Sequence[tuple[Entry, Facts]]) -> list[Match]:
    """
    Return for each certificate whose it is; one query for each table.
    """
    marks = [_marks(work, entry, facts) for entry, facts in entries]
    people = intake.persons_by(
        work,
        {it.reference for it in marks if it.reference},
        {mark for it in marks for mark in (it.id_number, it.subject) if mark},
    )
    by_reference = {person.reference_hash: person.id for person in people}
    by_id = {person.id_number_hash: person.id for person in people}
    enrolled = intake.products_of(work, {person.id for person in people})
    return [_match(its, by_reference, by_id, enrolled) for its in marks]


def _marks(work: Work, entry: Entry, facts: Facts) -> _Marks:
    def hashed(value: str | None, column: str) -> bytes | None:
        return work.vault.hash(value, column) if value is not None else None

    return _Marks(
        reference=hashed(entry.said.reference, "customers.reference"),
        id_number=hashed(entry.said.id_number, "customers.id_number"),
        subject=hashed(facts.id_number, "customers.id_number"),
    )


def _match(
    its: _Marks,
    by_reference: dict[bytes, int],
    by_id: dict[bytes, int],
    enrolled: dict[int, set[str]],
) -> Match:
    said = {
        name: table.get(mark)
        for name, table, mark in (
            ("reference", by_reference, its.reference),
            ("id_number", by_id, its.id_number),
        )
        if mark is not None
    }
    wrong = tuple(
        (name, "is not on file: import the customers first")
        for name, customer in said.items()
        if customer is None
    )
    if not wrong and len(set(said.values())) > 1:
        wrong = (("id_number", "is on file for another customer than the reference"),)
    named = next(iter(said.values()), None)
    customer = named if said else by_id.get(its.subject or b"")
    products = enrolled.get(customer, set()) if customer is not None else set()
    return Match(customer, bool(said), frozenset(products), wrong)
