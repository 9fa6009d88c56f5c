"""Says how far a one-time code has come on its way to its customer."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from renewal.gateways.sms.port import Lane
from renewal.lanes import lane_of
from renewal.store.lanes import all_lanes
from renewal.store.messages import own_moment
from schema.policy import Channel

if TYPE_CHECKING:
    from renewal.db.rows import Challenge, Message
    from renewal.db.unit_of_work import UnitOfWork


class CodeProgress(StrEnum):
    ON_ITS_WAY = "on its way"
    HANDED_OVER = "handed over"  #: a carrier has it
    ARRIVED = "arrived"
    NOT_SENT = "not sent"  #: no carrier took it, and it is not counted: ask again, or at a branch


_OF_STATE = {
    "delivered": CodeProgress.ARRIVED,
    "handed over": CodeProgress.HANDED_OVER,
    "uncertain": CodeProgress.HANDED_OVER,
    "claimed": CodeProgress.ON_ITS_WAY,
}
_BEST_FIRST = (CodeProgress.ARRIVED, CodeProgress.HANDED_OVER, CodeProgress.ON_ITS_WAY)


def progress_of(look: UnitOfWork, challenge: Challenge) -> CodeProgress:
    """The best that became of it on any channel."""
    messages = [look.messages.find(f"{challenge.id}-1-{channel.value}") for channel in Channel]
    known = [message for message in messages if message is not None]
    if not known:
        over = challenge.expires_at <= own_moment(look, challenge)
        return CodeProgress.NOT_SENT if over else CodeProgress.ON_ITS_WAY
    found = {_progress(look, message) for message in known}
    return next((one for one in _BEST_FIRST if one in found), CodeProgress.NOT_SENT)


def _progress(look: UnitOfWork, message: Message) -> CodeProgress:
    if message.state == "claimed" and is_stopped(look, Channel(message.channel)):
        return CodeProgress.NOT_SENT
    return _OF_STATE.get(message.state, CodeProgress.NOT_SENT)


def is_stopped(look: UnitOfWork, channel: Channel) -> bool:
    """Whether no code goes by this channel now: its carrier has spoken of our own account."""
    lane = all_lanes(look).get(lane_of(channel, Lane.CODES))
    return lane is not None and lane.stopped_until is not None and lane.stopped_until > look.at
