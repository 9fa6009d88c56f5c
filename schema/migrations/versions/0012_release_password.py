"""A user code may have a release password."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("credentials", sa.Column("release_hash", sa.String(200)))


def downgrade() -> None:
    op.drop_column("credentials", "release_hash")
