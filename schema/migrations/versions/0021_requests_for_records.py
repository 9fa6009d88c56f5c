"""
The consumer ``records`` reads requests for renewals now, to tell stations of their jobs.

Each request of before has told its job itself. Those that have been read by now are noted, or they
would count as passed over; and those whose job is on record, or their station would have it twice.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        sa.text(
            "INSERT INTO inbox (consumer, identity, state, at) "
            "SELECT 'records', e.identity, 'settled', e.at FROM events e "
            "WHERE e.kind = 'renewal-requested.v1' AND NOT EXISTS ("
            "SELECT 1 FROM inbox i WHERE i.consumer = 'records' AND i.identity = e.identity) "
            "AND (e.seq <= COALESCE((SELECT MAX(o.position) FROM offsets o "
            "WHERE o.consumer IN ('records', 'relay')), 0) OR EXISTS ("
            "SELECT 1 FROM events t WHERE t.identity IN ("
            "'token-job-requested.v1:' || e.key, 'token-job-requested.v2:' || e.key)))"
        )
    )


def downgrade() -> None:
    """Nothing: who does not read the kind does not look for it."""
