"""The life of tokens, and what branches record after a renewal."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from schema.tables.types import BigKey, UtcDateTime

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_LIFE = (
    "state IN ('in stock', 'assigned', 'active', 'on hold', 'lost', 'damaged', 'returned', "
    "'destroyed')"
)
_RECORDING = "state IN ('due', 'overdue', 'recorded')"


def upgrade() -> None:
    op.create_table(
        "tokens",
        sa.Column("serial", sa.String(64), primary_key=True),
        sa.Column("customer", BigKey, sa.ForeignKey("customers.id")),
        sa.Column("branch", sa.String(16)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("moves", sa.Integer, nullable=False),
        sa.Column("moved_at", UtcDateTime, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.CheckConstraint(_LIFE, name=op.f("ck_tokens_state")),
    )
    op.create_index("ix_tokens_customer", "tokens", ["customer"])
    op.create_table(
        "token_holds",
        sa.Column("token", sa.String(64), sa.ForeignKey("tokens.serial"), primary_key=True),
        sa.Column("certificate", BigKey, sa.ForeignKey("certificates.id"), primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
    )
    op.create_table(
        "recordings",
        sa.Column("renewal", sa.String(32), sa.ForeignKey("renewals.id"), primary_key=True),
        sa.Column("certificate", BigKey, sa.ForeignKey("certificates.id"), nullable=False),
        sa.Column("branch", sa.String(16)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("opened_at", UtcDateTime, nullable=False),
        sa.Column("due_at", UtcDateTime, nullable=False),
        sa.Column("recorded_at", UtcDateTime),
        sa.Column("recorded_by", sa.String(64)),
        sa.Column("codes_sealed", sa.LargeBinary),
        sa.Column("version", sa.Integer, nullable=False),
        sa.CheckConstraint(_RECORDING, name=op.f("ck_recordings_state")),
    )
    op.create_index("ix_recordings_certificate", "recordings", ["certificate"])
    is_open = sa.text("state != 'recorded'")
    op.create_index(
        "ix_recordings_open",
        "recordings",
        ["due_at"],
        sqlite_where=is_open,
        postgresql_where=is_open,
    )


def downgrade() -> None:
    op.drop_table("recordings")
    op.drop_table("token_holds")
    op.drop_table("tokens")
