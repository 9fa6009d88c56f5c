"""Makes the files of a bank and the certificates of its CA, and looks at what became of them."""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zlib import crc32

import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from back_office.imports.certificates import import_certificates
from back_office.imports.customers import import_customers
from back_office.imports.sample import customer_rows, write_customers
from back_office.imports.trust import UNVERIFIED
from schema.tables import metadata
from templates.codes import text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from back_office.imports.report import ImportFinding, ImportReport
    from back_office.imports.trust import Trust
    from renewal.db.engine import Store
    from renewal.db.rows import Certificate, Customer, Enrolment
    from renewal.rules.policies import Policies
    from schema.reasons import Reason

BROWSER, TOKEN, CARD = "securities-browser", "corporate-token", "cooperative-card"
NOON = datetime(2026, 11, 23, 4, tzinfo=UTC)
DAY = timedelta(days=1)

PrivateKey = (
    ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | dsa.DSAPrivateKey | ed25519.Ed25519PrivateKey
)


@functools.cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def certificate(
    common_name: str = "A123456789-00-1",
    *,
    serial: int | None = None,
    not_before: datetime = NOON - 340 * DAY,
    not_after: datetime = NOON + 25 * DAY,
    key: PrivateKey | None = None,
    subject: x509.Name | None = None,
) -> bytes:
    """A certificate of a CA, in DER."""
    own = key or ec_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A CA of the bank's")])
    built = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=subject or x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]),
        public_key=own.public_key(),
        serial_number=serial or x509.random_serial_number(),
        not_valid_before=not_before,
        not_valid_after=not_after,
    )
    algorithm = None if isinstance(own, ed25519.Ed25519PrivateKey) else SHA256()
    return built.sign(own, algorithm).public_bytes(Encoding.DER)


def pem(*ders: bytes) -> bytes:
    return b"".join(x509.load_der_x509_certificate(it).public_bytes(Encoding.PEM) for it in ders)


@dataclass(frozen=True)
class ReadFinding:
    """A finding as who reads English reads it."""

    raw: ImportFinding

    @property
    def file(self) -> str:
        return self.raw.file

    @property
    def place(self) -> str:
        return str(self.raw.place)

    @property
    def field(self) -> str:
        return self.raw.field

    @property
    def reason(self) -> str:
        return text(self.raw.reason, "en")

    @property
    def refused(self) -> bool:
        return self.raw.refused


def in_words(noted: Mapping[Reason, int]) -> dict[str, int]:
    return {text(reason, "en"): count for reason, count in noted.items()}


@dataclass
class Bank:
    """
    A bank that hands its files over.

    No Scenario: it begins with an empty store, and files and foreign CAs are what it is about.
    """

    store: Store
    policies: Policies
    folder: Path
    findings: list[ReadFinding] = field(default_factory=list)
    progress: list[int] = field(default_factory=list)

    def customers(self, *rows: Mapping[str, str], dry_run: bool = False) -> ImportReport:
        return self.file(write_customers(self.folder / "customers.csv", rows), dry_run=dry_run)

    def text(self, text: str | bytes, *, dry_run: bool = False) -> ImportReport:
        path = self.folder / "customers.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return self.file(path, dry_run=dry_run)

    def file(self, path: Path, *, dry_run: bool = False) -> ImportReport:
        return import_customers(
            self.store,
            self.policies,
            path,
            dry_run=dry_run,
            progress=self.progress.append,
            found=self._found,
        )

    def certificates(
        self,
        path: Path,
        *,
        product: str | None = BROWSER,
        dry_run: bool = False,
        trust: Trust = UNVERIFIED,
    ) -> ImportReport:
        return import_certificates(
            self.store,
            self.policies,
            path,
            product=product,
            trust=trust,
            dry_run=dry_run,
            progress=self.progress.append,
            found=self._found,
        )

    def pem(
        self, *ders: bytes, product: str | None = BROWSER, dry_run: bool = False
    ) -> ImportReport:
        path = self.folder / "certificates.pem"
        path.write_bytes(pem(*ders))
        return self.certificates(path, product=product, dry_run=dry_run)

    def table(
        self,
        rows: Iterable[Mapping[str, str]],
        *,
        product: str | None = None,
        dry_run: bool = False,
    ) -> ImportReport:
        listed = list(rows)
        path = self.folder / "certificates.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(
                file, fieldnames=list(dict.fromkeys(k for r in listed for k in r))
            )
            writer.writeheader()
            writer.writerows(listed)
        return self.certificates(path, product=product, dry_run=dry_run)

    def _found(self, finding: ImportFinding) -> None:
        self.findings.append(ReadFinding(finding))

    # --- what became of them --------------------------------------------------------------------

    def everything(self) -> dict[str, list[tuple[object, ...]]]:
        with self.store.engine.connect() as connection:
            return {
                table.name: sorted(
                    (tuple(row) for row in connection.execute(sa.select(table))), key=repr
                )
                for table in metadata.sorted_tables
            }

    def on_file(self) -> list[Customer]:
        with self.store.snapshot() as work:
            return work.customers.read(sa.select(metadata.tables["customers"]).order_by("id"))

    def enrolments(self) -> list[Enrolment]:
        table = metadata.tables["enrolments"]
        with self.store.snapshot() as work:
            return work.enrolments.read(sa.select(table).order_by("customer", "product"))

    def held(self) -> list[Certificate]:
        with self.store.snapshot() as work:
            return work.certificates.read(sa.select(metadata.tables["certificates"]).order_by("id"))

    def states(self) -> dict[str, str]:
        """Serial -> state."""
        return {row.serial: row.state for row in self.held()}

    def opened(self, sealed: bytes | None, column: str, row: int | str) -> str | None:
        return self.store.cipher.open_text(sealed, column, row) if sealed is not None else None

    def said(self) -> list[tuple[str, str, str]]:
        return [(finding.place, finding.field, finding.reason) for finding in self.findings]


def a_customer(**other: str) -> dict[str, str]:
    """
    The sample's first customer, a person with a certificate in the browser; one with another
    reference has another number and address.
    """
    row = next(customer_rows(1)) | {
        "id_number": "A123456789",
        "mobile": "0912345678",
        "mail": "wang@example.com",
        "name": "王小明",
        "product": BROWSER,
        "class": "2",
        "operator": "only user",
        "account": "012345678901",
        "locale": "zh-TW",
    }
    if "reference" in other:
        number = f"{crc32(other['reference'].encode()) % 10**8:08}"
        row |= {"mobile": f"09{number}", "mail": f"wang{number}@example.com"}
    return row | {name.rstrip("_"): value for name, value in other.items()}
