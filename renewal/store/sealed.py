"""The sealed columns: how many values have which key, sealing them anew, and opening a sample."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from renewal.db.encryption import ROW_BOUND, SealBrokenError
from schema.tables.books import payments
from schema.tables.people import (
    certificates,
    contact_edits,
    customers,
    enrolments,
    replaced_addresses,
)
from schema.tables.renewals import renewals
from schema.tables.staff import emergency_accounts
from schema.tables.tokens import recordings
from schema.tables.web import key_copies

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from renewal.db.unit_of_work import UnitOfWork

BATCH: Final = 500
SAMPLE: Final = 200


@dataclass(frozen=True)
class SealedColumn:
    """A column, what its values are sealed for, and the key columns that name a row."""

    column: sa.Column[Any]
    keys: tuple[sa.Column[Any], ...]

    @property
    def purpose(self) -> str:
        """The name that is authenticated with each value."""
        return f"{self.column.table.name}.{self.column.name.removesuffix('_sealed')}"

    def row(self, key: Sequence[Any]) -> int | str:
        return key[0] if len(key) == 1 else "/".join(map(str, key))


def _columns() -> Iterator[SealedColumn]:
    for name in ("id_number", "name", "mobile", "mail", "reference"):
        yield SealedColumn(customers.c[f"{name}_sealed"], (customers.c.id,))
    yield SealedColumn(certificates.c.der_sealed, (certificates.c.id,))
    yield SealedColumn(renewals.c.fee_account_sealed, (renewals.c.id,))
    yield SealedColumn(payments.c.account_sealed, (payments.c.id,))
    yield SealedColumn(enrolments.c.account_sealed, (enrolments.c.customer, enrolments.c.product))
    yield SealedColumn(contact_edits.c.mobile_sealed, (contact_edits.c.customer,))
    yield SealedColumn(
        replaced_addresses.c.address_sealed,
        (
            replaced_addresses.c.customer,
            replaced_addresses.c.contact_version,
            replaced_addresses.c.channel,
        ),
    )
    yield SealedColumn(emergency_accounts.c.totp_sealed, (emergency_accounts.c.name,))
    yield SealedColumn(key_copies.c.opener_sealed, (key_copies.c.customer, key_copies.c.id))
    yield SealedColumn(recordings.c.codes_sealed, (recordings.c.renewal,))


SEALED_COLUMNS: Final = tuple(_columns())


def by_key_number(work: UnitOfWork) -> Counter[tuple[int, bool]]:
    """The number of sealed values by the number of their key, and whether they name their row."""
    found: Counter[tuple[int, bool]] = Counter()
    for one in SEALED_COLUMNS:
        first = sa.func.substr(one.column, 1, 1, type_=sa.LargeBinary)
        query = sa.select(first, sa.func.count()).where(one.column.is_not(None)).group_by(first)
        for byte, count in work.connection.execute(query):
            found[bytes(byte)[0] & ~ROW_BOUND, bool(bytes(byte)[0] & ROW_BOUND)] += count
    return found


def reseal(
    work: UnitOfWork, one: SealedColumn, after: Sequence[Any] | None
) -> tuple[Sequence[Any] | None, int]:
    """
    Seal the next values of a column with the newest key and for their row.

    Return the key of the last row that was looked at, ``None`` behind the last one, and how many
    values were sealed anew. What another transaction changes in the meantime stays as that one has
    it: it has sealed with the newest key, or is found by the next pass.
    """
    newest = work.cipher.newest
    key = sa.tuple_(*one.keys) if len(one.keys) > 1 else one.keys[0]
    old = sa.func.substr(one.column, 1, 1) != sa.literal(bytes([newest | ROW_BOUND]))
    query = sa.select(*one.keys, one.column).where(one.column.is_not(None), old)
    if after is not None:
        query = query.where(key > (sa.tuple_(*after) if len(after) > 1 else after[0]))
    rows = work.connection.execute(query.order_by(*one.keys).limit(BATCH)).all()
    for *found, sealed in rows:
        plain = work.cipher.open(sealed, one.purpose, one.row(found))
        fresh = work.cipher.seal(plain, one.purpose, one.row(found))
        here = [column == value for column, value in zip(one.keys, found, strict=True)]
        work.connection.execute(
            sa.update(one.column.table)
            .where(*here, one.column == sealed)
            .values({one.column: fresh})
        )
    return (rows[-1][:-1] if len(rows) == BATCH else None), len(rows)


def misplaced(work: UnitOfWork, at_most: int = SAMPLE) -> Iterator[str]:
    """
    Of the newest rows, those whose sealed values do not open or are not what their hashes say.
    """
    yield from _misplaced_persons(work, at_most)
    c = certificates.c
    query = sa.select(c.id, c.der_sealed, c.certificate_sha256).order_by(c.id.desc())
    for number, sealed, digest in work.connection.execute(query.limit(at_most)):
        der = _opened(work, sealed, "certificates.der", number)
        if der is None or hashlib.sha256(der).digest() != digest:
            yield f"certificate {number}: der"


def _misplaced_persons(work: UnitOfWork, at_most: int) -> Iterator[str]:
    c = customers.c
    hashed = [("id_number", c.id_number_sealed, c.id_number_hash)]
    hashed += [("mobile", c.mobile_sealed, c.mobile_hash), ("mail", c.mail_sealed, c.mail_hash)]
    for name, sealed_column, hash_column in hashed:
        query = sa.select(c.id, sealed_column, hash_column).where(sealed_column.is_not(None))
        for number, sealed, digest in work.connection.execute(
            query.order_by(c.id.desc()).limit(at_most)
        ):
            plain = _opened(work, sealed, f"customers.{name}", number)
            if plain is None or work.cipher.hash(plain.decode(), f"customers.{name}") != digest:
                yield f"customer {number}: {name}"


def _opened(work: UnitOfWork, sealed: bytes, purpose: str, row: int | str) -> bytes | None:
    try:
        return work.cipher.open(sealed, purpose, row)
    except SealBrokenError:
        return None
