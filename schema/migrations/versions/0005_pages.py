"""The pages keep sessions, log-ins, throttles, agreements and where keys are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from schema.tables.types import BigKey, UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _sessions_and_log_ins()
    op.create_table(
        "agreements",
        sa.Column("id", BigKey, autoincrement=True, nullable=False),
        sa.Column("customer", BigKey, nullable=False),
        sa.Column("product", sa.String(64), nullable=False),
        sa.Column("version", sa.String(32), nullable=False),
        sa.Column("locale", sa.String(8), nullable=False),
        sa.Column("text_sha256", sa.LargeBinary, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("session_hash", sa.LargeBinary, nullable=False),
        sa.Column("renewal", sa.String(32)),
        sa.PrimaryKeyConstraint("id", name="pk_agreements"),
        sa.ForeignKeyConstraint(["customer"], ["customers.id"], name="fk_agreements_customer"),
    )
    op.create_index("ix_agreements_customer", "agreements", ["customer"])
    op.create_index("ix_agreements_renewal", "agreements", ["renewal"])
    op.create_table(
        "key_copies",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("customer", BigKey, nullable=False),
        sa.Column("spki_sha256", sa.LargeBinary, nullable=False),
        sa.Column("device", sa.String(80), nullable=False),
        sa.Column("opener_sealed", sa.LargeBinary, nullable=False),
        sa.Column("stored_at", UtcDateTime, nullable=False),
        sa.Column("backed_up_at", UtcDateTime),
        sa.Column("removed_at", UtcDateTime),
        sa.PrimaryKeyConstraint("id", name="pk_key_copies"),
        sa.ForeignKeyConstraint(["customer"], ["customers.id"], name="fk_key_copies_customer"),
    )
    op.create_index("ix_key_copies_customer", "key_copies", ["customer"])


def _sessions_and_log_ins() -> None:
    op.create_table(
        "sessions",
        sa.Column("id_hash", sa.LargeBinary, nullable=False),
        sa.Column("face", sa.String(16), nullable=False),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("made_at", UtcDateTime, nullable=False),
        sa.Column("seen_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id_hash", name="pk_sessions"),
    )
    op.create_index("ix_sessions_seen_at", "sessions", ["seen_at"])
    op.create_table(
        "credentials",
        sa.Column("customer", BigKey, nullable=False),
        sa.Column("user_code", sa.String(32), nullable=False),
        sa.Column("password_hash", sa.String(200)),
        sa.Column("customer_class", sa.SmallInteger, nullable=False),
        sa.Column("operator", sa.String(32), nullable=False),
        sa.Column("changed_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("customer", "user_code", name="pk_credentials"),
        sa.ForeignKeyConstraint(["customer"], ["customers.id"], name="fk_credentials_customer"),
    )
    op.create_table(
        "throttles",
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("began_at", UtcDateTime, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_throttles"),
    )


def downgrade() -> None:
    for table in ("key_copies", "agreements", "throttles", "credentials", "sessions"):
        op.drop_table(table)
