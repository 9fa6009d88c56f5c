"""Triggers that refuse to change what was written down for good."""

from __future__ import annotations

import sqlalchemy as sa

from schema.tables.books import transfers
from schema.tables.log import audit
from schema.tables.renewals import decisions

APPEND_ONLY = (transfers, audit, decisions)


def triggers(table: str, dialect: str) -> list[str]:
    """
    The statements that make a table append-only.
    """
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            for verb in ("UPDATE", "DELETE")
        ]
    return [
        f"CREATE OR REPLACE FUNCTION {table}_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$",
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {table}_is_append_only()",
    ]


for _table in APPEND_ONLY:
    for _dialect in ("sqlite", "postgresql"):
        for _statement in triggers(_table.name, _dialect):
            sa.event.listen(
                _table,
                "after_create",
                sa.DDL(_statement.replace("%", "%%")).execute_if(dialect=_dialect),
            )
