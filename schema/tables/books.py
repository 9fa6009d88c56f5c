"""The ledger tables: double entry, whole New Taiwan dollars, append-only."""

from __future__ import annotations

import sqlalchemy as sa

from schema.tables.types import UtcDateTime, metadata

#: ``posted`` is debits less credits; the pending ones are of holds not yet ended, by side.
accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("id", sa.String(48), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("posted", sa.BigInteger, nullable=False),
    sa.Column("pending_debits", sa.BigInteger, nullable=False),
    sa.Column("pending_credits", sa.BigInteger, nullable=False),
    sa.Column("may_overdraw", sa.Boolean, nullable=False),
    sa.CheckConstraint("kind IN ('asset','liability','income')", name="kind"),
    sa.CheckConstraint("pending_debits >= 0 AND pending_credits >= 0", name="pending"),
    # What is promised away counts as gone, whatever the code believes.
    sa.CheckConstraint(
        "may_overdraw OR (kind = 'asset' AND posted - pending_credits >= 0)"
        " OR (kind <> 'asset' AND -posted - pending_debits >= 0)",
        name="available",
    ),
)

#: One row for each thing that was asked and answered; its id is the idempotency key.
transfers = sa.Table(
    "transfers",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(8), nullable=False),
    sa.Column("debit", sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("credit", sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("of", sa.String(64), index=True),  # the one transfer that this one ends
    sa.Column("ref", sa.String(32), nullable=False, index=True),
    sa.Column("answer", sa.String(8), nullable=False),
    sa.Column("why", sa.String(16), nullable=False),  # why refused, or empty
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("nth", sa.Integer, nullable=False),  # its place within its transaction
    sa.CheckConstraint("kind IN ('hold','post','void','direct','refund')", name="kind"),
    sa.CheckConstraint("answer IN ('ok','refused')", name="answer"),
    sa.CheckConstraint("amount > 0", name="amount"),
    sa.CheckConstraint("debit <> credit", name="two_sides"),
    sa.CheckConstraint("kind IN ('hold','direct') OR of IS NOT NULL", name="of"),
)
# I4: a hold ends once, an entitlement is used or given back once, whatever the code believes.
ENDS = sa.and_(transfers.c.of.is_not(None), transfers.c.answer == sa.literal_column("'ok'"))
sa.Index(
    "uq_transfers_of_ended",
    transfers.c.of,
    unique=True,
    sqlite_where=ENDS,
    postgresql_where=ENDS,
)

payments = sa.Table(
    "payments",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("customer", sa.ForeignKey("customers.id"), nullable=False),
    sa.Column("certificate", sa.ForeignKey("certificates.id"), nullable=False, index=True),
    sa.Column("amount", sa.Integer, nullable=False),
    sa.Column("pays_for", sa.String(32), nullable=False),  # the certificate's next renewal
    sa.Column(
        "state", sa.String(16), nullable=False
    ),  # asked | paid | refused | consumed | refunded
    sa.Column("renewal", sa.String(32), unique=True),  # the renewal that consumed it
    sa.Column("asked_at", UtcDateTime, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("account_sealed", sa.LargeBinary),  # pinned when it is asked for
)
# The sweep for what was paid in vain reads these, however many were consumed.
_paid = payments.c.state == "paid"
sa.Index("ix_payments_paid", payments.c.id, sqlite_where=_paid, postgresql_where=_paid)
# I4: nobody pays twice for one renewal, whatever the code believes.
_stands = payments.c.state.in_(("asked", "paid", "reserved"))
sa.Index(
    "uq_payments_certificate_stands",
    payments.c.certificate,
    unique=True,
    sqlite_where=_stands,
    postgresql_where=_stands,
)
