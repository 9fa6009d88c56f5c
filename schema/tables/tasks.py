"""Tasks that people must do, most of them at another CA."""

from __future__ import annotations

import sqlalchemy as sa

from schema.states import TaskState
from schema.tables.types import BigKey, UtcDateTime, metadata

tasks = sa.Table(
    "tasks",
    metadata,
    sa.Column("id", BigKey, primary_key=True, autoincrement=True),
    sa.Column("certificate", sa.ForeignKey("certificates.id"), nullable=False, index=True),
    sa.Column("change", sa.String(16), nullable=False),  # suspend | resume | revoke | find number
    sa.Column("number", sa.Integer, nullable=False),  # of the change that was asked for, or 0
    sa.Column("renewal", sa.String(32)),  # whose old certificate it is
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("opened_at", UtcDateTime, nullable=False),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("ended_by", sa.String(64)),
    sa.Column("why", sa.String(300)),  # as the person has said
    sa.Column("version", sa.Integer, nullable=False),
    sa.CheckConstraint(TaskState.check(), name="state"),
)
_open = tasks.c.state == TaskState.OPEN.value
# One change of one certificate is asked of people once, however often the event comes.
sa.Index(
    "uq_tasks_certificate_open",
    tasks.c.certificate,
    tasks.c.change,
    unique=True,
    sqlite_where=_open,
    postgresql_where=_open,
)
