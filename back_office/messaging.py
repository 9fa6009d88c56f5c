"""What staff do about messages: open an address again, end an alarm, let a lane go on, find
customers and read who is to be called; each with a reason on the audit trail.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from back_office.actions import must_say_why
from renewal import clock_guard
from renewal.contacts import Address, open_address
from renewal.db.retry import retry_on_conflict
from renewal.lanes import got_through
from renewal.store import alarms, audit

if TYPE_CHECKING:
    from renewal.db.engine import Store
    from renewal.store.alarms import Ruling


@dataclass(frozen=True)
class Messaging:
    store: Store

    @retry_on_conflict
    def open_contact(self, customer: int, address: Address, *, who: str, why: str) -> None:
        """
        Use an address again that carriers have proven bad; what they said before counts no more.

        Raises:
            XuqiError: there is no such customer, or no reason was given.
        """
        with self.store.transaction() as work:
            must_say_why(who, why)
            object_ = f"customer {customer} {address.value}"
            audit.write(work, who=who, did="open contact", object_=object_, why=why)
            open_address(work, work.customers.get(customer), address)

    @retry_on_conflict
    def end_alarm(self, alarm: str, ruling: Ruling | None, *, who: str, why: str) -> None:
        """
        Say that an alarm was looked at and, of a code that nobody knew, what it speaks of.

        Raises:
            XuqiError: there is no such alarm, or no reason was given.
        """
        with self.store.transaction() as work:
            must_say_why(who, why)
            audit.write(work, who=who, did="end alarm", object_=alarm, why=why)
            alarms.end(work, alarm, ruling)

    @retry_on_conflict
    def resume_lane(self, lane: str, *, who: str, why: str) -> None:
        """Let a lane go on that was stopped for us to mend."""
        with self.store.transaction() as work:
            must_say_why(who, why)
            audit.write(work, who=who, did="resume lane", object_=lane, why=why)
            got_through(work, lane)

    @retry_on_conflict
    def accept_clock(self, *, who: str, why: str) -> None:
        """Agree that the machine's clock is right, so that what waits for that goes on."""
        with self.store.transaction() as work:
            must_say_why(who, why)
            audit.write(work, who=who, did="accept clock", object_=f"{work.at:%Y-%m-%d}", why=why)
            clock_guard.accept(work)

    def read_people(self, what: str, *, who: str, why: str) -> None:
        """Put on record that somebody is about to read names, numbers or addresses in clear."""
        with self.store.transaction() as work:
            must_say_why(who, why)
            audit.write(work, who=who, did="read personal data", object_=what[:96], why=why)
