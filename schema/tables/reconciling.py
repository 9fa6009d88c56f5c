"""Reconciliations with the systems outside: when, by whom, and each difference that was found."""

from __future__ import annotations

import sqlalchemy as sa

from schema.tables.types import BigKey, UtcDateTime, metadata

reconciliations = sa.Table(
    "reconciliations",
    metadata,
    sa.Column("id", BigKey, primary_key=True, autoincrement=True),
    sa.Column("who", sa.String(64), nullable=False),
    sa.Column("began_at", UtcDateTime, nullable=False),
    sa.Column("compared", sa.String(80), nullable=False),  # the sides that are done, spaces between
    sa.Column("found", sa.Integer, nullable=False),  # differences, also those that are not kept
    sa.Column("ended_at", UtcDateTime),  # none: under way, or cut off
)

differences = sa.Table(
    "differences",
    metadata,
    sa.Column("reconciliation", sa.ForeignKey("reconciliations.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("side", sa.String(16), nullable=False),  # bank | ca | carrier | token
    sa.Column("code", sa.String(48), nullable=False),  # ReconcileReason
    sa.Column("item", sa.String(120), nullable=False),  # which booking, certificate or message
)
