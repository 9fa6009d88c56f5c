"""What one transaction makes of a consumer's events."""

from __future__ import annotations

import hashlib
import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from renewal.eventlog.trace import About
from renewal.outcome import Done, Reject, Retry
from renewal.store.inbox import Inbox, State, told
from schema.events import EventBuried

if TYPE_CHECKING:
    from datetime import datetime

    from renewal.store.inbox import Item
    from renewal.store.work import Work

log = logging.getLogger(__name__)

MOST_TRIES = 12
#: About two days, with waits of an hour at most: a CA may be down for a night.
MOST_TRIES_IN_OUTAGE = 60
FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(hours=1)
BEHIND = "behind an earlier one"


class Settlement:
    """
    Turns outcomes into rows. Nothing of it stands before the transaction does.
    """

    def __init__(self, work: Work, group: str) -> None:
        self.work = work
        self.inbox = Inbox(work, group)
        self.seen: list[bool] = []  #: of each event, whether it has died; not yet, if it has begun
        self._group = group

    def begin(self, item: Item) -> None:
        """
        Put on record that it is about to be carried out.
        """
        self.seen.append(False)
        self.inbox.note(item, _begun(item))

    def is_open(self, item: Item) -> bool:
        """
        Whether it is on record as begun, and no more: not so when somebody else has concluded it,
        or we have, and the answer to that COMMIT was lost.
        """
        return self.inbox.state(item) is _begun(item)

    def settle(self, item: Item, outcome: object, *, unsure: bool) -> None:
        """
        Put the end of an attempt on record; ``unsure``: an earlier one's end is not known.
        """
        with About(item.record):
            match outcome:
                case Retry():
                    self._retry(item, outcome, unsure=unsure or outcome.unsure)
                case Reject():
                    self._reject(item, outcome.why, tries=item.tries)
                case Done():
                    self._done(item, outcome)
                case _:
                    raise TypeError(f"{self._group} answered {type(outcome).__name__}: no outcome")

    def park_behind(self, item: Item, *, unsure: bool) -> None:
        self.inbox.park(item, due=None, tries=item.tries, why=BEHIND)
        self.inbox.note(item, State.UNSURE if unsure else State.PARKED)

    def _retry(self, item: Item, retry: Retry, *, unsure: bool) -> None:
        tries = item.tries + retry.spends_a_try
        outages = item.outages + (retry.spends_a_try and retry.outage)
        # What an outage has used up is not held against it when the other side is back.
        own = tries - outages
        too_many = outages >= MOST_TRIES_IN_OUTAGE if retry.outage else own >= MOST_TRIES
        if retry.spends_a_try and too_many:
            self._reject(item, f"{tries} tries: {retry.why}", tries=tries)
            return
        due = self.work.at + wait(retry, item.record.identity, tries)
        self.inbox.park(item, due=due, tries=tries, outages=outages, why=retry.why)
        self.inbox.note(item, State.UNSURE if unsure else State.PARKED)
        self._say(logging.INFO, "parked", item, tries=tries, why=retry.why)

    def _reject(self, item: Item, why: str, *, tries: int) -> None:
        self.inbox.bury(item, why, tries=tries)
        self.work.emit(buried(item, self._group, why, self.work.at))
        self._end(item, State.DEAD)
        self._say(logging.WARNING, "dead letter", item)

    def _done(self, item: Item, done: Done) -> None:
        for event in done.emit:
            self.work.emit(event)
        self._end(item, State.SETTLED)
        self._say(logging.DEBUG, "done", item, emitted=len(done.emit))

    def _say(self, level: int, what: str, item: Item, **more: object) -> None:
        if log.isEnabledFor(level):
            about = {"consumer": self._group, "identity": item.record.identity}
            log.log(level, what, extra={**about, **more})

    def _end(self, item: Item, state: State) -> None:
        self.inbox.note(item, state)
        self.inbox.unpark(item)
        self.seen.append(state is State.DEAD)


def _begun(item: Item) -> State:
    return State.BEGUN if item.parked is None else State.UNSURE


def buried(item: Item, group: str, why: str, at: datetime) -> EventBuried:
    """
    Tell that an event was given up; who wants to know watches the topic of dead letters.
    """
    record = item.record
    return EventBuried(
        consumer=group, event=record.identity, origin=record.topic, why=told(why), buried=at
    )


def wait(retry: Retry, identity: str, tries: int) -> timedelta:
    """
    Exponential, with jitter from the event itself, so that a story can be told again.
    """
    if not retry.spends_a_try:
        return retry.after
    longest = min(retry.after * (1 << min(tries - 1, 10)), max(LONGEST_WAIT, retry.after))
    jitter = hashlib.sha256(f"{identity}:{tries}".encode()).digest()[0] / 255
    return longest * (1 + jitter) / 2
