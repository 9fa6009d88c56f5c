"""Two payments for one certificate, asked for at once, are one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NAME = "uq_payments_certificate_stands"


def upgrade() -> None:
    stands = sa.text("state IN ('asked', 'paid', 'reserved')")
    op.create_index(
        NAME,
        "payments",
        ["certificate"],
        unique=True,
        sqlite_where=stands,
        postgresql_where=stands,
    )


def downgrade() -> None:
    op.drop_index(NAME, "payments")
