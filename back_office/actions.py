"""What staff can do to certificates, renewals and dead letters; each is in the audit trail."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from producers import certificates as producer
from producers.relay import LANES
from renewal import cycle
from renewal.errors import XuqiError
from renewal.store import audit, dead_letters, log
from renewal.store.again import decides_again

if TYPE_CHECKING:
    from renewal.cycle import Policies
    from renewal.rules.eligibility import Refusal
    from renewal.store.engine import Store
    from renewal.store.rows import Renewal
    from renewal.store.work import Work
    from schema.events import Change

LONGEST_NAME, LONGEST_REASON = 64, 300  #: characters, as the audit trail's columns hold


@dataclass(frozen=True)
class BackOffice:
    """
    Each action is one transaction together with its line in the audit trail, decided again when
    another was first.
    """

    store: Store
    policies: Policies

    @decides_again
    def ask_change(self, certificate: int, change: Change, *, who: str, why: str) -> None:
        """
        Ask for a certificate to be suspended, resumed or revoked.
        """
        with self.store.work() as work:
            _must_say_why(who, why)
            object_ = f"certificate {certificate}"
            audit.write(work, who=who, did=change.value, object_=object_, why=why)
            producer.change_requested(work, work.certificates.get(certificate), change)

    @decides_again
    def start(
        self, certificate: int, *, who: str, why: str, branch: str | None
    ) -> Renewal | Refusal:
        """
        Start a renewal in a customer's name.
        """
        with self.store.work() as work:
            _must_say_why(who, why)
            object_ = f"certificate {certificate}"
            audit.write(work, who=who, did="start renewal", object_=object_, why=why)
            row = work.certificates.get(certificate)
            return cycle.request(work, row, self.policies, branch=branch)

    @decides_again
    def begin_import(self, what: str, *, which: str, who: str) -> None:
        """
        Put on record that somebody takes a file in, before the first row of it.
        """
        with self.store.work() as work:
            _must_say_why(who, which)
            audit.write(work, who=who, did=f"import {what}", object_=which, why="taken in")

    @decides_again
    def end(self, renewal: str, *, who: str, why: str) -> None:
        """
        End a renewal for good: what is held is given back, what was issued is taken back.

        While the bank or the CA is being asked it cannot be ended, unless the machine has
        given up asking: see its dead letters, and find out first what they have done.

        Raises:
            NotNowError
        """
        with self.store.work() as work:
            _must_say_why(who, why)
            audit.write(work, who=who, did="end renewal", object_=f"renewal {renewal}", why=why)
            row = work.renewals.get(renewal)
            waits = row.state in cycle.WAITS_FOR_CUSTOMER
            if not waits and not _given_up(work, row.id):
                raise cycle.NotNowError(f"{row.id} is {row.state}, and is being worked on")
            for event in cycle.refuse(work, row, "ended by staff", self.policies):
                work.emit(event)

    @decides_again
    def edit_dead_letter(self, letter: int, body: bytes, *, who: str, why: str) -> None:
        with self.store.work() as work:
            _must_say_why(who, why)
            audit.write(
                work, who=who, did="edit and replay", object_=f"dead letter {letter}", why=why
            )
            dead_letters.edit(work, letter, body)

    @decides_again
    def replay_dead_letter(self, letter: int, *, who: str, why: str) -> None:
        with self.store.work() as work:
            _must_say_why(who, why)
            audit.write(work, who=who, did="replay", object_=f"dead letter {letter}", why=why)
            dead_letters.replay(work, letter)

    @decides_again
    def relay_again(self, first: int, *, who: str, why: str) -> None:
        """
        Let the relays tell again what stands in the outbox from that place on. What a consumer has
        dealt with is in its inbox, and is not done again.

        Raises:
            NotNowError: a relay is at work: it would move its place on.
        """
        with ExitStack() as kept, self.store.work() as work:
            _must_say_why(who, why)
            for lane in LANES:
                place = self.store.claim(lane)
                kept.callback(place.close)
                if not place.held():
                    raise cycle.NotNowError(f"{lane} is at work: stop every relay first")
            audit.write(work, who=who, did="relay again", object_=f"from event {first}", why=why)
            log.set_back(work, LANES, first - 1)


def _given_up(work: Work, renewal: str) -> bool:
    """
    Whether an event of the renewal lies among the dead letters of the bank's or the CA's consumer.
    """
    for consumer in ("billing", "issuance"):
        after = 0
        while letters := dead_letters.list_open(work, after=after, consumer=consumer):
            if any(letter.key == renewal for letter in letters):
                return True
            after = letters[-1].id
    return False


def _must_say_why(who: str, why: str) -> None:
    if not who.strip() or len(who) > LONGEST_NAME:
        raise XuqiError(f"say who: a name of at most {LONGEST_NAME} characters")
    if not why.strip() or len(why) > LONGEST_REASON:
        raise XuqiError(
            f"say why, in at most {LONGEST_REASON} characters: the audit trail keeps the reason"
        )
