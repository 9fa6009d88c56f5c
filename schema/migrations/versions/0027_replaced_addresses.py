"""A customer's former telephone or mail address is kept until it has been told of the change."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from schema.tables.types import BigKey, UtcDateTime

revision = "0027"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "replaced_addresses",
        sa.Column("customer", BigKey, primary_key=True),
        sa.Column("contact_version", sa.Integer, primary_key=True),
        sa.Column("channel", sa.String(8), primary_key=True),
        sa.Column("address_sealed", sa.LargeBinary, nullable=False),
        sa.Column("address_hash", sa.LargeBinary, nullable=False),
        sa.Column("replaced_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(
            ["customer"], ["customers.id"], name="fk_replaced_addresses_customer"
        ),
    )
    op.create_index("ix_replaced_addresses_replaced_at", "replaced_addresses", ["replaced_at"])


def downgrade() -> None:
    op.drop_table("replaced_addresses")
