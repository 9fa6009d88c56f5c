"""The books: double entry, whole New Taiwan dollars, append-only."""

from __future__ import annotations

import sqlalchemy as sa

from schema.tables.types import BigKey, UtcDateTime, metadata

accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("id", sa.String(48), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),  # asset | liability | income
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("posted", sa.BigInteger, nullable=False),  # debits less credits
    sa.Column("pending", sa.BigInteger, nullable=False),  # of holds not yet ended
    sa.Column("may_overdraw", sa.Boolean, nullable=False),
)

#: One row for each thing that happened; its id is the idempotency key.
transfers = sa.Table(
    "transfers",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(8), nullable=False),  # hold | post | void | direct | refund
    sa.Column("debit", sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("credit", sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("of", sa.String(64), index=True),  # the hold that a post or void ends
    sa.Column("ref", sa.String(32), nullable=False, index=True),
    sa.Column("answer", sa.String(8), nullable=False),  # ok | refused
    sa.Column("at", UtcDateTime, nullable=False),
    sa.CheckConstraint("amount >= 0", name="amount"),
    sa.CheckConstraint("debit <> credit", name="two_sides"),
)
sa.Index(
    "uq_transfers_of_ended",
    transfers.c.of,
    unique=True,
    sqlite_where=sa.and_(transfers.c.kind.in_(("post", "void")), transfers.c.answer == "ok"),
    postgresql_where=sa.and_(transfers.c.kind.in_(("post", "void")), transfers.c.answer == "ok"),
)

payments = sa.Table(
    "payments",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("customer", sa.ForeignKey("customers.id"), nullable=False),
    sa.Column("certificate", sa.ForeignKey("certificates.id"), nullable=False, index=True),
    sa.Column("amount", sa.Integer, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),  # asked | paid | refused | consumed | refunded
    sa.Column("renewal", sa.String(32), unique=True),  # the renewal that consumed it
    sa.Column("asked_at", UtcDateTime, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
)
