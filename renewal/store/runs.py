"""Queries about bulk runs and their items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from renewal.db.bulk import bulk_insert
from renewal.db.identity_map import pages
from renewal.db.key_lookup import key_in
from renewal.rules.serials import BETWEEN
from schema.states import RunItemState, RunState
from schema.tables.people import certificates, customers
from schema.tables.runs import BEGUN, HOLDS_ITS_CERTIFICATES, run_findings, run_items, runs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from datetime import datetime

    from renewal.db.rows import Run, RunItem
    from renewal.db.unit_of_work import UnitOfWork

_ITEM = tuple(column.name for column in run_items.columns)
_FINDING = tuple(column.name for column in run_findings.columns)
_add_items = bulk_insert(run_items, _ITEM)
_add_findings = bulk_insert(run_findings, _FINDING)


class Bucket(NamedTuple):
    """How many items of a run are in one state for one reason."""

    state: str
    why: str | None
    items: int


def add_items(work: UnitOfWork, rows: Sequence[tuple[object, ...]]) -> None:
    """Insert items; each row has the columns of ``run_items`` in their order."""
    if rows:
        _add_items.execute(work.connection, rows)


def add_findings(work: UnitOfWork, rows: Sequence[tuple[object, ...]]) -> None:
    """Insert findings; each row has the columns of ``run_findings`` in their order."""
    if rows:
        _add_findings.execute(work.connection, rows)


def findings(work: UnitOfWork, run: int) -> Iterator[sa.RowMapping]:
    """What is wrong with the rows of a run's file, in their order."""
    query = sa.select(run_findings).where(run_findings.c.run == run)
    return iter(work.connection.execute(query.order_by(run_findings.c.number)).mappings())


def with_source(work: UnitOfWork, sha256: bytes) -> Run | None:
    """The run that was made from this very file and was not cancelled, if there is one."""
    query = (
        sa.select(runs)
        .where(runs.c.source_sha256 == sha256)
        .where(runs.c.state.not_in((RunState.CANCELLED, RunState.FAILED)))
        .order_by(runs.c.id)
        .limit(1)
    )
    return next(iter(work.runs.read(query)), None)


def listed(
    work: UnitOfWork, *, state: str | None = None, before: int | None = None, at_most: int = 100
) -> Sequence[Run]:
    """Runs, the newest first, a page before ``before``."""
    query = sa.select(runs).order_by(runs.c.id.desc()).limit(at_most)
    if state is not None:
        query = query.where(runs.c.state == state)
    if before is not None:
        query = query.where(runs.c.id < before)
    return work.runs.read(query)


def running(work: UnitOfWork) -> Sequence[int]:
    query = sa.select(runs.c.id).where(runs.c.state == RunState.RUNNING).order_by(runs.c.id)
    return work.connection.scalars(query).all()


def cancelled_with_waiting(work: UnitOfWork) -> Sequence[int]:
    """Cancelled runs of which items wait still: whoever cancelled them was interrupted."""
    query = sa.select(runs.c.id).where(
        runs.c.state == RunState.CANCELLED,
        sa.exists().where(run_items.c.run == runs.c.id, run_items.c.state == RunItemState.WAITING),
    )
    return work.connection.scalars(query.order_by(runs.c.id)).all()


def waiting(work: UnitOfWork, run: int, at_most: int) -> Sequence[RunItem]:
    """The next items whose turn it is."""
    query = (
        sa.select(run_items)
        .where(run_items.c.run == run, run_items.c.state == RunItemState.WAITING)
        .order_by(run_items.c.number)
        .limit(at_most)
    )
    return work.run_items.read(query)


def begun(work: UnitOfWork, run: int) -> bool:
    """Whether any item is in hand, or with its customer or branch."""
    query = sa.select(run_items.c.number).where(
        run_items.c.run == run, run_items.c.state.in_(BEGUN)
    )
    return work.connection.scalar(query.limit(1)) is not None


def of_renewals(work: UnitOfWork, renewals: Collection[str]) -> Sequence[RunItem]:
    """The items whose renewals these are and whose end is not known yet."""
    found: list[RunItem] = []
    for page in pages(renewals):
        query = sa.select(run_items).where(key_in(run_items.c.renewal, page))
        found += work.run_items.read(query.where(run_items.c.state.in_(BEGUN)))
    return found


def items(
    work: UnitOfWork,
    run: int,
    *,
    after: int = 0,
    at_most: int = 500,
    states: Collection[str] = (),
    numbers: Collection[int] = (),
) -> Sequence[RunItem]:
    """A page of a run's items after number ``after``."""
    query = sa.select(run_items).where(run_items.c.run == run, run_items.c.number > after)
    if states:
        query = query.where(run_items.c.state.in_(states))
    if numbers:
        query = query.where(key_in(run_items.c.number, sorted(numbers)))
    return work.run_items.read(query.order_by(run_items.c.number).limit(at_most))


def buckets(work: UnitOfWork, run: int) -> Sequence[Bucket]:
    """How many items are in each state, by reason."""
    query = (
        sa.select(run_items.c.state, run_items.c.why, sa.func.count())
        .where(run_items.c.run == run)
        .group_by(run_items.c.state, run_items.c.why)
        .order_by(run_items.c.state, run_items.c.why)
    )
    return [Bucket(*row) for row in work.connection.execute(query)]


def products_waiting(work: UnitOfWork, run: int) -> Sequence[tuple[str, int]]:
    """How many items of each product wait for their turn."""
    query = (
        sa.select(certificates.c.product, sa.func.count())
        .join(run_items, run_items.c.certificate == certificates.c.id)
        .where(run_items.c.run == run, run_items.c.state == RunItemState.WAITING)
        .group_by(certificates.c.product)
        .order_by(certificates.c.product)
    )
    return [(product, count) for product, count in work.connection.execute(query)]


def makers_since(work: UnitOfWork, since: datetime) -> Sequence[str]:
    """Who made or submitted what has been approved since then, as it was spelled each time."""
    names = [
        sa.select(column).where(runs.c.approved_at >= since, column.is_not(None))
        for column in (runs.c.made_by, runs.c.submitted_by)
    ]
    return list(work.connection.execute(sa.union(*names)).scalars())


def let_through_alone(
    work: UnitOfWork, makers: Collection[str], *, since: datetime
) -> Sequence[tuple[str, int]]:
    """
    How many items of each product are in runs that these people made or submitted and that one
    approver has let through since then; items that were left out or cancelled do not count.
    """
    left_out = (RunItemState.REFUSED, RunItemState.SKIPPED, RunItemState.CANCELLED)
    query = (
        sa.select(certificates.c.product, sa.func.count())
        .select_from(runs)
        .join(run_items, run_items.c.run == runs.c.id)
        .join(certificates, certificates.c.id == run_items.c.certificate)
        .where(
            runs.c.made_by.in_(makers) | runs.c.submitted_by.in_(makers),
            runs.c.state.not_in((RunState.DRAFT, RunState.VALIDATED, RunState.AWAITING_APPROVAL)),
            runs.c.approved_at >= since,
            runs.c.seconded_by.is_(None),
            run_items.c.state.not_in(left_out),
        )
        .group_by(certificates.c.product)
        .order_by(certificates.c.product)
    )
    return [(product, count) for product, count in work.connection.execute(query)]


class Reach(NamedTuple):
    """How many items that wait have customers who can be reached in this way."""

    product: str
    locale: str
    mail: bool
    mobile: bool
    opted_out: bool
    items: int


def reach_of_waiting(work: UnitOfWork, run: int) -> Sequence[Reach]:
    """By which channels, and in which language, the customers of the waiting items are reached."""
    c = customers.c
    mail = _in_use(c.mail_sealed, c.mail_bad, c.mail_bad_until, work.at)
    mobile = _in_use(c.mobile_sealed, c.mobile_bad, c.mobile_bad_until, work.at)
    by = (certificates.c.product, c.locale, mail, mobile, c.opted_out)
    query = (
        sa.select(*by, sa.func.count())
        .select_from(run_items)
        .join(certificates, certificates.c.id == run_items.c.certificate)
        .join(customers, c.id == certificates.c.customer)
        .where(run_items.c.run == run, run_items.c.state == RunItemState.WAITING)
        .group_by(*(sa.literal_column(str(number)) for number in range(1, 6)))
        .order_by(*(sa.literal_column(str(number)) for number in range(1, 6)))
    )
    rows = work.connection.execute(query)
    return [Reach(p, lang, bool(m), bool(s), bool(out), n) for p, lang, m, s, out, n in rows]


def _in_use(
    sealed: sa.ColumnElement[Any],
    bad: sa.ColumnElement[Any],
    until: sa.ColumnElement[Any],
    now: datetime,
) -> sa.ColumnElement[int]:
    """1 where there is an address that does not rest, else 0."""
    rests = sa.and_(bad.is_not(None), sa.or_(until.is_(None), until > now))
    return sa.case((sa.and_(sealed.is_not(None), ~rests), 1), else_=0)


def left_out(
    work: UnitOfWork, run: int, *, after: int = 0, at_most: int = 500
) -> Sequence[tuple[int, str, str, str | None, int | None]]:
    """
    A page of the rows that are not renewed, in their order: number, column, code, its parameters
    and the certificate where the row names one.
    """
    f, i = run_findings.c, run_items.c
    wrong = sa.select(f.number, f.column, f.why, f.why_parameters, sa.null()).where(
        f.run == run, f.number > after
    )
    refused = sa.select(i.number, sa.literal(""), i.why, i.why_parameters, i.certificate).where(
        i.run == run, i.state == RunItemState.REFUSED, i.number > after, i.renewal.is_(None)
    )
    both = sa.union_all(wrong, refused).order_by(sa.literal_column("1")).limit(at_most)
    return [tuple(row) for row in work.connection.execute(both)]


def finding_counts(work: UnitOfWork, run: int) -> Sequence[tuple[str, int]]:
    query = (
        sa.select(run_findings.c.why, sa.func.count())
        .where(run_findings.c.run == run)
        .group_by(run_findings.c.why)
        .order_by(run_findings.c.why)
    )
    return [(why, count) for why, count in work.connection.execute(query)]


def begun_since(work: UnitOfWork, run: int, since: datetime) -> tuple[int, int]:
    """How many items have left the queue since then, and how many of them have failed."""
    ended_badly = run_items.c.state.in_((RunItemState.FAILED, RunItemState.REFUSED))
    query = sa.select(
        sa.func.count(), sa.func.coalesce(sa.func.sum(sa.case((ended_badly, 1), else_=0)), 0)
    ).where(
        run_items.c.run == run,
        run_items.c.state != RunItemState.WAITING,
        run_items.c.moved_at >= since,
    )
    begun, failed = work.connection.execute(query).one()
    return int(begun), int(failed)


def in_other_runs(work: UnitOfWork, wanted: Collection[int], run: int) -> dict[int, int]:
    """Which of these certificates are in another run that is under way, and in which."""
    found: dict[int, int] = {}
    open_items = (RunItemState.WAITING, *BEGUN)
    for page in pages(wanted):
        query = (
            sa.select(run_items.c.certificate, run_items.c.run)
            .join(runs, runs.c.id == run_items.c.run)
            .where(key_in(run_items.c.certificate, page), run_items.c.run != run)
            .where(run_items.c.state.in_(open_items), runs.c.state.in_(HOLDS_ITS_CERTIFICATES))
        )
        found.update({row.certificate: row.run for row in work.connection.execute(query)})
    return found


def certificates_named(
    work: UnitOfWork, column: str, values: Collection[Any]
) -> dict[Any, list[tuple[int, str]]]:
    """The ids and products of certificates by the value of one column."""
    by = certificates.c[column]
    found: dict[Any, list[tuple[int, str]]] = {}
    for page in pages(values):
        query = sa.select(by, certificates.c.id, certificates.c.product).where(key_in(by, page))
        query = query.where(certificates.c.state.in_(("active", "suspended", "expired")))
        for value, id_, product in work.connection.execute(query.order_by(certificates.c.id)):
            found.setdefault(value, []).append((id_, product))
    return found


def tokens_spelled(work: UnitOfWork, keys: Collection[str]) -> dict[str, list[tuple[int, str]]]:
    """
    The ids and products of certificates by the ``token_key`` of their token: one walk over all of
    them for a page, for those that no exact spelling has found.
    """
    plain: sa.ColumnElement[str] = sa.func.lower(certificates.c.token_serial)
    for sign in BETWEEN:
        plain = sa.func.replace(plain, sign, "")
    key = sa.func.ltrim(plain, "0")
    found: dict[str, list[tuple[int, str]]] = {}
    for page in pages(keys):
        query = sa.select(key, certificates.c.id, certificates.c.product).where(
            certificates.c.token_serial.is_not(None),
            key.in_(page),
            certificates.c.state.in_(("active", "suspended", "expired")),
        )
        for value, id_, product in work.connection.execute(query.order_by(certificates.c.id)):
            found.setdefault(value, []).append((id_, product))
    return found


def filtered(
    work: UnitOfWork,
    *,
    product: str | None,
    branch: str | None,
    since: datetime | None,
    until: datetime | None,
    after: int,
    at_most: int,
) -> Sequence[int]:
    """A page of active certificates that a filter takes, by id."""
    from schema.tables.people import enrolments  # noqa: PLC0415 - only where a branch is given

    query = sa.select(certificates.c.id).where(
        certificates.c.state == "active", certificates.c.id > after
    )
    if product is not None:
        query = query.where(certificates.c.product == product)
    if since is not None:
        query = query.where(certificates.c.not_after >= since)
    if until is not None:
        query = query.where(certificates.c.not_after <= until)
    if branch is not None:
        query = query.join(
            enrolments,
            sa.and_(
                enrolments.c.customer == certificates.c.customer,
                enrolments.c.product == certificates.c.product,
            ),
        ).where(enrolments.c.branch == branch)
    return work.connection.scalars(query.order_by(certificates.c.id).limit(at_most)).all()


def branches_of(work: UnitOfWork, wanted: Iterable[int]) -> dict[int, str | None]:
    """The branch at which each of these certificates is kept on file."""
    from schema.tables.people import enrolments  # noqa: PLC0415 - as above

    found: dict[int, str | None] = {}
    for page in pages(list(wanted)):
        query = (
            sa.select(certificates.c.id, enrolments.c.branch)
            .join(
                enrolments,
                sa.and_(
                    enrolments.c.customer == certificates.c.customer,
                    enrolments.c.product == certificates.c.product,
                ),
            )
            .where(key_in(certificates.c.id, page))
        )
        found.update({row.id: row.branch for row in work.connection.execute(query)})
    return found
