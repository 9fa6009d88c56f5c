"""Members of staff save the filters of the console's lists under names of their own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "saved_views",
        sa.Column("owner", sa.String(64), primary_key=True),
        sa.Column("page", sa.String(24), primary_key=True),
        sa.Column("name", sa.String(60), primary_key=True),
        sa.Column("query", sa.String(400), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("saved_views")
