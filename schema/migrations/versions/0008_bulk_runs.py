"""Bulk renewal runs, their items, and what is wrong with the rows of their files."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from schema.tables.types import BigKey, UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

RUN_STATES = (
    "draft", "validated", "awaiting approval", "approved", "running", "paused", "complete",
    "cancelled", "failed",
)  # fmt: skip
ITEM_STATES = (
    "waiting", "in hand", "handed on", "renewed", "refused", "declined", "failed", "skipped",
    "cancelled",
)  # fmt: skip


def _one_of(states: tuple[str, ...]) -> str:
    return "state IN (" + ", ".join(f"'{state}'" for state in states) + ")"


def upgrade() -> None:
    op.create_table(
        "runs",
        sa.Column("id", BigKey, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("source", sa.String(300), nullable=False),
        sa.Column("source_sha256", sa.LargeBinary),
        sa.Column("made_by", sa.String(64), nullable=False),
        sa.Column("made_at", UtcDateTime, nullable=False),
        sa.Column("refused_rows", sa.Integer, nullable=False),
        sa.Column("submitted_by", sa.String(64)),
        sa.Column("submitted_at", UtcDateTime),
        sa.Column("manifest_sha256", sa.LargeBinary),
        sa.Column("approved_by", sa.String(64)),
        sa.Column("seconded_by", sa.String(64)),
        sa.Column("approved_at", UtcDateTime),
        sa.Column("started_at", UtcDateTime),
        sa.Column("advanced_at", UtcDateTime),
        sa.Column("ended_at", UtcDateTime),
        sa.Column("per_minute", sa.Integer, nullable=False),
        sa.Column("begins_at", sa.String(5), nullable=False),
        sa.Column("ends_at", sa.String(5), nullable=False),
        sa.Column("canary", sa.Integer, nullable=False),
        sa.Column("canary_passed", sa.Boolean, nullable=False),
        sa.Column("why", sa.String(200)),
        sa.Column("why_parameters", sa.String(400)),
        sa.Column("version", sa.Integer, nullable=False),
        sa.CheckConstraint(_one_of(RUN_STATES), name="state"),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )
    op.create_index("ix_runs_source_sha256", "runs", ["source_sha256"])
    op.create_table(
        "run_items",
        sa.Column("run", BigKey, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("certificate", BigKey, nullable=False),
        sa.Column("branch", sa.String(16)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("renewal", sa.String(32)),
        sa.Column("why", sa.String(200)),
        sa.Column("why_parameters", sa.String(400)),
        sa.Column("moved_at", UtcDateTime, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.CheckConstraint(_one_of(ITEM_STATES), name="state"),
        sa.PrimaryKeyConstraint("run", "number", name="pk_run_items"),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_run_items_run"),
        sa.ForeignKeyConstraint(
            ["certificate"], ["certificates.id"], name="fk_run_items_certificate"
        ),
    )
    op.create_index("ix_run_items_certificate", "run_items", ["certificate"])
    op.create_index("ix_run_items_renewal", "run_items", ["renewal"])
    op.create_index("ix_run_items_state", "run_items", ["run", "state", "number"])
    op.create_table(
        "run_findings",
        sa.Column("run", BigKey, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("column", sa.String(32), nullable=False),
        sa.Column("why", sa.String(200), nullable=False),
        sa.Column("why_parameters", sa.String(400)),
        sa.PrimaryKeyConstraint("run", "number", name="pk_run_findings"),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_run_findings_run"),
    )


def downgrade() -> None:
    op.drop_table("run_findings")
    op.drop_table("run_items")
    op.drop_table("runs")
