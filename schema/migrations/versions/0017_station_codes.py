"""Codes by which a station enrols itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from schema.tables.types import UtcDateTime

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "station_codes",
        sa.Column("code_hash", sa.LargeBinary, primary_key=True),
        sa.Column("branch", sa.String(16), nullable=False),
        sa.Column("made_by", sa.String(64), nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.Column("used_by", sa.String(16)),
    )


def downgrade() -> None:
    op.drop_table("station_codes")
