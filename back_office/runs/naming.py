"""Finds the certificate that each row of a run's file names."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from back_office.imports.customer_row import BadFieldError, read_id_number, read_reference
from renewal.rules.serials import certificate_serial, token_key, token_serial
from renewal.store import import_queries
from renewal.store import runs as queries
from schema.reasons import Reason, RunReason
from schema.roc import RocDateError, parse
from schema.taipei import day_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from back_office.runs.sheet import SheetRow
    from renewal.db.unit_of_work import UnitOfWork

MOST_ID_DIGITS = 18  #: ids are kept in 64 bits
MOST_SERIAL_DIGITS = 64


@dataclass(frozen=True, kw_only=True)
class Named:
    """A row and the certificate that it names, or what is wrong with it and in which column."""

    row: SheetRow
    certificate: int | None = None
    column: str = ""
    why: Reason | None = None

    @property
    def branch(self) -> str | None:
        return _plain(self.row.cells.get("branch", "")) or None


@dataclass(frozen=True)
class _Key:
    """By which column of which table a row names its certificate."""

    column: str  #: of the file
    by: str  #: id, serial, token_serial or customer
    value: Any


def named(work: UnitOfWork, rows: Sequence[SheetRow]) -> list[Named]:
    """
    Say of each row which certificate it names; one query for each way of naming.

    A row that names several is wrong: nothing is guessed.
    """
    keys = [_key(work, row) for row in rows]
    customers = _customers(work, keys)
    found: dict[str, dict[Any, list[tuple[int, str]]]] = {}
    for by in ("id", "serial", "token_serial"):
        values = {key.value for key in keys if isinstance(key, _Key) and key.by == by}
        found[by] = queries.certificates_named(work, by, sorted(values)) if values else {}
    _spelled_otherwise(work, keys, found["token_serial"])
    ids = sorted(set(customers.values()))
    found["customer"] = queries.certificates_named(work, "customer", ids) if ids else {}
    results = [_found(row, key, found, customers) for row, key in zip(rows, keys, strict=True)]
    work.certificates.load(one.certificate for one in results)
    return [_checked(work, one) for one in results]


def _spelled_otherwise(
    work: UnitOfWork, keys: Sequence[_Key | Named], found: dict[Any, list[tuple[int, str]]]
) -> None:
    """Add the tokens whose serial a row spells in another way than they have it on file."""
    wanted = {
        key.value: token_key(key.value)
        for key in keys
        if isinstance(key, _Key) and key.by == "token_serial" and key.value not in found
    }
    if wanted:
        by_key = queries.tokens_spelled(work, sorted(set(wanted.values()) - {""}))
        found.update({value: by_key[key] for value, key in wanted.items() if key in by_key})


def _plain(text: str) -> str:
    """What a person typed or pasted: full-width, blanks and invisible signs do not count."""
    if text.isascii() and text.isprintable() and " " not in text:
        return text  # as nearly every cell is: nothing of it can be folded
    folded = unicodedata.normalize("NFKC", text)
    return "".join(c for c in folded if unicodedata.category(c)[0] not in "CZ")


def _key(work: UnitOfWork, row: SheetRow) -> _Key | Named:
    cells = {name: _plain(text) for name, text in row.cells.items()}
    if row.fault:
        return Named(row=row, why=RunReason.ROW_UNREADABLE.why(detail=row.fault.stored()))
    if text := cells.get("certificate"):
        if not text.isdecimal() or len(text) > MOST_ID_DIGITS:
            return _wrong(row, "certificate", RunReason.NUMBER_UNREADABLE.why())
        return _Key("certificate", "id", int(text))
    if text := cells.get("serial"):
        return _serial_key(row, text)
    if text := cells.get("token_serial"):
        return _Key("token_serial", "token_serial", token_serial(text))
    for column, read in (("reference", read_reference), ("id_number", read_id_number)):
        if text := cells.get(column):
            try:
                value = work.cipher.hash(read(text), f"customers.{column}")
            except BadFieldError:
                return _wrong(row, column, RunReason.NUMBER_UNREADABLE.why())
            return _Key(column, column, value)
    return Named(row=row, why=RunReason.NOTHING_NAMED.why())


def _serial_key(row: SheetRow, text: str) -> _Key | Named:
    digits = certificate_serial(text)
    if digits is None or len(digits) > MOST_SERIAL_DIGITS:
        return _wrong(row, "serial", RunReason.NUMBER_UNREADABLE.why())
    return _Key("serial", "serial", digits)


def _wrong(row: SheetRow, column: str, why: Reason) -> Named:
    return Named(row=row, column=column, why=why)


def _customers(work: UnitOfWork, keys: Sequence[_Key | Named]) -> dict[bytes, int]:
    """The customers that rows name, by the keyed hash of what names them."""
    references = {k.value for k in keys if isinstance(k, _Key) and k.by == "reference"}
    id_numbers = {k.value for k in keys if isinstance(k, _Key) and k.by == "id_number"}
    if not references and not id_numbers:
        return {}
    people = import_queries.persons_by(work, references, id_numbers)
    by_reference = {person.reference_hash: person.id for person in people}
    return {**{person.id_number_hash: person.id for person in people}, **by_reference}


def _found(
    row: SheetRow,
    key: _Key | Named,
    found: Mapping[str, Mapping[Any, list[tuple[int, str]]]],
    customers: Mapping[bytes, int],
) -> Named:
    if isinstance(key, Named):
        return key
    if key.by in {"reference", "id_number"}:
        here = found["customer"].get(customers.get(key.value), [])
    else:
        here = found[key.by].get(key.value, [])
    product = _plain(row.cells.get("product", ""))
    here = [one for one in here if not product or one[1] == product]
    if not here:
        return _wrong(row, key.column, RunReason.NO_CERTIFICATE.why())
    if len(here) > 1:
        return _wrong(row, key.column, RunReason.AMBIGUOUS.why(count=len(here)))
    return Named(row=row, certificate=here[0][0])


def _checked(work: UnitOfWork, one: Named) -> Named:
    """Hold the end date of the row, where it has one, against the certificate's own day."""
    text = _plain(one.row.cells.get("not_after", ""))
    if one.certificate is None or not text:
        return one
    try:
        day = parse(text)
    except RocDateError:
        return _wrong(one.row, "not_after", RunReason.DATE_UNREADABLE.why())
    on_file: date = day_of(work.certificates.get(one.certificate).not_after)
    if day != on_file:
        why = RunReason.END_DIFFERS.why(on_file=on_file.isoformat())
        return _wrong(one.row, "not_after", why)
    return one
