"""The console has an account for emergencies, with the secret of an authenticator app."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "emergency_accounts",
        sa.Column("name", sa.String(64), sa.ForeignKey("staff.name"), primary_key=True),
        sa.Column("totp_sealed", sa.LargeBinary, nullable=False),
        sa.Column("totp_step", sa.BigInteger),
    )


def downgrade() -> None:
    op.drop_table("emergency_accounts")
