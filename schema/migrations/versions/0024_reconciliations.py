"""What a reconciliation found is kept, for the console to show it with its next steps."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from schema.tables.types import BigKey, UtcDateTime

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reconciliations",
        sa.Column("id", BigKey, autoincrement=True, nullable=False),
        sa.Column("who", sa.String(64), nullable=False),
        sa.Column("began_at", UtcDateTime, nullable=False),
        sa.Column("compared", sa.String(80), nullable=False),
        sa.Column("found", sa.Integer, nullable=False),
        sa.Column("ended_at", UtcDateTime),
        sa.PrimaryKeyConstraint("id", name="pk_reconciliations"),
    )
    op.create_table(
        "differences",
        sa.Column("reconciliation", BigKey, nullable=False),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("side", sa.String(16), nullable=False),
        sa.Column("code", sa.String(48), nullable=False),
        sa.Column("item", sa.String(120), nullable=False),
        sa.PrimaryKeyConstraint("reconciliation", "number", name="pk_differences"),
        sa.ForeignKeyConstraint(
            ["reconciliation"], ["reconciliations.id"], name="fk_differences_reconciliation"
        ),
    )


def downgrade() -> None:
    op.drop_table("differences")
    op.drop_table("reconciliations")
