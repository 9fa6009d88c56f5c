"""Stops a lane when its carrier reports a fault of ours, probes it, and raises an alarm."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003 - a dataclass's field
from typing import TYPE_CHECKING

from renewal.contacts import open_again
from renewal.gateways.mail.bounce import BounceVerdict, verdict_of
from renewal.gateways.sms.errors import ErrorClass, action_for, known
from renewal.gateways.sms.port import GatewayMisconfiguredError, Lane
from renewal.rules.lanes import MANY_IN_A_ROW, UNKNOWN_IN_A_ROW, tried_every
from renewal.store import alarms, lanes
from renewal.store import messages as message_queries
from renewal.store.alarms import Kind
from renewal.store.messages import FORMER_ADDRESS
from schema.policy import Channel

if TYPE_CHECKING:
    from renewal.db.rows import Message
    from renewal.db.unit_of_work import UnitOfWork


#: Behind a lane's name: what is reported of its messages afterwards.
REPORTS = " reports"


def lane_of(channel: Channel | str, lane: Lane) -> str:
    return "mail" if channel == Channel.MAIL else f"sms {lane.value}"


class LaneStoppedError(GatewayMisconfiguredError):
    """The lane is stopped: nothing was handed over."""


@dataclass
class Gate:
    """
    Keeps a stopped lane shut for every sender of this process, with the database's
    word for it as of the last batch. Safe to use from the threads that hand over.
    """

    _stopped: dict[str, tuple[datetime, str]] = field(default_factory=dict)
    _failing: frozenset[str] = frozenset()  # lanes whose row of failures has begun
    _ruled: frozenset[tuple[str, str]] = frozenset()
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def look(self, work: UnitOfWork) -> None:
        """
        See how the lanes stand, before a batch. One whose time is over is tried by this batch; the
        first refusal of us shuts it again for the rest.
        """
        found = lanes.all_lanes(work)
        with self._lock:
            self._stopped = {
                lane.name: (lane.stopped_until, lane.code)
                for lane in found.values()
                if lane.stopped_until is not None and lane.stopped_until > work.at
            }
            self._failing = frozenset(
                lane.name for lane in found.values() if lane.in_a_row or lane.stopped_until
            )
        self._ruled = alarms.about_one_message(work) if found else frozenset()

    def check(self, lane: str, now: datetime) -> None:
        """
        Raises:
            LaneStoppedError
        """
        with self._lock:
            until, code = self._stopped.get(lane, (now, ""))
        if until > now:
            why = f"the lane {lane} is stopped ({code}): see `xuqi alarms list`"
            raise LaneStoppedError(why, code=code, retry_after=until - now)

    def is_of_one_message(self, lane: str, code: str) -> bool:
        """Whether staff have said that this code speaks of the one message."""
        return (lane, code) in self._ruled

    def shut(self, lane: str, code: str, now: datetime) -> None:
        """
        Let nothing follow by this lane: its carrier has spoken of us. A code that nobody knows may
        speak of the one message, until it has come more than once.
        """
        if is_ours(lane, code):
            with self._lock:
                self._stopped[lane] = (now + tried_every(lane), code)

    def taken(self, work: UnitOfWork, lane: str) -> None:
        """Something got through: the lane is good."""
        if lane in self._failing:
            self._failing -= {lane}
            got_through(work, lane)


def got_through(work: UnitOfWork, lane: str) -> None:
    found = lanes.all_lanes(work).get(lane)
    if found is None or not (found.in_a_row or found.stopped_until):
        return
    lanes.go_on(work, lane)
    if found.stopped_until is not None:
        for kind in (Kind.LANE_STOPPED, Kind.MANY_IN_A_ROW):
            alarms.end_of(work, kind, lane)


def is_ours(lane: str, code: str) -> bool:
    return lane == "mail" or known(code) is not None


def refused_us(work: UnitOfWork, lane: str, code: str, address: bytes | None) -> None:
    """Put on record that a carrier has spoken of us: people are told, and the lane stops."""
    found = lanes.one_more(work, lane, code, address)
    kind = Kind.LANE_STOPPED if is_ours(lane, code) else Kind.UNKNOWN_CODE
    alarms.raise_alarm(work, kind, lane, code)
    if is_ours(lane, code) or found.in_a_row >= UNKNOWN_IN_A_ROW:
        _stop(work, lane, code)


def _stop(work: UnitOfWork, lane: str, code: str) -> None:
    lanes.stop(work, lane, work.at + tried_every(lane), code)


def failed(work: UnitOfWork, lane: str, code: str, address: bytes | None) -> None:
    """Count that one message was refused, and tell people of what only they can mend."""
    if known(code) is ErrorClass.STALE:
        return  # it came too late: that is no word on anybody
    kind = _kind_of(lane, code)
    if kind is not None:
        alarms.raise_alarm(work, kind, lane, code)
    refused(work, lane, code, address)


def _kind_of(lane: str, code: str) -> Kind | None:
    if lane.startswith("mail"):
        return Kind.CONTENT if verdict_of(code) is BounceVerdict.CONTENT else None
    if known(code) is None:
        return Kind.UNKNOWN_CODE
    if known(code) is ErrorClass.ROUTE:
        return Kind.ROUTE
    return Kind.CONTENT if action_for(code).alarm else None


def reported(work: UnitOfWork, message: Message, code: str | None) -> None:
    """
    Take note of what a carrier has said afterwards of a message: that it has arrived, or why not.

    Reports are counted apart: a carrier that takes every message may deliver none.
    """
    lane = _lane_of_message(message)
    if code is None:
        got_through(work, f"{lane}{REPORTS}")
    elif message.channel == Channel.SMS and known(code) is ErrorClass.CONFIGURATION:
        refused_us(work, lane, code, message.address_hash)
    elif message.kind != FORMER_ADDRESS:  # that it is dead is no wonder, and no word on the lane
        failed(work, f"{lane}{REPORTS}", code, message.address_hash)


def _lane_of_message(message: Message) -> str:
    hurried = message.kind not in {
        "reminder",
        "not-collected",
        "invited",
        FORMER_ADDRESS,
    }
    return lane_of(message.channel, Lane.CODES if hurried else Lane.REMINDERS)


def refused(work: UnitOfWork, lane: str, code: str, address: bytes | None) -> None:
    """
    Count a refusal of one message. Many in a row, of different addresses, are no word on any of
    them: the lane stops, and what they have closed is open again.
    """
    found = lanes.one_more(work, lane, code, address)
    if found.in_a_row < MANY_IN_A_ROW:
        return
    way = lane.removesuffix(REPORTS)
    alarms.raise_alarm(work, Kind.MANY_IN_A_ROW, way, code)
    _stop(work, way, code)
    since = found.row_since or work.at
    channel = Channel.MAIL if lane.startswith("mail") else Channel.SMS
    for address_hash in message_queries.failed_since(work, channel.value, code, since):
        open_again(work, channel, address_hash, codes=way == f"sms {Lane.CODES.value}")
