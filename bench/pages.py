"""How many pages of the certificate centre are served beside a bare page with one query."""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

from bench.figures import Figure, at_most, median, percentile, ratio, rounded
from centre.pages.app import centre_app
from schema.tables.people import customers
from simulation.trial import PASSWORD, open_trial
from xuqi.serving.http import listening

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

    from renewal.db.engine import Store
    from simulation.trial import Trial

AT_ONCE = 8  #: readers
P95_GOAL = 150  #: milliseconds
METHOD = (
    "Pages: {pages} times the list of certificates of a customer who is logged in, by {readers} "
    "readers at once over loopback, sessions and data on SQLite; beside it a bare Starlette page "
    "of the same length with one query by key, on the same store and server. In turn, {rounds} "
    "rounds; the median of the rates, of the rounds' ratios and of the 95th percentiles."
)


def figures(*, pages: int, rounds: int = 3) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        trial = open_trial(Path(folder) / "bank", port=0)
        ours, bare, waits = _measured(trial, pages, rounds)
        trial.app.store.close()
    method = METHOD.format(pages=pages, readers=AT_ONCE, rounds=rounds)
    return [
        Figure(
            what="pages of the centre; of a bare page's rate",
            value=median(ours),
            unit="pages/s",
            method=method,
            shown=f"{rounded(median(ours), 'pages/s')}; {rounded(100 * ratio(ours, bare), '%')}",
        ),
        at_most("a page of the centre, p95", median(waits), "ms", P95_GOAL, method=method),
    ]


def _measured(
    trial: Trial, pages: int, rounds: int
) -> tuple[list[float], list[float], list[float]]:
    app = trial.app
    centre = centre_app(app.store, app.centre, app.policies, bank=app.bank.details)
    with ExitStack() as stack:
        port = stack.enter_context(listening(centre, "127.0.0.1", 0))
        guest = trial.guests[0]
        client = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}"))
        asked = {
            "id_number": guest.person.id_number,
            "user_code": guest.user_code,
            "password": PASSWORD,
        }
        client.post("/login", data=asked, headers={"Sec-Fetch-Site": "same-origin"})
        size = len(client.get("/").raise_for_status().content)
        other = stack.enter_context(listening(_bare(app.store, size), "127.0.0.1", 0))
        beside = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{other}"))
        ours, bare, waits = [], [], []
        for _ in range(rounds):
            bare.append(_rate(beside, pages)[0])
            rate, taken = _rate(client, pages)
            ours.append(rate)
            waits.append(1000 * percentile(taken, 0.95))
    return ours, bare, waits


def _rate(client: httpx.Client, pages: int) -> tuple[float, Sequence[float]]:
    """Pages a second, and the seconds of each."""

    def page(_number: int) -> float:
        began = time.perf_counter()
        client.get("/").raise_for_status()
        return time.perf_counter() - began

    began = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as readers:
        taken = list(readers.map(page, range(pages)))
    return pages / (time.perf_counter() - began), taken


def _bare(store: Store, size: int) -> Starlette:
    def page(_request: Request) -> HTMLResponse:
        with store.snapshot() as look:
            found = look.connection.scalar(sa.select(customers.c.id).where(customers.c.id == 1))
        return HTMLResponse(f"{found}".ljust(size, "x"))

    return Starlette(routes=[Route("/", page)])
