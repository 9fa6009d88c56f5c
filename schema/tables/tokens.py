"""The life of each token, and what a branch has yet to record after a renewal on one."""

from __future__ import annotations

import sqlalchemy as sa

from schema.states import RecordingState, TokenState
from schema.tables.types import BigKey, UtcDateTime, metadata

#: A token that came with its certificate has no row until a person does something with it.
tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("serial", sa.String(64), primary_key=True),  # in our spelling
    sa.Column("customer", sa.ForeignKey("customers.id"), index=True),  # whose it is or will be
    sa.Column("branch", sa.String(16)),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("moves", sa.Integer, nullable=False),  # how often its state has changed
    sa.Column("moved_at", UtcDateTime, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.CheckConstraint(TokenState.check(), name="state"),
)

#: What a token's hold has suspended; gone when the hold ends.
token_holds = sa.Table(
    "token_holds",
    metadata,
    sa.Column("token", sa.ForeignKey("tokens.serial"), primary_key=True),
    sa.Column("certificate", BigKey, sa.ForeignKey("certificates.id"), primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),  # of the change that was asked for
)

recordings = sa.Table(
    "recordings",
    metadata,
    sa.Column("renewal", sa.ForeignKey("renewals.id"), primary_key=True),
    sa.Column("certificate", sa.ForeignKey("certificates.id"), nullable=False, index=True),
    sa.Column("branch", sa.String(16)),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("opened_at", UtcDateTime, nullable=False),
    sa.Column("due_at", UtcDateTime, nullable=False),
    sa.Column("recorded_at", UtcDateTime),
    sa.Column("recorded_by", sa.String(64)),
    sa.Column("codes_sealed", sa.LargeBinary),  # user codes of related accounts
    sa.Column("version", sa.Integer, nullable=False),
    sa.CheckConstraint(RecordingState.check(), name="state"),
)
_open = recordings.c.state != RecordingState.RECORDED.value
sa.Index(
    "ix_recordings_open",
    recordings.c.due_at,
    sqlite_where=_open,
    postgresql_where=_open,
)
