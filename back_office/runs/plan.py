"""Makes a bulk run from a file or a filter: what will be renewed, what will not, and why."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from back_office.imports.lines import open_text
from back_office.imports.report import ignore
from back_office.runs.errors import RunRefusedError
from back_office.runs.naming import Named, named
from back_office.runs.sheet import SheetRow, read_rows
from renewal.db.rows import Run
from renewal.lifecycle import runs as lifecycle
from renewal.lifecycle.circumstances import circumstances
from renewal.rules import eligibility
from renewal.store import audit
from renewal.store import runs as queries
from schema.policy import FeeHow, Storage
from schema.reasons import RefusalReason, RunReason
from schema.states import RunItemState, RunState
from schema.tables.runs import runs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from renewal.db.engine import Store
    from renewal.db.rows import Certificate
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.lifecycle.circumstances import Circumstances
    from renewal.rules.policies import Policies
    from schema.reasons import Reason

PAGE = 500
CANARY = 50
PER_MINUTE = 600
HOURS = "09:00-21:00"  #: texts and calls of a bank keep to these
_HOURS = re.compile(
    r"(?P<begins>{0}) ?- ?(?P<ends>{0})".format("(?:[01][0-9]|2[0-3]):[0-5][0-9]"), re.ASCII
)
_CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which certificates in force a run takes, where it is not made from a file."""

    product: str | None = None
    branch: str | None = None
    ends_from: datetime | None = None
    ends_until: datetime | None = None

    def __str__(self) -> str:
        parts = {
            "product": self.product,
            "branch": self.branch,
            "from": self.ends_from and self.ends_from.isoformat(),
            "until": self.ends_until and self.ends_until.isoformat(),
        }
        return ", ".join(f"{name} {value}" for name, value in parts.items() if value) or "all"


@dataclass(frozen=True, kw_only=True)
class RunTerms:
    """How a run goes on once it is approved."""

    name: str
    per_minute: int = PER_MINUTE
    hours: str = HOURS  #: of each day in which items are begun
    canary: int = CANARY


def hours_of(text: str) -> tuple[str, str]:
    """
    From when until when on each day, both as ``09:00``.

    Raises:
        RunRefusedError: these are no hours, or they end before they begin.
    """
    found = _HOURS.fullmatch(text.strip())
    if found is None or found["begins"] >= found["ends"]:
        raise RunRefusedError(RunReason.HOURS_UNREADABLE.why())
    return found["begins"], found["ends"]


@dataclass
class _Plan:
    """Grows page by page while the rows are read."""

    run: int
    branches: Collection[str]
    seen: dict[int, int] = field(default_factory=dict)  #: row number by certificate
    waiting: int = 0
    refused_rows: int = 0


@dataclass(frozen=True)
class Planner:
    """Makes runs. A plan begins nothing: only an approved run that is started does."""

    store: Store
    policies: Policies
    branches: Collection[str]

    def from_file(
        self,
        path: Path,
        terms: RunTerms,
        *,
        who: str,
        source: str = "",
        progress: Callable[[int], None] = ignore,
    ) -> Run:
        """
        Plan a run from a CSV or XLSX file. The same file is refused while its run exists.

        ``source``: what the file is called, where it was handed in under another name.

        Raises:
            ImportFileError: the file cannot be read at all.
            RunRefusedError: it is in a run already.
        """
        sha256 = _sha256_of(path)
        rows = read_rows(path)
        first = next(rows, None)  # a heading that cannot be read leaves nothing behind
        run = self._opened(source or path.name, sha256, terms, who)
        return self._planned(run, _from(first, rows), progress)

    def from_filter(
        self,
        chosen: Filter,
        terms: RunTerms,
        *,
        who: str,
        progress: Callable[[int], None] = ignore,
    ) -> Run:
        """Plan a run from the certificates in force that a filter takes."""
        run = self._opened(str(chosen), None, terms, who)
        return self._planned(run, self._filtered(chosen), progress)

    def _opened(self, source: str, sha256: bytes | None, terms: RunTerms, who: str) -> Run:
        begins_at, ends_at = hours_of(terms.hours)
        with self.store.transaction() as work:
            audit.write(work, who=who, did="plan run", object_=source[:100], why=terms.name)
            if sha256 is not None and (other := queries.with_source(work, sha256)):
                raise RunRefusedError(RunReason.SAME_FILE.why(run=other.id))
            return lifecycle.draft(
                work,
                Run(
                    id=work.new_ids(runs, 1)[0],
                    name=terms.name[:80],
                    state=RunState.DRAFT,
                    source=source[:300],
                    source_sha256=sha256,
                    made_by=who,
                    made_at=work.at,
                    refused_rows=0,
                    submitted_by=None,
                    submitted_at=None,
                    manifest_sha256=None,
                    approved_by=None,
                    seconded_by=None,
                    approved_at=None,
                    started_at=None,
                    advanced_at=None,
                    ended_at=None,
                    per_minute=terms.per_minute,
                    begins_at=begins_at,
                    ends_at=ends_at,
                    canary=terms.canary,
                    canary_passed=terms.canary == 0,
                    why=None,
                    why_parameters=None,
                    version=1,
                ),
            )

    def _filtered(self, chosen: Filter) -> Iterator[SheetRow]:
        after = number = 0
        while True:
            with self.store.snapshot() as look:
                found = queries.filtered(
                    look,
                    product=chosen.product,
                    branch=chosen.branch,
                    since=chosen.ends_from,
                    until=chosen.ends_until,
                    after=after,
                    at_most=PAGE,
                )
            for certificate in found:
                number += 1
                yield SheetRow(number=number, cells={"certificate": str(certificate)})
            if len(found) < PAGE:
                return
            after = found[-1]

    def _planned(self, run: Run, rows: Iterator[SheetRow], progress: Callable[[int], None]) -> Run:
        plan = _Plan(run=run.id, branches=self.branches)
        done = 0
        while page := list(islice(rows, PAGE)):
            with self.store.transaction() as work:
                self._take(work, plan, page)
            done += len(page)
            progress(done)
        with self.store.transaction() as work:
            return lifecycle.validated(work, work.runs.get(run.id), plan.refused_rows)

    def _take(self, work: UnitOfWork, plan: _Plan, page: Sequence[SheetRow]) -> None:
        results = [self._once(plan, one) for one in named(work, page)]
        wrong = [one for one in results if one.certificate is None]
        right = [one for one in results if one.certificate is not None]
        queries.add_findings(work, [_finding(plan.run, one) for one in wrong])
        plan.refused_rows += len(wrong)
        ids = [one.certificate for one in right if one.certificate is not None]
        elsewhere = queries.in_other_runs(work, ids, plan.run)
        kept_at = queries.branches_of(work, ids)
        known = preload(work, ids)
        items = []
        for one in right:
            certificate = work.certificates.get(one.certificate)
            branch = one.branch or kept_at.get(certificate.id)
            other = elsewhere.get(certificate.id)
            why = RunReason.IN_OTHER_RUN.why(run=other) if other else None
            why = why or self._why_not(work, certificate, branch, known)
            plan.waiting += why is None
            items.append(
                (plan.run, one.row.number, certificate.id, branch, *_standing(why), work.at, 1)
            )
        queries.add_items(work, items)

    def _once(self, plan: _Plan, one: Named) -> Named:
        """The second row of one certificate is wrong, and names the first."""
        if one.certificate is None:
            return one
        first = plan.seen.setdefault(one.certificate, one.row.number)
        if first == one.row.number:
            return one
        return Named(row=one.row, why=RunReason.ROW_REPEATED.why(first=first))

    def _why_not(
        self,
        work: UnitOfWork,
        certificate: Certificate,
        branch: str | None,
        known: Circumstances,
    ) -> Reason | None:
        """Why this certificate is left out of the run, or ``None``."""
        policy = self.policies.by_product.get(certificate.product)
        if policy is None:
            return RunReason.NO_POLICY.why(product=certificate.product)
        if policy.storage is not Storage.BROWSER:
            if branch is None:
                return RefusalReason.NO_BRANCH.why()
            if self.branches and branch not in self.branches:
                there = ", ".join(sorted(self.branches))[:100]
                return RefusalReason.UNKNOWN_BRANCH.why(branch=branch[:16], known=there)
        enrolment = work.enrolments.find((certificate.customer, certificate.product))
        prepaid = policy.fee.how is FeeHow.PREPAID
        paid = prepaid and certificate.id in known.payments
        refusal = eligibility.why_not(
            now=work.at,
            not_after=certificate.not_after,
            state=certificate.state,
            policy=policy,
            customer_class=str(enrolment.customer_class) if enrolment else None,
            operator=enrolment.operator if enrolment else None,
            slot_has_open_renewal=certificate.slot in known.open_slots,
            fee_paid=paid,
        )
        return refusal.why() if refusal is not None else None


def preload(work: UnitOfWork, certificates: Sequence[int]) -> Circumstances:
    """Read what eligibility asks of these certificates: one query for each table."""
    work.certificates.load(certificates)
    return circumstances(work, [work.certificates.get(one) for one in certificates])


def manifest_of(work: UnitOfWork, run: int) -> bytes:
    """SHA-256 over the items that will be begun: number, certificate and branch, in their order."""
    digest = hashlib.sha256()
    after = 0
    while True:
        page = queries.items(
            work, run, after=after, at_most=PAGE, states=(RunItemState.WAITING.value,)
        )
        for item in page:
            digest.update(f"{item.number},{item.certificate},{item.branch or ''}\n".encode())
        if len(page) < PAGE:
            return digest.digest()
        after = page[-1].number


def _from(first: SheetRow | None, rest: Iterator[SheetRow]) -> Iterator[SheetRow]:
    if first is not None:
        yield first
    yield from rest


def _finding(run: int, one: Named) -> tuple[object, ...]:
    assert one.why is not None  # noqa: S101 - a row without a certificate has a reason
    return (run, one.row.number, one.column, one.why.code.value, one.why.as_json())


def _standing(why: Reason | None) -> tuple[str, None, str | None, str | None]:
    """State, renewal, code and parameters of a new item."""
    if why is None:
        return RunItemState.WAITING.value, None, None, None
    return RunItemState.REFUSED.value, None, why.code.value, why.as_json()


def _sha256_of(path: Path) -> bytes:
    digest = hashlib.sha256()
    with open_text(path) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.digest()
