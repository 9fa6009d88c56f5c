"""Members of staff who log in to the console, for a bank without a log-in of its own for them."""

from __future__ import annotations

import sqlalchemy as sa

from schema.tables.types import UtcDateTime, metadata

staff = sa.Table(
    "staff",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("roles", sa.String(120), nullable=False),  # comma between them
    sa.Column("password_hash", sa.String(200), nullable=False),  # argon2id
    sa.Column("must_change", sa.Boolean, nullable=False),  # the first password was given by another
    sa.Column("made_at", UtcDateTime, nullable=False),
    sa.Column("ended_at", UtcDateTime),
)

#: Filters of the console's lists, as a member of staff has named them.
saved_views = sa.Table(
    "saved_views",
    metadata,
    sa.Column("owner", sa.String(64), primary_key=True),
    sa.Column("page", sa.String(24), primary_key=True),
    sa.Column("name", sa.String(60), primary_key=True),
    sa.Column("query", sa.String(400), nullable=False),  # without personal data
)

#: The account that opens when the bank's log-in does not: a password and a code of an app. Whoever
#: is in here is such an account; one at a time is open.
emergency_accounts = sa.Table(
    "emergency_accounts",
    metadata,
    sa.Column("name", sa.ForeignKey("staff.name"), primary_key=True),
    sa.Column("totp_sealed", sa.LargeBinary, nullable=False),
    sa.Column("totp_step", sa.BigInteger),  # the last that was used; none: not confirmed yet
)
