"""What came of the demo: a table on the screen, a page with charts, a file for programs."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING, Any

from renewal.rules.taipei import TAIPEI
from renewal.store import figures as queries
from xuqi.check import counts
from xuqi.demo.outside import Tail

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from xuqi.demo.people import Person
    from xuqi.house import House


@dataclass(frozen=True, kw_only=True)
class Figures:
    """
    Counts only: no name, no address, no number of a person.
    """

    seed: int
    customers: int
    certificates: int
    days: int
    products: Mapping[str, Mapping[str, int]]
    messages: Mapping[str, int]
    refusals: Mapping[str, int]
    traits: Mapping[str, int]
    used: Mapping[str, int]
    books: Mapping[str, int]
    check: Mapping[str, int]
    dead_letters: int
    per_day: Mapping[str, Mapping[str, int]]
    judged: Sequence[str] = field(default_factory=list)
    kills: Mapping[str, int] | None = None  #: by process, where there are several
    ended: Sequence[str] = field(default_factory=list)  #: processes that ended by themselves
    seconds: float = 0.0


COLUMNS = ("certificates", "reminded", "renewed", "refused", "abandoned", "under way", "expired")


def collect(house: House, people: Sequence[Person], *, seed: int, days: int) -> Figures:
    """
    Count, from the store and from the ledgers of the world outside.
    """
    outside = house.settings.home / "outside"
    saw = Tail(outside / "customers.jsonl").new()
    with house.store.look() as look:
        products = queries.by_product(look)
        messages = queries.messages_by_kind(look)
        refusals = queries.refusals(look)
        books = queries.balances(look)
        dead = queries.dead(look)
    return Figures(
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
        check=counts(house),
        dead_letters=dead,
        per_day=_per_day(outside),
    )


def _per_day(outside: Path) -> dict[str, dict[str, int]]:
    """
    What happened on each day, as the world outside wrote it down.
    """
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


def write(figures: Figures, home: Path) -> None:
    (home / "report.json").write_text(
        json.dumps(asdict(figures), ensure_ascii=False, indent=2), encoding="utf-8"
    )
    (home / "report.html").write_text(_page(figures), encoding="utf-8")


def show(figures: Figures, home: Path) -> None:
    """
    Print the table of the products, the check, and where the rest lies.
    """
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


# --- the page -----------------------------------------------------------------------------------

WIDTH, HEIGHT, LEFT, BOTTOM = 900, 160, 40, 24
STYLE = """
body { font: 16px/1.5 "Noto Sans TC", system-ui, sans-serif; max-width: 60rem; margin: 2rem auto;
       padding: 0 1rem; color: #1b1f24; background: #fff }
table { border-collapse: collapse; margin: 1rem 0 } caption { text-align: left; font-weight: 600 }
th, td { border: 1px solid #8a929c; padding: .25rem .6rem; text-align: right }
th:first-child, td:first-child { text-align: left }
svg { max-width: 100%; height: auto } .ok { color: #116329 } .bad { color: #a40e26 }
"""


def _page(figures: Figures) -> str:
    clean = not figures.judged and not any(figures.check.values()) and not figures.ended
    verdict = (
        '<p class="ok">沒有任何違反。No violation.</p>'
        if clean
        else '<p class="bad">有違反，見下。There are violations, see below.</p>'
    )
    charts = "".join(
        f"<h3>{escape(name)}</h3>{_chart(name, days)}" for name, days in figures.per_day.items()
    )
    return (
        '<!doctype html><html lang="zh-TW"><head><meta charset="utf-8">'
        f"<title>續期 Xuqi: {figures.days} days</title><style>{STYLE}</style></head><body>"
        f"<h1>續期示範報告 <small>Xuqi demo</small></h1>"
        f"<p>{figures.customers} 位客戶、{figures.certificates} 張憑證、{figures.days} 天，"
        f"種子 seed {figures.seed}，{figures.seconds} 秒 s.</p>{verdict}"
        + _table("各產品 Products", COLUMNS, figures.products)
        + _pairs("檢查 Check (I1–I5, I8)", figures.check)
        + _list("外部帳冊的違反 Violations in the outside ledgers", figures.judged)
        + (_pairs("被強制終止的行程 Processes killed", figures.kills) if figures.kills else "")
        + _pairs("訊息 Messages", figures.messages)
        + _pairs("簽章 Signatures that customers tried", figures.used)
        + _pairs("總帳 Books (NT$, debit minus credit)", figures.books)
        + _pairs("未能更新的理由 Refusals", figures.refusals)
        + _pairs("特殊客戶 Awkward customers", figures.traits)
        + f"<h2>每日 By day</h2>{charts}"
        + _table("每日數字 The same in figures", tuple(figures.per_day), _by_day(figures.per_day))
        + "</body></html>"
    )


def _by_day(per_day: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    days = sorted({day for counts in per_day.values() for day in counts})
    return {day: {name: per_day[name].get(day, 0) for name in per_day} for day in days}


def _chart(name: str, days: Mapping[str, int]) -> str:
    """
    A bar for each day, as SVG; the same figures stand in the table below.
    """
    if not days:
        return "<p>–</p>"
    highest, room = max(days.values()), HEIGHT - 2 * BOTTOM
    step = (WIDTH - LEFT) / len(days)
    bars = "".join(
        _bar(LEFT + place * step, max(1, step - 1), room * count / highest, f"{day}: {count}")
        for place, (day, count) in enumerate(days.items())
    )
    first, last = next(iter(days)), list(days)[-1]
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(name)} by day">'
        f'<text x="0" y="{BOTTOM}" font-size="12">{highest}</text>{bars}'
        f'<text x="{LEFT}" y="{HEIGHT - 6}" font-size="12">{first}</text>'
        f'<text x="{WIDTH}" y="{HEIGHT - 6}" font-size="12" text-anchor="end">{last}</text></svg>'
    )


def _bar(x: float, width: float, height: float, title: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{HEIGHT - BOTTOM - height:.1f}" width="{width:.1f}" '
        f'height="{height:.1f}" fill="#0b5cad"><title>{title}</title></rect>'
    )


def _table(caption: str, columns: Sequence[str], rows: Mapping[str, Mapping[str, Any]]) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f"<td>{row.get(column, 0)}</td>" for column in columns)
        + "</tr>"
        for name, row in rows.items()
    )
    return (
        f"<table><caption>{escape(caption)}</caption><thead><tr><th></th>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )


def _pairs(caption: str, pairs: Mapping[str, Any]) -> str:
    return _table(caption, ("#",), {name: {"#": value} for name, value in pairs.items()})


def _list(caption: str, lines: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines) or "<li>0</li>"
    return f"<h2>{escape(caption)}</h2><ul>{items}</ul>"
