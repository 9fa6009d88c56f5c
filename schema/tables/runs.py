"""Bulk renewal runs, their items, and what is wrong with the rows of the files they came from."""

from __future__ import annotations

import sqlalchemy as sa

from schema.states import RunItemState, RunState
from schema.tables.types import BigKey, UtcDateTime, metadata

#: A run in one of these states keeps its certificates from every other run.
HOLDS_ITS_CERTIFICATES = (
    RunState.AWAITING_APPROVAL,
    RunState.APPROVED,
    RunState.RUNNING,
    RunState.PAUSED,
)
#: Items that the run has begun and whose end is not known yet.
BEGUN = (RunItemState.IN_HAND, RunItemState.HANDED_ON)


def _one_of(column: str, states: type[RunState | RunItemState]) -> str:
    return f"{column} IN (" + ", ".join(f"'{state.value}'" for state in states) + ")"


runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", BigKey, primary_key=True, autoincrement=True),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("source", sa.String(300), nullable=False),  # the file's own name, or the filter
    sa.Column("source_sha256", sa.LargeBinary),  # of the file; the same file is refused twice
    sa.Column("made_by", sa.String(64), nullable=False),
    sa.Column("made_at", UtcDateTime, nullable=False),
    sa.Column("refused_rows", sa.Integer, nullable=False),  # rows of the file that name nothing
    sa.Column("submitted_by", sa.String(64)),
    sa.Column("submitted_at", UtcDateTime),
    sa.Column("manifest_sha256", sa.LargeBinary),  # frozen when it is submitted
    sa.Column("approved_by", sa.String(64)),
    sa.Column("seconded_by", sa.String(64)),  # above the limits of one approver
    sa.Column("approved_at", UtcDateTime),
    sa.Column("started_at", UtcDateTime),
    sa.Column("advanced_at", UtcDateTime),  # up to when the throttle is used up
    sa.Column("ended_at", UtcDateTime),
    sa.Column("per_minute", sa.Integer, nullable=False),  # the throttle
    sa.Column("begins_at", sa.String(5), nullable=False),  # of each day, HH:MM in Taipei
    sa.Column("ends_at", sa.String(5), nullable=False),
    sa.Column("canary", sa.Integer, nullable=False),  # items that are judged before the rest
    sa.Column("canary_passed", sa.Boolean, nullable=False),
    sa.Column("why", sa.String(200)),  # why it is paused or has ended: a code
    sa.Column("why_parameters", sa.String(400)),
    sa.Column("version", sa.Integer, nullable=False),
    sa.CheckConstraint(_one_of("state", RunState), name="state"),
)
sa.Index("ix_runs_source_sha256", runs.c.source_sha256)

run_items = sa.Table(
    "run_items",
    metadata,
    sa.Column("run", sa.ForeignKey("runs.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),  # its row in the file, or its turn
    sa.Column("certificate", sa.ForeignKey("certificates.id"), nullable=False, index=True),
    sa.Column("branch", sa.String(16)),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("renewal", sa.String(32), index=True),
    sa.Column("why", sa.String(200)),  # a code
    sa.Column("why_parameters", sa.String(400)),
    sa.Column("moved_at", UtcDateTime, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.CheckConstraint(_one_of("state", RunItemState), name="state"),
)
sa.Index("ix_run_items_state", run_items.c.run, run_items.c.state, run_items.c.number)

#: What is wrong with rows that name no certificate: places and codes, never a value of the row.
run_findings = sa.Table(
    "run_findings",
    metadata,
    sa.Column("run", sa.ForeignKey("runs.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("column", sa.String(32), nullable=False),
    sa.Column("why", sa.String(200), nullable=False),
    sa.Column("why_parameters", sa.String(400)),
)
