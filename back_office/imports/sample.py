"""Generates a sample customer file, for tests and trials."""

from __future__ import annotations

import base64
import csv
import io
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from renewal.rules.id_numbers import with_check_digit

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
    """Yield so many customers with one product each; the same seed makes the same ones."""
    dice = random.Random(seed)  # noqa: S311 - a story, no secret
    for number in range(count):
        kind = dice.choice("234")
        yield {
            "reference": f"C{number:08d}",
            "id_number": with_check_digit(
                f"{dice.choice('ABCDEFGH')}{dice.choice('12')}{number:07d}"
            ),
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
    """Write rows as CSV, with other headings if wanted (column -> heading)."""
    titles = dict(headings or {})
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file)
        writer.writerow([titles.get(name, name) for name in HEADING])
        writer.writerows([row.get(name, "") for name in HEADING] for row in rows)
    return path


def example(what: str) -> str:
    """Return a file as `xuqi import` takes it, with invented people."""
    rows = list(customer_rows(3))
    if what == "customers":
        return _csv(HEADING, rows)
    listed = [
        {
            "certificate": _certificate(row["id_number"]),
            "product": row["product"],
            "token_serial": f"029dc2d{number}",
            "reference": row["reference"],
            "state": "active",
        }
        for number, row in enumerate(rows)
    ]
    return _csv(tuple(listed[0]), listed)


def _csv(heading: tuple[str, ...], rows: Iterable[Mapping[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, heading, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _certificate(id_number: str) -> str:
    """A certificate in base64 of a CA that lives as long as this call."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC).replace(microsecond=0)
    builder = x509.CertificateBuilder(
        issuer_name=x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Example CA")]),
        subject_name=x509.Name(
            [x509.NameAttribute(x509.NameOID.COMMON_NAME, f"{id_number}-00-000001")]
        ),
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(days=340),
        not_valid_after=now + timedelta(days=25),
    )
    return base64.b64encode(builder.sign(key, SHA256()).public_bytes(Encoding.DER)).decode()
