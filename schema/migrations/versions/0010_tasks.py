"""What people must do at another CA."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from schema.tables.types import BigKey, UtcDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", BigKey, autoincrement=True, nullable=False),
        sa.Column("certificate", BigKey, nullable=False),
        sa.Column("change", sa.String(16), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("renewal", sa.String(32)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("opened_at", UtcDateTime, nullable=False),
        sa.Column("ended_at", UtcDateTime),
        sa.Column("ended_by", sa.String(64)),
        sa.Column("why", sa.String(300)),
        sa.Column("version", sa.Integer, nullable=False),
        sa.CheckConstraint("state IN ('open', 'done', 'not needed')", name=op.f("ck_tasks_state")),
        sa.PrimaryKeyConstraint("id", name="pk_tasks"),
        sa.ForeignKeyConstraint(["certificate"], ["certificates.id"], name="fk_tasks_certificate"),
    )
    op.create_index("ix_tasks_certificate", "tasks", ["certificate"])
    is_open = sa.text("state = 'open'")
    op.create_index(
        "uq_tasks_certificate_open",
        "tasks",
        ["certificate", "change"],
        unique=True,
        sqlite_where=is_open,
        postgresql_where=is_open,
    )


def downgrade() -> None:
    op.drop_table("tasks")
