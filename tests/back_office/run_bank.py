"""Makes a bank with many browser certificates, for tests of bulk runs."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from back_office.runs.actions import RunActions
from back_office.runs.limits import SHIPPED, ApprovalLimits
from back_office.runs.plan import Planner, RunTerms
from renewal.store import runs as queries
from scheduler import runs as job
from schema.codec import encode
from schema.events import RenewalConfirmed
from schema.tables.log import dead_letters as letters_table
from schema.taipei import day_of, end_of
from tests.scenario import rows
from tests.scenario.scenario import Scenario
from tests.scenario.stores import NOON

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from renewal.db.rows import Run
    from renewal.db.unit_of_work import UnitOfWork

MAKER, CHECKER, SECOND = "lin", "chen", "huang"
PRODUCT = "securities-browser"
END = end_of(day_of(NOON + timedelta(days=18)))


@dataclass
class RunBank(Scenario):
    """A scenario with bulk runs: their actions, their job and their consumer."""

    limits: ApprovalLimits = SHIPPED

    @property
    def planner(self) -> Planner:
        return Planner(self.store, self.policies, branches=("001", "002"))

    @property
    def runs(self) -> RunActions:
        return RunActions(self.store, self.policies, self.limits)

    def certificates(self, count: int, *, state: str = "active", first: int = 1) -> None:
        """Put customers ``first`` … with a certificate of the same number each."""
        with self.store.transaction() as work:
            for number in range(first, first + count):
                _put(work, number, state)

    def reach(self, number: int, **how: str | None) -> None:
        """Give the customer a telephone or a mail address: ``mobile``, ``mail``."""
        with self.store.transaction() as work:
            seal = work.cipher.seal
            changes = {
                f"{name}_sealed": seal(value, f"customers.{name}") if value else None
                for name, value in how.items()
            }
            work.customers.change(work.customers.get(number), **changes)

    def file(self, text: str, name: str = "list.csv") -> Path:
        path = self.home / name
        path.write_text(text, encoding="utf-8")
        return path

    def planned(self, *numbers: int, canary: int = 0, per_minute: int = 60_000) -> Run:
        path = self.file("\n".join(["certificate", *map(str, numbers)]), f"{numbers[0]}.csv")
        terms = RunTerms(name="autumn", per_minute=per_minute, canary=canary)
        return self.planner.from_file(path, terms, who=MAKER)

    def approved(self, *numbers: int, **terms: int) -> Run:
        run = self.planned(*numbers, **terms)
        self.runs.submit(run.id, who=MAKER, why="the autumn run")
        return self.runs.approve(run.id, who=CHECKER, note="looked at the preview")

    def started(self, *numbers: int, **terms: int) -> Run:
        run = self.approved(*numbers, **terms)
        return self.runs.start(run.id, who=MAKER, why="go")

    def advance(self, seconds: float = 60) -> None:
        """Let time pass, and the job and the consumer do what there is to do."""
        self.wait(seconds=seconds)
        job.advance(self.store, self.policies)
        self.drain()
        job.advance(self.store, self.policies)

    def states(self, run: int) -> dict[str, int]:
        with self.store.snapshot() as look:
            counts: dict[str, int] = {}
            for bucket in queries.buckets(look, run):
                counts[bucket.state] = counts.get(bucket.state, 0) + bucket.items
            return counts

    def run(self, run: int) -> Run:
        with self.store.snapshot() as look:
            return look.runs.get(run)


def _put(work: UnitOfWork, number: int, state: str) -> None:
    cipher = work.cipher
    unreachable = {"mobile": None, "mail": None}
    person = {"name": "王小明", "id_number": f"A{number:09d}", **unreachable}
    contract = {"customer_class": 2, "operator": "only user", "branch": None, "account": None}
    work.customers.put(rows.customer(cipher, number, **person))
    work.enrolments.put(rows.enrolment(cipher, number, PRODUCT, **contract))
    work.certificates.put(rows.certificate(number, PRODUCT, END, state=state))


def bury(bank: RunBank, renewal: str, why: str = "the bank's answer is odd") -> int:
    """A dead letter of billing."""
    event = RenewalConfirmed(renewal=renewal)
    with bank.store.transaction() as work:
        row = {
            "consumer": "billing", "identity": event.identity, "topic": "renewals",
            "key": event.key, "kind": "renewal-confirmed.v1", "at": work.at,
            "body": encode(event), "tries": 3, "why": why, "died_at": work.at, "state": "open",
        }  # fmt: skip
        number = work.connection.execute(letters_table.insert(), row).inserted_primary_key
        assert number is not None
        return int(number[0])


@contextmanager
def opened_bank(home: Path) -> Iterator[RunBank]:
    bank = RunBank.opened(home, at=NOON, groups=("runs",))
    try:
        yield bank
    finally:
        bank.close()
