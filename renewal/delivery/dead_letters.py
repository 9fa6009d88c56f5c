"""Dead letters: listed, edited and replayed by staff."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from renewal.delivery.inbox import InboxState
from renewal.errors import XuqiError
from schema.codec import UnreadableEventError, decode, kind_of
from schema.reasons import OutcomeReason
from schema.states import DeadLetterState
from schema.tables.log import dead_letter_edits, dead_letters, inbox, parked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from renewal.db.unit_of_work import UnitOfWork
    from schema.events import Event

PAGE = 100
_open = dead_letters.c.state == "open"


class LetterNotOpenError(XuqiError):
    """There is no such dead letter, or it has been dealt with already."""


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


@dataclass(frozen=True, kw_only=True)
class LetterFilter:
    """Which open dead letters; an empty word takes them all."""

    consumer: str = ""
    kind: str = ""
    why: str = ""  #: a part of it


@dataclass(frozen=True, kw_only=True)
class LetterEdit:
    """What a person would send instead of a dead letter."""

    letter: int
    body: bytes
    why: str
    made_by: str
    made_at: datetime

    @property
    def sha256(self) -> str:
        """Names exactly what a second person has looked at."""
        return hashlib.sha256(self.body).hexdigest()


def _taken_by(chosen: LetterFilter) -> sa.ColumnElement[bool]:
    c = dead_letters.c
    wanted = [_open]
    if chosen.consumer:
        wanted.append(c.consumer == chosen.consumer)
    if chosen.kind:
        wanted.append(c.kind == chosen.kind)
    if chosen.why:
        wanted.append(c.why.contains(chosen.why, autoescape=True))
    return sa.and_(*wanted)


def list_open(
    look: UnitOfWork,
    *,
    after: int = 0,
    at_most: int = PAGE,
    consumer: str | None = None,
    chosen: LetterFilter | None = None,
) -> Sequence[DeadLetter]:
    """Return a page of open dead letters, oldest first."""
    chosen = chosen or LetterFilter(consumer=consumer or "")
    query = sa.select(dead_letters).where(_taken_by(chosen), dead_letters.c.id > after)
    page = query.order_by(dead_letters.c.id).limit(at_most)
    return [DeadLetter(**row) for row in look.connection.execute(page).mappings()]


def count(look: UnitOfWork, chosen: LetterFilter) -> int:
    """How many open ones a filter takes."""
    query = sa.select(sa.func.count()).select_from(dead_letters).where(_taken_by(chosen))
    return look.connection.scalar(query) or 0


def causes(look: UnitOfWork, at_most: int = 20) -> Sequence[tuple[str, str, int]]:
    """The commonest causes of those that are open: consumer, why, how many."""
    c = dead_letters.c
    number = sa.func.count()
    query = sa.select(c.consumer, c.why, number).where(_open).group_by(c.consumer, c.why)
    rows = look.connection.execute(query.order_by(number.desc(), c.consumer).limit(at_most))
    return [(consumer, why, many) for consumer, why, many in rows]


def find(look: UnitOfWork, number: int) -> DeadLetter | None:
    """One dead letter, in whatever state."""
    query = sa.select(dead_letters).where(dead_letters.c.id == number)
    row = look.connection.execute(query).mappings().first()
    return DeadLetter(**row) if row is not None else None


def edit_of(look: UnitOfWork, number: int) -> LetterEdit | None:
    """What waits for a second person, if anything does."""
    query = sa.select(dead_letter_edits).where(dead_letter_edits.c.letter == number)
    row = look.connection.execute(query).mappings().first()
    return LetterEdit(**row) if row is not None else None


def propose(work: UnitOfWork, number: int, body: bytes, *, who: str, why: str) -> None:
    """
    Let another person send it with this body; what was proposed before is replaced.

    Raises:
        XuqiError: it is not open, or the body is no event; the text says why.
    """
    _readable(number, body)
    letter = find(work, number)
    if letter is None or letter.state != DeadLetterState.OPEN:
        raise LetterNotOpenError(f"there is no open dead letter {number}")
    withdraw(work, number)
    row = {"letter": number, "body": body, "why": why, "made_by": who, "made_at": work.at}
    work.connection.execute(sa.insert(dead_letter_edits), row)


def withdraw(work: UnitOfWork, number: int) -> None:
    """What was proposed is sent or thrown away."""
    mine = dead_letter_edits.c.letter == number
    work.connection.execute(sa.delete(dead_letter_edits).where(mine))


def _readable(number: int, body: bytes) -> Event:
    try:
        return decode(body)
    except UnreadableEventError as error:
        raise XuqiError(f"dead letter {number}: {error}") from error


def count_open(look: UnitOfWork) -> dict[str, int]:
    """Count them, by consumer."""
    query = sa.select(dead_letters.c.consumer, sa.func.count().label("open")).where(_open)
    found = look.connection.execute(query.group_by(dead_letters.c.consumer))
    return {row.consumer: row.open for row in found}


def open_of(look: UnitOfWork, consumer: str, key: str) -> bool:
    """Whether this consumer has given up an event of this key, and nobody has dealt with it."""
    c = dead_letters.c
    query = sa.select(c.id).where(_open, c.consumer == consumer, c.key == key).limit(1)
    return look.connection.scalar(query) is not None


def close_of(work: UnitOfWork, consumer: str, key: str) -> int:
    """Close what was settled by hand: it is never sent again. Answers how many there were."""
    c = dead_letters.c
    mine = sa.and_(_open, c.consumer == consumer, c.key == key)
    closed = DeadLetterState.CLOSED.value
    return work.connection.execute(
        sa.update(dead_letters).where(mine).values(state=closed)
    ).rowcount


def replay(work: UnitOfWork, number: int) -> DeadLetter:
    """
    Let the consumer try it again, now or after the parked events of its key.

    A consumer that declares ASK first inquires what was done before.

    Raises:
        LetterNotOpenError: there is no such dead letter, or it was replayed already.
    """
    letter = _taken(work, number)
    _put_back(work, letter)
    return letter


def edit(work: UnitOfWork, number: int, body: bytes) -> DeadLetter:
    """
    Replay it with another body. To its consumer it stays the same event.

    Raises:
        XuqiError: as ``replay``, or the body is no event; the text says why.
    """
    event = _readable(number, body)
    letter = _taken(work, number)
    mended = replace(letter, key=event.key, kind=kind_of(event), body=body)
    _put_back(work, mended)
    return mended


def close(work: UnitOfWork, number: int) -> None:
    """
    Settled by hand: it is never sent again.

    Raises:
        LetterNotOpenError: there is no such open dead letter.
    """
    _taken(work, number, DeadLetterState.CLOSED)


def _taken(
    work: UnitOfWork, number: int, to: DeadLetterState = DeadLetterState.REPLAYED
) -> DeadLetter:
    mine = sa.and_(dead_letters.c.id == number, _open)
    row = work.connection.execute(sa.select(dead_letters).where(mine).with_for_update()).first()
    if row is None:
        raise LetterNotOpenError(f"there is no open dead letter {number}")
    work.connection.execute(sa.update(dead_letters).where(mine).values(state=to.value))
    return DeadLetter(**row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name


def _put_back(work: UnitOfWork, letter: DeadLetter) -> None:
    """Park it; the transaction that ends the last event of its key waits for this one."""
    mine = sa.and_(parked.c.consumer == letter.consumer, parked.c.key == letter.key)
    waiting = work.connection.scalars(
        sa.select(parked.c.id).where(mine).with_for_update(read=True)
    ).first()
    record = ("consumer", "identity", "topic", "key", "kind", "at", "body", "traceparent")
    row = {name: getattr(letter, name) for name in record}
    due = work.at if waiting is None else None
    why = OutcomeReason.SENT_AGAIN.why(letter=str(letter.id))
    again = {"due": due, "tries": 0, "why": why.stored()}
    work.connection.execute(sa.insert(parked), {**row, **again})
    work.connection.execute(
        sa.update(inbox)
        .where(inbox.c.consumer == letter.consumer, inbox.c.identity == letter.identity)
        .values(state=InboxState.UNSURE.value, at=work.at)
    )
