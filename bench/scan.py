"""The scan at two sizes of the table: what a due row costs, and that memory stays flat."""

from __future__ import annotations

import multiprocessing
import resource
import sqlite3
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bench.figures import Figure, at_most, median, rounded
from renewal.clock import SystemClock
from renewal.db.encryption import FieldCipher
from renewal.db.engine import Store
from renewal.rules.policies import Policies
from renewal.secret import Secret
from scheduler import jobs
from schema.migrate import upgrade
from schema.policy import load_policies

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PRODUCT = "securities-browser"
DUE = 10_000
METHOD = (
    "Scan: {due:,} due rows spread over the table, the rest not due for 40 days or more; the query "
    "as the scan asks it, replayed page by page (500) by the driver; the job with its events and "
    "marks, durable, its memory the growth of a fresh process's peak; both sizes in turn, "
    "{rounds} times, the median."
)

# The driver's own generator: five million rows in about a minute.
_FILL = """
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows)
INSERT INTO certificates (id, customer, product, slot, issuer_hash, serial, spki_sha256,
  certificate_sha256, not_before, not_after, state, der_sealed, changes, version)
SELECT i, i, :product, printf('s:%012d', i), x'00', printf('%032x', i), zeroblob(32),
  zeroblob(32), '2024-01-01 00:00:00.000000',
  CASE WHEN i % :every = 0 THEN datetime(:now, printf('+%d minutes', i % 40000))
    ELSE datetime(:now, '+40 days', printf('+%d minutes', i / 5)) END || '.000000',
  'active', zeroblob(100), 0, 1
FROM n
"""


def figures(sizes: Sequence[int], *, due: int = DUE, rounds: int = 3) -> list[Figure]:
    small, large = min(sizes), max(sizes)
    with tempfile.TemporaryDirectory() as folder:
        files = {rows: Path(folder) / f"{rows}.db" for rows in (small, large)}
        for rows, file in files.items():
            fill(file, rows, due)
        queries = {rows: asked(file) for rows, file in files.items()}
        in_database: dict[int, list[float]] = {rows: [] for rows in files}
        job: dict[int, list[float]] = {rows: [] for rows in files}
        memory: dict[int, list[float]] = {rows: [] for rows in files}
        for _ in range(rounds):
            for rows, file in files.items():
                in_database[rows].append(_microseconds_a_row(file, queries[rows], due))
        for _ in range(rounds):
            for rows, file in files.items():
                seconds, grown = _in_a_process(file, due)
                job[rows].append(1e6 * seconds / due)
                memory[rows].append(grown)
        page = {rows: _page(file, queries[rows][0]) for rows, file in files.items()}
        bare = _page(files[large], _without_index(queries[large][0]))
    return [
        at_most(
            f"scan: the query, {large:,} certificates of which {due:,} are due",
            median(in_database[large]),
            "µs a due row",
            1,
            method=METHOD.format(due=due, rounds=rounds),
        ),
        at_most(
            f"scan: the query, {large:,} against {small:,} certificates",
            median(in_database[large]) / median(in_database[small]),
            "×",
            1.3,
        ),
        at_most(
            f"scan: the whole job, {large:,} against {small:,} certificates",
            median(job[large]) / median(job[small]),
            "×",
            1.3,
        ),
        Figure(
            what="scan: first page of 500, by the index / without it",
            value=1e3 * page[large],
            unit="ms",
            shown=f"{rounded(1e3 * page[large], 'ms')} / {rounded(1e3 * bare, 'ms')}",
        ),
        Figure(
            what=f"scan: memory of the job, {small:,} / {large:,} certificates",
            value=median(memory[large]),
            unit="MiB",
            goal="flat",
            shown=f"+ {median(memory[small]):.3g} / + {rounded(median(memory[large]), 'MiB')}",
        ),
    ]


def fill(file: Path, rows: int, due: int) -> None:
    """A table of so many certificates, so many of them due, with every index of the schema."""
    upgrade(f"sqlite:///{file}")
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-262144"):
            connection.execute(f"PRAGMA {pragma}")
        named = {"rows": rows, "every": rows // due, "now": now, "product": PRODUCT}
        connection.execute(_FILL, named)
        connection.execute("ANALYZE")


Query = tuple[str, tuple[Any, ...]]


def asked(file: Path) -> list[Query]:
    """Each query that a dry run asks of the table, as the driver got it."""
    seen: list[Query] = []

    def note(*told: Any) -> None:  # noqa: ANN401 - SQLAlchemy's signature
        if "certificates" in told[2]:
            seen.append((told[2], tuple(told[3])))

    with closing(_store(file)) as store:
        sa.event.listen(store.engine, "before_cursor_execute", note)
        for _ in jobs.would_announce(store, _policies()):
            pass
    return seen


def announce(file: Path) -> tuple[float, float]:
    """Run the job; return its seconds, and by how many MiB the process's peak has grown."""
    with closing(_store(file)) as store:
        policies = _policies()
        before = peak()
        began = time.perf_counter()
        jobs.scan(store, policies)
        seconds = time.perf_counter() - began
    return seconds, (peak() - before) / 1024


def peak() -> int:
    """The most KiB that this program has had. (Linux lets ``ru_maxrss`` survive an exec.)"""
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _policies() -> Policies:
    return Policies({PRODUCT: load_policies()[PRODUCT]})


def _store(file: Path) -> Store:
    vault = FieldCipher({1: Secret(b"opens nothing here" * 2)})
    return Store(f"sqlite:///{file}", clock=SystemClock(), cipher=vault)


def _in_a_process(file: Path, due: int) -> tuple[float, float]:
    """Of a process of its own, so that no other peak hides the job's; then all are due again."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.apply(announce, (file,))
    with closing(sqlite3.connect(file)) as connection, connection:
        again = connection.execute(
            "UPDATE certificates SET announced_at = NULL WHERE announced_at IS NOT NULL"
        ).rowcount
        connection.execute("DELETE FROM events")
    assert again == due, f"{again} of {due} were announced"
    return found


def _microseconds_a_row(file: Path, queries: Sequence[Query], due: int) -> float:
    with closing(sqlite3.connect(file)) as connection:
        list(_fetched(connection, queries))  # once before, so that both sizes are in memory
        began = time.perf_counter()
        found = sum(_fetched(connection, queries))
        seconds = time.perf_counter() - began
    assert found == due, f"{found} of {due} were found"
    return 1e6 * seconds / found


def _fetched(connection: sqlite3.Connection, queries: Sequence[Query]) -> Iterator[int]:
    for sql, values in queries:
        yield len(connection.execute(sql, values).fetchall())


def _page(file: Path, query: Query) -> float:
    with closing(sqlite3.connect(file)) as connection:
        list(_fetched(connection, [query]))
        began = time.perf_counter()
        list(_fetched(connection, [query]))
        return time.perf_counter() - began


def _without_index(query: Query) -> Query:
    before, table, after = query[0].partition("FROM certificates")
    return f"{before}{table} NOT INDEXED{after}", query[1]
