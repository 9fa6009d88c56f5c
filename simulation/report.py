"""Reports the results of the demo: a table, a page, and JSON."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from renewal.store import counts as queries
from schema.taipei import TAIPEI
from simulation.outside import Tail
from simulation.report_page import page
from simulation.results import DemoResults
from xuqi.check import counts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from simulation.people import SimulatedCustomer
    from xuqi.bootstrap import App


COLUMNS = ("certificates", "reminded", "renewed", "refused", "abandoned", "under way", "expired")


def collect(app: App, people: Sequence[SimulatedCustomer], *, seed: int, days: int) -> DemoResults:
    """Count, from the store and from the outside systems' activity logs."""
    outside = app.settings.home / "outside"
    saw = Tail(outside / "customers.jsonl").new()
    with app.store.snapshot() as look:
        products = queries.by_product(look)
        messages = queries.messages_by_kind(look)
        refusals = queries.refusals(look)
        books = queries.balances(look)
        dead = queries.dead(look)
    return DemoResults(
        seed=seed,
        customers=len(people),
        certificates=sum(len(person.holdings) for person in people),
        days=days,
        products={name: {c: products[name].get(c, 0) for c in COLUMNS} for name in products},
        messages=messages,
        refusals=refusals,
        traits=dict(sorted(Counter(t.value for p in people for t in p.traits).items())),
        used=dict(Counter(str(row["result"]) for row in saw if row["did"] == "used")),
        books=books,
        check=counts(app),
        dead_letters=dead,
        per_day=_per_day(outside),
    )


def _per_day(outside: Path) -> dict[str, dict[str, int]]:
    """What happened on each day, as the outside systems wrote it down."""
    wanted: dict[str, tuple[str, Callable[[dict[str, object]], object]]] = {
        "reminders": ("sms.jsonl", lambda line: str(line["ref"]).startswith("M")),
        "codes": ("sms.jsonl", lambda line: str(line["ref"]).startswith("K")),
        "mails": ("mail.jsonl", lambda _: True),
        "issued": ("ca.jsonl", lambda line: line["op"] == "issue" and line["request_id"]),
        "revoked": ("ca.jsonl", lambda line: line["op"] == "revoke"),
        "captured": ("bank.jsonl", lambda line: line["op"] == "capture"),
        "written": ("cards.jsonl", lambda line: line["op"] == "put" and line["result"] == "ok"),
    }
    found: dict[str, dict[str, int]] = {}
    for name, (file, test) in wanted.items():
        days: Counter[str] = Counter()
        for line in Tail(outside / file).new():
            if test(line) and str(line["at"]) >= "2026-03-01T16":
                days[_day(str(line["at"]))] += 1
        found[name] = dict(sorted(days.items()))
    return found


def _day(at: str) -> str:
    return f"{datetime.fromisoformat(at).astimezone(TAIPEI):%Y-%m-%d}"


def write(figures: DemoResults, home: Path) -> None:
    (home / "report.json").write_text(
        json.dumps(asdict(figures), ensure_ascii=False, indent=2), encoding="utf-8"
    )
    (home / "report.html").write_text(page(figures), encoding="utf-8")


def show(figures: DemoResults, home: Path) -> None:
    """Print the table of the products, the check, and where the rest lies."""
    print(f"{'product':<20}" + "".join(f"{name:>13}" for name in COLUMNS))
    for product, row in figures.products.items():
        print(f"{product:<20}" + "".join(f"{row[name]:>13}" for name in COLUMNS))
    messages = ", ".join(f"{count} {name}" for name, count in figures.messages.items())
    print(f"\nmessages    {messages}")
    print(f"signatures  {figures.used.get('ok', 0)} ok, "
          f"{sum(figures.used.values()) - figures.used.get('ok', 0)} not")  # fmt: skip
    print("books       " + ", ".join(f"{name} {value}" for name, value in figures.books.items())
          + f"; sum {sum(figures.books.values())}")  # fmt: skip
    print("check       " + "  ".join(f"{name} {count}" for name, count in figures.check.items()))
    print(f"outside     {len(figures.judged)} violations in the ledgers of the world outside")
    for line in figures.judged[:20]:
        print(f"            {line}")
    print(f"dead letters {figures.dead_letters}")
    if figures.kills is not None:
        most = max(figures.kills.values(), default=0)
        print(f"killed       {sum(figures.kills.values())} processes with SIGKILL, "
              f"{len(figures.kills)} different ones, one of them {most} times; "
              f"{len(figures.ended)} ended by themselves")  # fmt: skip
        for line in figures.ended[:20]:
            print(f"             {line}")
    print(f"\n{figures.seconds} s; report: {home / 'report.html'}, ledgers: {home / 'outside'}")
