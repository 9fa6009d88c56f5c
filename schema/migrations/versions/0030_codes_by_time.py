"""The codes of the last day are counted by an index."""

from __future__ import annotations

from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_challenges_issued_at", "challenges", ["issued_at"])


def downgrade() -> None:
    op.drop_index("ix_challenges_issued_at", "challenges")
