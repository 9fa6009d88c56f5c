"""Changes the state of messages, from the claim to what their carrier reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schema.reasons import DeliveryReason, Reason
from schema.states import MESSAGE, MessageState

if TYPE_CHECKING:
    from renewal.db.rows import Message
    from renewal.db.unit_of_work import UnitOfWork

MAX_CODE = 16  #: as the column is wide


def carrier_said(code: str) -> Reason | None:
    """What a message's code says for its story: the carrier's own number, or a word of ours."""
    if code in {DeliveryReason.UNREPORTED, DeliveryReason.AWAY}:
        return DeliveryReason(code).why()
    return DeliveryReason.CARRIER_CODE.why(code=code) if code else None


def claim(work: UnitOfWork, message: Message) -> Message:
    """
    Put on record that this message is about to be handed over.

    Raises:
        ValueError: its state is not the first one.
    """
    if message.state != MessageState.CLAIMED:
        raise ValueError(f"a message begins as {MessageState.CLAIMED.value!r}")
    return work.messages.put(message)


def hand_over(work: UnitOfWork, message: Message, carrier_id: str | None) -> Message:
    """A carrier has taken it."""
    to = MessageState.HANDED_OVER
    return _change(work, message, to, handed_at=work.at, carrier_id=carrier_id)


def refuse(work: UnitOfWork, message: Message, code: str) -> Message:
    """No carrier has taken it, or not in time."""
    return _change(work, message, MessageState.UNDELIVERED, ended_at=work.at, code=code[:MAX_CODE])


def withdraw(work: UnitOfWork, message: Message, why: str) -> Message:
    """It had become pointless before it was handed over."""
    return _change(work, message, MessageState.SUPPRESSED, ended_at=work.at, code=why[:MAX_CODE])


def report(
    work: UnitOfWork, message: Message, to: MessageState, code: str, carrier_id: str | None
) -> Message:
    """Its carrier says what has become of it, perhaps before it has said that it took it."""
    return _change(
        work,
        message,
        to,
        ended_at=work.at,
        handed_at=message.handed_at or work.at,
        carrier_id=message.carrier_id or carrier_id,
        code=code[:MAX_CODE],
    )


def lose_track(work: UnitOfWork, message: Message, code: str) -> Message:
    """Its carrier has said nothing for too long."""
    return _change(work, message, MessageState.UNCERTAIN, code=code[:MAX_CODE])


def _change(work: UnitOfWork, message: Message, state: MessageState, **changes: object) -> Message:
    MESSAGE.check(message.state, state)
    return work.messages.change(message, state=state.value, **changes)
