"""A one-time code remembers how long its machine had run, which no setting of the clock changes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("challenges", sa.Column("issued_boot", sa.String(64)))
    op.add_column("challenges", sa.Column("issued_ran", sa.BigInteger))


def downgrade() -> None:
    op.drop_column("challenges", "issued_ran")
    op.drop_column("challenges", "issued_boot")
