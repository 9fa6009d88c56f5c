"""A renewal may be an application: the certificate that it names has no row before its issue."""

from __future__ import annotations

import re

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

NAME = "fk_renewals_certificate"
_REFERS = f"CONSTRAINT {NAME} FOREIGN KEY(certificate) REFERENCES certificates (id)"
_NEXT = "CONSTRAINT fk_renewals_customer"
_READ = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'renewals'"
_WRITE = "UPDATE sqlite_master SET sql = :sql WHERE type = 'table' AND name = 'renewals'"


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        _rewrite(rf"{re.escape(_REFERS)},\s*", "")
    else:
        op.drop_constraint(NAME, "renewals", type_="foreignkey")


def downgrade() -> None:
    """What was applied for and not issued is not kept: a program of before could not read it."""
    op.execute(
        sa.text("DELETE FROM renewals WHERE certificate NOT IN (SELECT id FROM certificates)")
    )
    if op.get_context().dialect.name == "sqlite":
        _rewrite(_NEXT, f"{_REFERS}, {_NEXT}")
    else:
        op.create_foreign_key(NAME, "renewals", "certificates", ["certificate"], ["id"])


def _rewrite(old: str, new: str) -> None:
    """
    Change the table's text, and none of its rows: so SQLite lets a constraint go without a copy
    (https://sqlite.org/lang_altertable.html, "Making Other Kinds Of Table Schema Changes").
    """
    connection = op.get_bind()
    text = connection.scalar(sa.text(_READ))
    changed, count = re.subn(old, new, str(text))
    if count != 1:
        raise RuntimeError(f"the table of renewals is not as version {down_revision} has it")
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    connection.execute(sa.text(_WRITE), {"sql": changed})
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = OFF")
