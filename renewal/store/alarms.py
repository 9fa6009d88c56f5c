"""What a person must look at: raised by the machine, counted while it lasts, ended by somebody."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from renewal.errors import XuqiError
from schema.tables.carriers import alarms as t

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from renewal.db.unit_of_work import UnitOfWork


LONGEST = 32  #: characters of a subject, and of a code


class Kind(StrEnum):
    LANE_STOPPED = "lane stopped"  #: our account, sender or setting; the messages are kept
    UNKNOWN_CODE = "unknown code"  #: a carrier's number that is not in our table
    CONTENT = "content"  #: a carrier or a filter has refused what we wrote
    ROUTE = "route"  #: a sender does not reach a number
    MANY_IN_A_ROW = "many in a row"  #: so many addresses at once are not bad: it is us
    GUESSES = "guesses"  #: so many wrong codes at once are no mistakes of typing
    EMERGENCY = "emergency account"  #: it was opened, or somebody with its password has failed to
    PUMPING = "pumping"  #: codes are asked for from one block of addresses, or to one range
    CLOCK = "clock"  #: the machine's clock has leapt, or was set back
    BOUNCES = "bounces unread"  #: the mailbox of bounces cannot be read: failures are not heard of


class Ruling(StrEnum):
    """What staff have found out about a code that nobody knew."""

    OURS = "ours"
    MESSAGE = "message"  #: it speaks of the one message, which then takes its next channel


class Alarm(NamedTuple):
    id: str
    kind: str
    subject: str  #: the lane, or ``clock``
    code: str
    times: int
    first_at: datetime
    last_at: datetime
    ended_at: datetime | None
    ruling: str | None


def raise_alarm(work: UnitOfWork, kind: Kind, subject: str, code: str = "") -> None:
    """
    Raise it, or count it again; one that was ended is open again. What is longer than its column is
    cut: an alarm never fails, nor what it is raised in.
    """
    subject, code = subject[:LONGEST], code[:LONGEST]
    key = f"{kind.value}:{subject}:{code}"[:96]
    work.serialize_on("alarms")
    since = sa.case((t.c.ended_at.is_not(None), work.at), else_=t.c.first_at)
    again = {"times": t.c.times + 1, "first_at": since, "last_at": work.at, "ended_at": None}
    if work.connection.execute(sa.update(t).where(t.c.id == key).values(**again)).rowcount:
        return
    row = {"id": key, "kind": kind.value, "subject": subject, "code": code, "times": 1}
    at = {"first_at": work.at, "last_at": work.at, "ended_at": None, "ruling": None}
    work.connection.execute(sa.insert(t).values(**row, **at))


def open_alarms(look: UnitOfWork) -> Sequence[Alarm]:
    """Those that nobody has ended yet, the newest first."""
    query = sa.select(t).where(t.c.ended_at.is_(None)).order_by(t.c.last_at.desc(), t.c.id)
    return [Alarm(*row) for row in look.connection.execute(query)]


def end(work: UnitOfWork, alarm: str, ruling: Ruling | None = None) -> None:
    """
    Say that somebody has looked, and what was found.

    Raises:
        XuqiError: there is no such alarm.
    """
    values: dict[str, object] = {"ended_at": work.at}
    if ruling is not None:
        values["ruling"] = ruling.value
    if not work.connection.execute(sa.update(t).where(t.c.id == alarm).values(**values)).rowcount:
        raise XuqiError(f"there is no alarm {alarm}: see `xuqi alarms list`")


def end_of(work: UnitOfWork, kind: Kind, subject: str) -> None:
    """End those of one kind and subject: what they told of is over."""
    mine = sa.and_(t.c.kind == kind.value, t.c.subject == subject, t.c.ended_at.is_(None))
    work.connection.execute(sa.update(t).where(mine).values(ended_at=work.at))


def about_one_message(look: UnitOfWork) -> frozenset[tuple[str, str]]:
    """The (lane, code) of which staff have said that they speak of one message."""
    query = sa.select(t.c.subject, t.c.code).where(t.c.ruling == Ruling.MESSAGE.value)
    return frozenset((row.subject, row.code) for row in look.connection.execute(query))
