"""Messages are listed by their time, and counted of a day, by an index."""

from __future__ import annotations

from alembic import op

revision = "0023"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_messages_owed_at", "messages", ["owed_at", "id"])


def downgrade() -> None:
    op.drop_index("ix_messages_owed_at", "messages")
