"""How long the console's lists take over a million certificates, on PostgreSQL."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import sqlalchemy as sa

from back_office.console.app import console_app
from back_office.staff import Staff, StaffRole
from bench import bank, servers
from bench.figures import Figure, at_most, percentile
from consumers.registry import standing
from schema.reasons import OutcomeReason
from xuqi.serving.http import listening
from xuqi.settings import Settings

if TYPE_CHECKING:
    from xuqi.bootstrap import App

P95_GOAL = 200  #: milliseconds
PASSWORD = "a clerk's very long password"  # noqa: S105 - of a clerk in a story
METHOD = (
    "The console's lists: {certificates:,} certificates, three messages for each ten of them, and "
    "{letters:,} open dead letters on PostgreSQL, after VACUUM ANALYZE; each page {pages} times, "
    "one after another, by a clerk who is logged in over loopback, its first page and one from the "
    "middle. The worst page's 95th percentile is the figure; pages that filter are among them."
)
LISTS = (
    "/certificates", "/certificates?after={half}", "/certificates?state=suspended",
    "/certificates?product=securities-browser&state=active", "/certificates?customer={half}",
    "/messages", "/messages?state=undelivered", "/messages?kind=reminder", "/dead-letters",
    "/dead-letters?consumer=reminders", "/dead-letters?after={letters}", "/money", "/tasks",
    "/tokens", "/contacts", "/audit", "/runs", "/inbox", "/live",
)  # fmt: skip


def figures(*, certificates: int, letters: int, pages: int) -> list[Figure]:
    with (
        servers.postgresql() as server,
        servers.emptied(server) as url,
        tempfile.TemporaryDirectory() as folder,
    ):
        app = bank.opened(Settings(home=Path(folder), store_url=url))
        bank.take_in(app, 1, min(certificates, 1_000))
        with app.store.engine.begin() as connection:
            _multiply(connection, certificates)
            _messages(connection)
            _letters(connection, letters)
        with app.store.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(
                "VACUUM ANALYZE"
            )
        try:
            found = _pages(app, certificates, letters, pages)
        finally:
            app.store.close()
    worst = max(found, key=lambda path: found[path])
    method = METHOD.format(certificates=certificates, letters=letters, pages=pages)
    slow = sorted(found, key=lambda path: -found[path])[:4]
    shown = "; ".join(f"{path} {found[path]:.0f}" for path in slow)
    return [
        at_most(
            f"console: the slowest list, {certificates:,} certificates, p95",
            found[worst],
            "ms",
            P95_GOAL,
            method=method,
            shown=f"{found[worst]:.0f} ms (ms: {shown})",
        )
    ]


def _multiply(connection: sa.Connection, certificates: int) -> None:
    """As many certificates, in slots of their own; one in a thousand is suspended."""
    columns = (
        "customer, product, issuer_hash, spki_sha256, certificate_sha256, not_before, der_sealed, "
        "changes, version"
    )
    connection.execute(
        sa.text(
            f"INSERT INTO certificates (id, slot, serial, state, not_after, {columns}) "  # noqa: S608 - names of ours
            "SELECT n, 'bench:' || n, to_hex(n + 16777216), "
            "CASE WHEN n % 1000 = 0 THEN 'suspended' ELSE 'active' END, "
            f"not_after + n % 365 * INTERVAL '1 day', {columns} "
            "FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS n "
            "JOIN certificates ON id = n % 1000 + 1"
        ),
        {"first": 1_001, "last": certificates},
    )


def _messages(connection: sa.Connection) -> None:
    connection.execute(
        sa.text(
            "INSERT INTO messages "
            "(id, kind, customer, channel, state, owed_at, code, text_hash, version) "
            "SELECT 'B' || c.id || '-' || k, 'reminder', c.customer, 'sms', "
            "CASE WHEN c.id % 5000 = 0 THEN 'undelivered' ELSE 'delivered' END, "
            "now() - c.id * INTERVAL '1 second', '', '', 1 "
            "FROM certificates AS c, generate_series(1, 3) AS k WHERE c.id % 10 = 0"
        )
    )


def _letters(connection: sa.Connection, letters: int) -> None:
    why = OutcomeReason.NO_REQUEST.why().stored()
    connection.execute(
        sa.text(
            "INSERT INTO dead_letters "
            "(consumer, identity, topic, key, kind, at, body, tries, why, died_at, state) "
            "SELECT CASE WHEN n % 3 = 0 THEN 'reminders' ELSE 'notices' END, 'bench:' || n, "
            "'renewals', n, 'renewal-requested.v1', now(), '{}', 1, :why, now(), 'open' "
            "FROM generate_series(1, CAST(:letters AS integer)) AS n"
        ),
        {"why": why, "letters": letters},
    )


def _pages(app: App, certificates: int, letters: int, pages: int) -> dict[str, float]:
    """The 95th percentile of each list, in milliseconds."""
    staff = Staff(app.store)
    staff.add("lin", (StaffRole.OPERATOR, StaffRole.AUDITOR), who="bench", why="bench")
    staff.set_password("lin", PASSWORD)
    console = console_app(app.store, app.policies, renderer=app.renderer, consumers=standing)
    with ExitStack() as stack:
        port = stack.enter_context(listening(console, "127.0.0.1", 0))
        clerk = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120))
        form = {"name": "lin", "password": PASSWORD}
        clerk.post("/login", data=form, headers={"Sec-Fetch-Site": "same-origin"})
        for path in ("/", "/live", *LISTS[:1]):  # what is made once, and is no list's
            clerk.get(path).raise_for_status()
        half = {"half": certificates // 2, "letters": letters // 2}
        return {
            path: 1e3 * percentile([_seconds(clerk, path) for _ in range(pages)], 0.95)
            for path in (one.format(**half) for one in LISTS)
        }


def _seconds(clerk: httpx.Client, path: str) -> float:
    began = time.perf_counter()
    clerk.get(path).raise_for_status()
    return time.perf_counter() - began
