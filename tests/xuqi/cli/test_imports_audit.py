"""Who takes a file in is in the audit trail before the first row is."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from back_office.imports.sample import customer_rows, write_customers
from schema.tables.log import audit
from tests.xuqi import sample

if TYPE_CHECKING:
    from pathlib import Path


def test_an_import_is_in_the_audit_trail_and_a_dry_run_is_not(tmp_path: Path) -> None:
    file = tmp_path / "wang-siaoming.csv"
    write_customers(file, customer_rows(3))
    with sample.opened(tmp_path / "bank") as bank:
        bank.run("import", "customers", str(file), "--dry-run")
        bank.run("import", "customers", str(file))
        with bank.app.store.snapshot() as look:
            lines = look.connection.execute(
                sa.select(audit.c.who, audit.c.did, audit.c.object)
            ).all()

    [(who, did, which)] = lines
    assert (who, did) == (getpass.getuser(), "import customers")
    assert which.startswith("file sha256 ")
    assert "wang" not in which
