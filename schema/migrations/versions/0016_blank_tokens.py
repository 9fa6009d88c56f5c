"""A renewal may be written to a blank token, in the place of one that is lost or broken."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("renewals", sa.Column("blank_token", sa.String(64)))


def downgrade() -> None:
    op.drop_column("renewals", "blank_token")
