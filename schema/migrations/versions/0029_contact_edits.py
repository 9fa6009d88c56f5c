"""A customer's new mobile number waits for a second person before codes go to it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from schema.tables.types import BigKey, UtcDateTime

revision = "0029"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "contact_edits",
        sa.Column("customer", BigKey, nullable=False),
        sa.Column("mobile_sealed", sa.LargeBinary, nullable=False),
        sa.Column("seen", sa.String(32), nullable=False),
        sa.Column("made_by", sa.String(64), nullable=False),
        sa.Column("why", sa.String(300), nullable=False),
        sa.Column("made_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("customer", name="pk_contact_edits"),
        sa.ForeignKeyConstraint(["customer"], ["customers.id"], name="fk_contact_edits_customer"),
    )


def downgrade() -> None:
    op.drop_table("contact_edits")
