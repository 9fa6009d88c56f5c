"""Run by Alembic for each of its commands, over the connection that ``schema.migrate`` gives it."""

from __future__ import annotations

from alembic import context

from schema.migrations import of_dialect
from schema.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_type=True,
    include_object=of_dialect(context.config.attributes["connection"].dialect.name),
    render_as_batch=True,  # SQLite cannot alter most of a table: it is copied
)
with context.begin_transaction():
    context.run_migrations()
