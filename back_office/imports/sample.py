"""Makes the file of customers that a bank might hand over, for tests and for trying out."""

from __future__ import annotations

import csv
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

HEADING = (
    *("reference", "id_number", "name", "mobile", "mail", "locale", "opted_out"),
    *("product", "class", "operator", "branch", "account"),
)
PRODUCTS = ("securities-browser", "corporate-token", "cooperative-card")
_FAMILY = "陳林黃張李王吳劉蔡楊"
_GIVEN = "怡君志明淑芬俊傑雅婷家豪"
_OPERATORS = {"2": "only user", "3": "administrator", "4": "SUPER001"}


def customer_rows(count: int, *, seed: int = 1) -> Iterator[dict[str, str]]:
    """
    Yield so many customers with one product each; the same seed makes the same ones.
    """
    dice = random.Random(seed)  # noqa: S311 - a story, no secret
    for number in range(count):
        kind = dice.choice("234")
        yield {
            "reference": f"C{number:08d}",
            "id_number": f"{dice.choice('ABCDEFGH')}{dice.choice('12')}{number:08d}",
            "name": dice.choice(_FAMILY) + "".join(dice.sample(_GIVEN, 2)),
            "mobile": f"09{dice.randrange(10, 89)}{number % 1_000_000:06d}",
            "mail": f"c{number}@example.com",
            "locale": dice.choice(("zh-TW", "zh-TW", "en")),
            "opted_out": "no",
            "product": dice.choice(PRODUCTS),
            "class": kind,
            "operator": _OPERATORS[kind],
            "branch": f"{dice.randrange(1, 40):03d}",
            "account": f"{dice.randrange(10**12):012d}",
        }


def write_customers(
    path: Path,
    rows: Iterable[Mapping[str, str]],
    *,
    encoding: str = "utf-8-sig",
    headings: Mapping[str, str] | None = None,
) -> Path:
    """
    Write rows as CSV, with other headings if wanted (column -> heading).
    """
    titles = dict(headings or {})
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file)
        writer.writerow([titles.get(name, name) for name in HEADING])
        writer.writerows([row.get(name, "") for name in HEADING] for row in rows)
    return path
