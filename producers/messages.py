"""Facts about messages: what their carrier says of them, or that it says nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renewal.contacts import mark_contact
from renewal.gateways.sms.port import Report
from renewal.store import messages as queries
from schema.events import MessageFailed

if TYPE_CHECKING:
    from renewal.store.rows import Message
    from renewal.store.work import Work

#: The first end wins: reports come twice and in any order. "claimed": the report was faster
#: than the carrier's own answer. "uncertain": nothing was heard for long, and now it is.
OPEN = frozenset({"claimed", "handed over", "uncertain"})
UNREPORTED = "unreported"


def reported(
    work: Work, message_id: str, report: Report, code: str, *, carrier_id: str | None = None
) -> bool:
    """
    Put on record what became of a message, and say so if a reminder has not arrived.

    Answers whether this was the end of it: a later report changes nothing.
    """
    row = work.messages.find(message_id)
    if row is None or row.state not in OPEN or report is Report.UNDER_WAY:
        return False
    state = "delivered" if report is Report.DELIVERED else "undelivered"
    row = work.messages.change(
        row,
        state=state,
        ended_at=work.at,
        handed_at=row.handed_at or work.at,
        carrier_id=row.carrier_id or carrier_id,
        code=code[:16],
    )
    _decided(work, row, state, code)
    if report is Report.UNDELIVERED:
        mark_contact(work, row, code[:16])
        _failed(work, row, code[:16])
    return True


def unheard_of(work: Work, message_id: str) -> bool:
    """
    Say of a message that was handed over that nothing was heard of it for too long.
    """
    row = work.messages.find(message_id)
    if row is None or row.state != "handed over":
        return False
    row = work.messages.change(row, state="uncertain", code=UNREPORTED)
    _decided(work, row, "uncertain", UNREPORTED)
    _failed(work, row, UNREPORTED)
    return True


def _failed(work: Work, row: Message, code: str) -> None:
    # Only reminders have a next channel. A code has ended by now; of a notice nothing depends.
    if row.kind == "reminder":
        work.emit(MessageFailed(message=row.id, customer=row.customer, code=code))


def _decided(work: Work, row: Message, what: str, why: str) -> None:
    for told in queries.told_by(work, row.id):
        work.decide(
            told.certificate,
            "reminder",
            what,
            why,
            threshold=told.threshold,
            channel=row.channel,
            message=row.id,
        )
