"""How the ways out stand: lanes that are stopped, what people must look at, and the last moment
at which the clock was trusted.
"""

from __future__ import annotations

import sqlalchemy as sa

from schema.tables.types import UtcDateTime, metadata

#: One row for each way out (``sms codes``, ``sms reminders``, ``mail``) that has ever failed.
lanes = sa.Table(
    "lanes",
    metadata,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("stopped_until", UtcDateTime),  # none: it is not stopped
    sa.Column("code", sa.String(32), nullable=False),  # of the last failure
    sa.Column("in_a_row", sa.Integer, nullable=False),  # failures without a success between them
    sa.Column("row_since", UtcDateTime),
    sa.Column("last_address", sa.LargeBinary),  # the hash of the last one that failed
)

#: What a person must look at; the same thing again is counted on its row.
alarms = sa.Table(
    "alarms",
    metadata,
    sa.Column("id", sa.String(96), primary_key=True),  # kind:subject:code
    sa.Column("kind", sa.String(24), nullable=False),
    sa.Column("subject", sa.String(32), nullable=False),
    sa.Column("code", sa.String(32), nullable=False),
    sa.Column("times", sa.Integer, nullable=False),
    sa.Column("first_at", UtcDateTime, nullable=False),
    sa.Column("last_at", UtcDateTime, nullable=False),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("ruling", sa.String(16)),  # what staff have said that it means
)

#: One row: how far the clock had come when it was last believed.
clock_marks = sa.Table(
    "clock_marks",
    metadata,
    sa.Column("name", sa.String(16), primary_key=True),  # the whole installation's, or a job's
    sa.Column("seen_at", UtcDateTime, nullable=False),
    sa.Column("doubted_at", UtcDateTime),  # what it said when it was not; none: it is believed
)
