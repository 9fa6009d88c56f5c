"""What the console's lists filter by has an index; those of a state on PostgreSQL alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_OPEN = sa.text("state = 'open'")
_RESTS = sa.text("mobile_bad IS NOT NULL OR mail_bad IS NOT NULL OR codes_bad IS NOT NULL")
_EVERYWHERE = (
    ("ix_dead_letters_open", "dead_letters", ["consumer", "id"], _OPEN),
    ("ix_dead_letters_causes", "dead_letters", ["consumer", "why", "kind"], _OPEN),
    ("ix_audit_who", "audit", ["who", "id"], None),
    ("ix_audit_did", "audit", ["did", "id"], None),
    ("ix_customers_resting", "customers", ["id"], _RESTS),
)
_ON_POSTGRESQL = (
    ("ix_messages_state_postgresql", "messages", ["state", "owed_at", "id"], None),
    ("ix_certificates_state_postgresql", "certificates", ["state", "id"], None),
)


def upgrade() -> None:
    for name, table, columns, where in _there():
        op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    for name, table, _, _ in _there():
        op.drop_index(name, table)


def _there() -> tuple[tuple[str, str, list[str], sa.TextClause | None], ...]:
    on_postgresql = op.get_bind().dialect.name == "postgresql"
    return _EVERYWHERE + (_ON_POSTGRESQL if on_postgresql else ())
