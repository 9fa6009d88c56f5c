"""A message knows which address it went to, a payment from which account, a try whose fault."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INDEX = "ix_payments_paid"


def upgrade() -> None:
    op.add_column("messages", sa.Column("address_hash", sa.LargeBinary))
    op.add_column("payments", sa.Column("account_sealed", sa.LargeBinary))
    op.add_column("parked", sa.Column("outages", sa.Integer))
    paid = sa.text("state = 'paid'")
    op.create_index(INDEX, "payments", ["id"], sqlite_where=paid, postgresql_where=paid)


def downgrade() -> None:
    op.drop_index(INDEX, "payments")
    op.drop_column("messages", "address_hash")
    op.drop_column("payments", "account_sealed")
    op.drop_column("parked", "outages")
