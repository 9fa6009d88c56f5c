"""What the pages keep: sessions, log-ins, throttles, agreements, where a customer's keys are."""

from __future__ import annotations

import sqlalchemy as sa

from schema.tables.types import BigKey, UtcDateTime, metadata

#: The id itself is in the reader's cookie only; who reads this table can be nobody.
sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id_hash", sa.LargeBinary, primary_key=True),
    sa.Column("face", sa.String(16), nullable=False),  # centre | console | station
    sa.Column("subject", sa.String(64), nullable=False),  # who; empty before the log-in
    sa.Column("body", sa.Text, nullable=False),  # JSON, without personal data
    sa.Column("made_at", UtcDateTime, nullable=False),
    sa.Column("seen_at", UtcDateTime, nullable=False, index=True),
)

#: One for each user code of a customer; the role decides what it may do.
credentials = sa.Table(
    "credentials",
    metadata,
    sa.Column("customer", sa.ForeignKey("customers.id"), primary_key=True),
    sa.Column("user_code", sa.String(32), primary_key=True),
    sa.Column("password_hash", sa.String(200)),  # argon2id; none: the first is to be set
    sa.Column("customer_class", sa.SmallInteger, nullable=False),
    sa.Column("operator", sa.String(32), nullable=False),  # as enrolments.operator
    sa.Column("changed_at", UtcDateTime, nullable=False),
    sa.Column("release_hash", sa.String(200)),  # argon2id of the release password
)

throttles = sa.Table(
    "throttles",
    metadata,
    sa.Column("key", sa.LargeBinary, primary_key=True),  # keyed hash of what is counted
    sa.Column("began_at", UtcDateTime, nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
)

#: Which text of the terms was agreed to, when, and in which session.
agreements = sa.Table(
    "agreements",
    metadata,
    sa.Column("id", BigKey, primary_key=True, autoincrement=True),
    sa.Column("customer", sa.ForeignKey("customers.id"), nullable=False, index=True),
    sa.Column("product", sa.String(64), nullable=False),
    sa.Column("version", sa.String(32), nullable=False),
    sa.Column("locale", sa.String(8), nullable=False),
    sa.Column("text_sha256", sa.LargeBinary, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("session_hash", sa.LargeBinary, nullable=False),
    sa.Column("renewal", sa.String(32), index=True),
)

#: A key in a browser, and what opens the copy that the browser itself keeps sealed.
key_copies = sa.Table(
    "key_copies",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("customer", sa.ForeignKey("customers.id"), nullable=False, index=True),
    sa.Column("spki_sha256", sa.LargeBinary, nullable=False),
    sa.Column("device", sa.String(80), nullable=False),
    sa.Column("opener_sealed", sa.LargeBinary, nullable=False),
    sa.Column("stored_at", UtcDateTime, nullable=False),
    sa.Column("backed_up_at", UtcDateTime),
    sa.Column("removed_at", UtcDateTime),
)
