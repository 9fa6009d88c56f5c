"""The tables as they were first released, in the words of each database."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    file = Path(__file__).with_name(f"0001_initial.{op.get_context().dialect.name}.sql")
    for statement in file.read_text(encoding="utf-8").strip().split("\n\n"):
        op.get_bind().exec_driver_sql(statement)
