"""Records the outcomes of a consumer's events in one transaction."""

from __future__ import annotations

import hashlib
import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from renewal.delivery.inbox import WHY_WIDTH, Inbox, InboxState
from renewal.eventlog.trace import trace_context
from renewal.outcome import Done, Reject, Retry
from schema.events import EventDeadLettered
from schema.reasons import OutcomeReason

if TYPE_CHECKING:
    from datetime import datetime

    from renewal.db.unit_of_work import UnitOfWork
    from renewal.delivery.inbox import InboxItem
    from schema.reasons import Reason

log = logging.getLogger(__name__)

MAX_TRIES = 12
#: About two days, with waits of an hour at most: a CA may be down for a night.
MAX_TRIES_IN_OUTAGE = 60
FIRST_WAIT = timedelta(seconds=5)
MAX_WAIT = timedelta(hours=1)


class Settlement:
    """Turns outcomes into rows, which exist only once the transaction commits."""

    def __init__(self, work: UnitOfWork, group: str) -> None:
        self.work = work
        self.inbox = Inbox(work, group)
        self.died: list[bool] = []  #: of each event, whether it has died; not yet, if it has begun
        self._group = group

    def begin(self, item: InboxItem) -> None:
        """Record the intent to carry it out."""
        self.died.append(False)
        self.inbox.note(item, _begun(item))

    def is_open(self, item: InboxItem) -> bool:
        """
        Whether it is still on record as begun: not if another member has concluded it, or if we
        have and the answer to that COMMIT was lost.
        """
        return self.inbox.state(item) is _begun(item)

    def settle(self, item: InboxItem, outcome: object, *, unsure: bool) -> None:
        """Record the end of an attempt; ``unsure``: the end of an earlier attempt is not known."""
        with trace_context(item.record):
            match outcome:
                case Retry():
                    self._retry(item, outcome, unsure=unsure or outcome.unsure)
                case Reject():
                    self._reject(item, outcome.why, tries=item.tries)
                case Done():
                    self._done(item, outcome)
                case _:
                    raise TypeError(f"{self._group} answered {type(outcome).__name__}: no outcome")

    def block_on_key(self, item: InboxItem, *, unsure: bool) -> None:
        self.inbox.park(item, due=None, tries=item.tries, why=OutcomeReason.BLOCKED_ON_KEY.why())
        self.inbox.note(item, InboxState.UNSURE if unsure else InboxState.PARKED)

    def _retry(self, item: InboxItem, retry: Retry, *, unsure: bool) -> None:
        tries = item.tries + retry.spends_a_try
        outages = item.outages + (retry.spends_a_try and retry.outage)
        # What an outage has used up is not held against it when the other side is back.
        own = tries - outages
        too_many = outages >= MAX_TRIES_IN_OUTAGE if retry.outage else own >= MAX_TRIES
        if retry.spends_a_try and too_many:
            self._reject(item, retry.why, tries=tries)
            return
        due = self.work.at + wait_before_retry(retry, item.record.identity, tries)
        self.inbox.park(item, due=due, tries=tries, outages=outages, why=retry.why)
        self.inbox.note(item, InboxState.UNSURE if unsure else InboxState.PARKED)
        self._say(logging.INFO, "parked", item, tries=tries, why=retry.why.stored())

    def _reject(self, item: InboxItem, why: Reason, *, tries: int) -> None:
        self.inbox.add_dead_letter(item, why, tries=tries)
        self.work.emit(dead_letter_event(item, self._group, why, self.work.at))
        self._end(item, InboxState.DEAD)
        self._say(logging.WARNING, "dead letter", item)

    def _done(self, item: InboxItem, done: Done) -> None:
        for event in done.emit:
            self.work.emit(event)
        self._end(item, InboxState.SETTLED)
        self._say(logging.DEBUG, "done", item, emitted=len(done.emit))

    def _say(self, level: int, what: str, item: InboxItem, **more: object) -> None:
        if log.isEnabledFor(level):
            about = {"consumer": self._group, "identity": item.record.identity}
            log.log(level, what, extra={**about, **more})

    def _end(self, item: InboxItem, state: InboxState) -> None:
        self.inbox.note(item, state)
        self.inbox.unpark(item)
        self.died.append(state is InboxState.DEAD)


def _begun(item: InboxItem) -> InboxState:
    return InboxState.BEGUN if item.parked is None else InboxState.UNSURE


def dead_letter_event(item: InboxItem, group: str, why: Reason, at: datetime) -> EventDeadLettered:
    """The event that another event was given up, for readers of the topic of dead letters."""
    record = item.record
    return EventDeadLettered(
        consumer=group,
        event=record.identity,
        origin=record.topic,
        why=why.stored(WHY_WIDTH),
        buried=at,
    )


def wait_before_retry(retry: Retry, identity: str, tries: int) -> timedelta:
    """
    Exponential back-off, with jitter derived from the event so that a simulation is repeatable.
    """
    if not retry.spends_a_try:
        return retry.after
    longest = min(retry.after * (1 << min(tries - 1, 10)), max(MAX_WAIT, retry.after))
    jitter = hashlib.sha256(f"{identity}:{tries}".encode()).digest()[0] / 255
    return longest * (1 + jitter) / 2
