"""An address rests for a time, a lane stops, an alarm is kept, a notice knows what it tells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

from schema.tables.types import UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

#: Marks of an older program were for ever, and on one report: they end so long after the upgrade.
OLD_MARKS_LAST = timedelta(days=14)
CUSTOMERS = (
    ("mobile_bad_until", UtcDateTime),
    ("mail_bad_until", UtcDateTime),
    ("codes_bad", sa.String(64)),
    ("codes_bad_until", UtcDateTime),
    ("reference_sealed", sa.LargeBinary),
)
FAILED = "ix_messages_failed"


def upgrade() -> None:
    for name, of in CUSTOMERS:
        op.add_column("customers", sa.Column(name, of))
    _let_old_marks_end()
    op.add_column("messages", sa.Column("about", sa.LargeBinary))
    failed = sa.text("state = 'undelivered'")
    columns = ["address_hash", "ended_at"]
    op.create_index(FAILED, "messages", columns, sqlite_where=failed, postgresql_where=failed)
    op.create_table(
        "lanes",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("stopped_until", UtcDateTime),
        sa.Column("code", sa.String(32), nullable=False),
        sa.Column("in_a_row", sa.Integer, nullable=False),
        sa.Column("row_since", UtcDateTime),
        sa.Column("last_address", sa.LargeBinary),
    )
    op.create_table(
        "alarms",
        sa.Column("id", sa.String(96), primary_key=True),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("subject", sa.String(32), nullable=False),
        sa.Column("code", sa.String(32), nullable=False),
        sa.Column("times", sa.Integer, nullable=False),
        sa.Column("first_at", UtcDateTime, nullable=False),
        sa.Column("last_at", UtcDateTime, nullable=False),
        sa.Column("ended_at", UtcDateTime),
        sa.Column("ruling", sa.String(16)),
    )
    op.create_table(
        "clock_marks",
        sa.Column("name", sa.String(16), primary_key=True),
        sa.Column("seen_at", UtcDateTime, nullable=False),
        sa.Column("doubted_at", UtcDateTime),
    )


def _let_old_marks_end() -> None:
    until = datetime.now(UTC) + OLD_MARKS_LAST
    for channel in ("mobile", "mail"):
        bad, ends = f"{channel}_bad", f"{channel}_bad_until"
        table = sa.table("customers", sa.column(bad), sa.column(ends, UtcDateTime))
        op.execute(sa.update(table).where(table.c[bad].is_not(None)).values({ends: until}))


def downgrade() -> None:
    for table in ("clock_marks", "alarms", "lanes"):
        op.drop_table(table)
    op.drop_index(FAILED, "messages")
    op.drop_column("messages", "about")
    for name, _ in reversed(CUSTOMERS):
        op.drop_column("customers", name)
