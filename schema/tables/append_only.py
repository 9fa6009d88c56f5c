"""Triggers that keep a table append-only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from schema.tables.books import transfers
from schema.tables.log import audit
from schema.tables.renewals import decisions

if TYPE_CHECKING:
    from collections.abc import Sequence

APPEND_ONLY = (transfers, audit, decisions)

_SQLITE = (
    """
    CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table}
    BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END
    """,
    """
    CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table}
    BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END
    """,
)
_POSTGRESQL = (
    """
    CREATE FUNCTION {table}_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation',
    MESSAGE = '{table} is append-only'; END $$
    """,
    """
    CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION {table}_is_append_only()
    """,
)


def triggers(dialect: str, table: str) -> Sequence[str]:
    """The statements that make a table append-only."""
    statements = _SQLITE if dialect == "sqlite" else _POSTGRESQL
    return [" ".join(statement.format(table=table).split()) for statement in statements]


for _table in APPEND_ONLY:
    for _dialect in ("sqlite", "postgresql"):
        for _statement in triggers(_dialect, _table.name):
            _ddl = sa.DDL(_statement).execute_if(dialect=_dialect)  # type: ignore[no-untyped-call]
            sa.event.listen(_table, "after_create", _ddl)
# The function outlives its table: a database that is made anew would find it there.
for _table in APPEND_ONLY:
    _drop = f"DROP FUNCTION IF EXISTS {_table.name}_is_append_only"
    _ddl = sa.DDL(_drop).execute_if(dialect="postgresql")  # type: ignore[no-untyped-call]
    sa.event.listen(_table, "after_drop", _ddl)
