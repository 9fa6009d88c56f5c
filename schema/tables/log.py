"""The event log, the inbox and dead letters, and the audit trail."""

from __future__ import annotations

import sqlalchemy as sa

from schema.tables.types import BigKey, UtcDateTime, metadata

#: The outbox. On the embedded log it *is* the log.
events = sa.Table(
    "events",
    metadata,
    sa.Column("seq", BigKey, primary_key=True, autoincrement=True),
    sa.Column("topic", sa.String(48), nullable=False),
    sa.Column("key", sa.String(48), nullable=False),
    sa.Column("kind", sa.String(48), nullable=False),
    sa.Column("identity", sa.String(160), nullable=False, unique=True),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Index("ix_events_topic_seq", "topic", "seq"),
    sqlite_autoincrement=True,  # a pruned table must never use a number again
)

offsets = sa.Table(
    "offsets",
    metadata,
    sa.Column("consumer", sa.String(48), primary_key=True),
    sa.Column("position", BigKey, nullable=False),  # the last one read and settled
)

#: What a consumer has begun and settled; removed only after the log has forgotten the event.
inbox = sa.Table(
    "inbox",
    metadata,
    sa.Column("consumer", sa.String(48), primary_key=True),
    sa.Column("identity", sa.String(160), primary_key=True),
    sa.Column("state", sa.String(8), nullable=False),  # begun | settled | dead
    sa.Column("at", UtcDateTime, nullable=False),
    sqlite_with_rowid=False,
)

#: Events that wait: for their time, or behind an earlier one of the same key.
parked = sa.Table(
    "parked",
    metadata,
    sa.Column("id", BigKey, primary_key=True, autoincrement=True),
    sa.Column("consumer", sa.String(48), nullable=False),
    sa.Column("identity", sa.String(160), nullable=False),
    sa.Column("topic", sa.String(48), nullable=False),
    sa.Column("key", sa.String(48), nullable=False),
    sa.Column("kind", sa.String(48), nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("due", UtcDateTime),  # none: waits behind an earlier one
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("why", sa.String(300), nullable=False),
    sa.Column("traceparent", sa.String(55)),  # as it came with the event
    sa.Column("outages", sa.Integer),  # so many of its tries found the other side away
    sa.UniqueConstraint("consumer", "identity"),
    sa.Index("ix_parked_consumer_key", "consumer", "key", "id"),
    sa.Index("ix_parked_consumer_due", "consumer", "due", "id"),
    sqlite_autoincrement=True,
)

dead_letters = sa.Table(
    "dead_letters",
    metadata,
    sa.Column("id", BigKey, primary_key=True, autoincrement=True),
    sa.Column("consumer", sa.String(48), nullable=False),
    sa.Column("identity", sa.String(160), nullable=False),
    sa.Column("topic", sa.String(48), nullable=False),
    sa.Column("key", sa.String(48), nullable=False),
    sa.Column("kind", sa.String(48), nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("why", sa.String(300), nullable=False),
    sa.Column("died_at", UtcDateTime, nullable=False),
    sa.Column("state", sa.String(8), nullable=False),  # open | replayed
    sa.Column("traceparent", sa.String(55)),
    sqlite_autoincrement=True,
)

_open = dead_letters.c.state == "open"
sa.Index(
    "ix_dead_letters_open",
    dead_letters.c.consumer,
    dead_letters.c.id,
    sqlite_where=_open,
    postgresql_where=_open,
)
sa.Index(
    "ix_dead_letters_causes",
    dead_letters.c.consumer,
    dead_letters.c.why,
    dead_letters.c.kind,
    sqlite_where=_open,
    postgresql_where=_open,
)

#: What a person would send instead; another person sends it, or throws it away.
dead_letter_edits = sa.Table(
    "dead_letter_edits",
    metadata,
    sa.Column("letter", sa.ForeignKey("dead_letters.id"), primary_key=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("why", sa.String(300), nullable=False),
    sa.Column("made_by", sa.String(64), nullable=False),
    sa.Column("made_at", UtcDateTime, nullable=False),
)

#: Append-only and hash-chained: each row's hash covers the one before it.
audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", BigKey, primary_key=True, autoincrement=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("who", sa.String(64), nullable=False),
    sa.Column("did", sa.String(48), nullable=False),
    sa.Column("object", sa.String(96), nullable=False),
    sa.Column("why", sa.String(300), nullable=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
    sa.Column("os_user", sa.String(64)),  # whose process it was, whatever name was stated
    sa.Column("scheme", sa.SmallInteger),  # 2: chained with a key; none: of before
)

sa.Index("ix_audit_who", audit.c.who, audit.c.id)
sa.Index("ix_audit_did", audit.c.did, audit.c.id)

#: Which of two schedulers leads; the term only ever grows and fences a paused one off.
leases = sa.Table(
    "leases",
    metadata,
    sa.Column("name", sa.String(48), primary_key=True),
    sa.Column("holder", sa.String(64), nullable=False),
    sa.Column("until", UtcDateTime, nullable=False),
    sa.Column("term", BigKey, nullable=False),
)
