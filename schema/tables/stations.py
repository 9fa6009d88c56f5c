"""The stations whose statements the centre believes."""

from __future__ import annotations

import sqlalchemy as sa

from schema.tables.types import UtcDateTime, metadata

#: One row for each key; a station that gets another key has two, of which the first is revoked.
stations = sa.Table(
    "stations",
    metadata,
    sa.Column("number", sa.String(16), primary_key=True),  # of its public key's SHA-256
    sa.Column("branch", sa.String(16), nullable=False, index=True),
    sa.Column("public_key", sa.LargeBinary, nullable=False),  # Ed25519, raw
    sa.Column("enrolled_at", UtcDateTime, nullable=False),
    sa.Column("revoked_at", UtcDateTime),
)

#: Codes by which a station enrols itself, each once and within the hour.
station_codes = sa.Table(
    "station_codes",
    metadata,
    sa.Column("code_hash", sa.LargeBinary, primary_key=True),  # SHA-256; the code has 100 bits
    sa.Column("branch", sa.String(16), nullable=False),
    sa.Column("made_by", sa.String(64), nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False),
    sa.Column("used_by", sa.String(16)),  # the number of the station that it has enrolled
)
