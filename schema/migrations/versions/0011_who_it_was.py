"""Stations are known, the trail is chained with a key, a code has a secret of its own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from schema.tables.types import UtcDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

INDEX = "ix_certificates_spki"


def upgrade() -> None:
    op.create_table(
        "stations",
        sa.Column("number", sa.String(16), primary_key=True),
        sa.Column("branch", sa.String(16), nullable=False),
        sa.Column("public_key", sa.LargeBinary, nullable=False),
        sa.Column("enrolled_at", UtcDateTime, nullable=False),
        sa.Column("revoked_at", UtcDateTime),
    )
    op.create_index("ix_stations_branch", "stations", ["branch"])
    op.add_column("audit", sa.Column("os_user", sa.String(64)))
    op.add_column("audit", sa.Column("scheme", sa.SmallInteger))
    op.add_column("challenges", sa.Column("secret_sealed", sa.LargeBinary))
    op.create_index(INDEX, "certificates", ["spki_sha256"])


def downgrade() -> None:
    op.drop_index(INDEX, "certificates")
    op.drop_column("challenges", "secret_sealed")
    op.drop_column("audit", "scheme")
    op.drop_column("audit", "os_user")
    op.drop_table("stations")
