"""What consumers have given up: staff see it, mend it and send it again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from renewal.errors import XuqiError
from renewal.store.inbox import State
from schema.codec import UnreadableEventError, decode, kind_of
from schema.tables.log import dead_letters, inbox, parked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from renewal.store.work import Work

PAGE = 100
_open = dead_letters.c.state == "open"


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    id: int
    consumer: str
    identity: str
    topic: str
    key: str
    kind: str
    at: datetime
    body: bytes
    tries: int
    why: str
    died_at: datetime
    state: str  #: open | replayed
    traceparent: str | None


def list_open(
    look: Work, *, after: int = 0, at_most: int = PAGE, consumer: str | None = None
) -> Sequence[DeadLetter]:
    """
    Return a page of those that nobody has sent again, oldest first.
    """
    query = sa.select(dead_letters).where(_open, dead_letters.c.id > after)
    if consumer is not None:
        query = query.where(dead_letters.c.consumer == consumer)
    page = query.order_by(dead_letters.c.id).limit(at_most)
    return [DeadLetter(**row) for row in look.connection.execute(page).mappings()]


def count_open(look: Work) -> dict[str, int]:
    """
    Count them, by consumer.
    """
    query = sa.select(dead_letters.c.consumer, sa.func.count().label("open")).where(_open)
    found = look.connection.execute(query.group_by(dead_letters.c.consumer))
    return {row.consumer: row.open for row in found}


def replay(work: Work, number: int) -> DeadLetter:
    """
    Let the consumer try it again, now or behind what waits of its key.

    A consumer that asks if interrupted finds out first what was done before it died.

    Raises:
        XuqiError: there is no such dead letter, or it was sent again already.
    """
    letter = _taken(work, number)
    _put_back(work, letter)
    return letter


def edit(work: Work, number: int, body: bytes) -> DeadLetter:
    """
    Send it again with another body. To its consumer it stays the same event.

    Raises:
        XuqiError: as ``replay``, or the body is no event; the text says why.
    """
    try:
        event = decode(body)
    except UnreadableEventError as error:
        raise XuqiError(f"dead letter {number}: {error}") from error
    letter = _taken(work, number)
    mended = replace(letter, key=event.key, kind=kind_of(event), body=body)
    _put_back(work, mended)
    return mended


def _taken(work: Work, number: int) -> DeadLetter:
    mine = sa.and_(dead_letters.c.id == number, _open)
    row = work.connection.execute(sa.select(dead_letters).where(mine).with_for_update()).first()
    if row is None:
        raise XuqiError(f"there is no open dead letter {number}")
    work.connection.execute(sa.update(dead_letters).where(mine).values(state="replayed"))
    return DeadLetter(**row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name


def _put_back(work: Work, letter: DeadLetter) -> None:
    """
    Park it; whoever ends the last event of its key meanwhile waits for this transaction.
    """
    mine = sa.and_(parked.c.consumer == letter.consumer, parked.c.key == letter.key)
    waiting = work.connection.scalars(
        sa.select(parked.c.id).where(mine).with_for_update(read=True)
    ).first()
    record = ("consumer", "identity", "topic", "key", "kind", "at", "body", "traceparent")
    row = {name: getattr(letter, name) for name in record}
    due = work.at if waiting is None else None
    again = {"due": due, "tries": 0, "why": f"dead letter {letter.id}, sent again"}
    work.connection.execute(sa.insert(parked), {**row, **again})
    work.connection.execute(
        sa.update(inbox)
        .where(inbox.c.consumer == letter.consumer, inbox.c.identity == letter.identity)
        .values(state=State.UNSURE.value, at=work.at)
    )
