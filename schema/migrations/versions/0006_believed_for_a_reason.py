"""A certificate knows whether its signature was verified when it came in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("certificates", sa.Column("verified", sa.Boolean))


def downgrade() -> None:
    op.drop_column("certificates", "verified")
