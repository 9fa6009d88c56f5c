"""What waits or was given up keeps the trace under which it came."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = ("parked", "dead_letters")


def upgrade() -> None:
    for table in TABLES:
        op.add_column(table, sa.Column("traceparent", sa.String(55)))


def downgrade() -> None:
    for table in TABLES:
        op.drop_column(table, "traceparent")
