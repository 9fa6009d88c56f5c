"""Which text of the terms a customer has agreed to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from schema.tables.web import agreements as t

if TYPE_CHECKING:
    from datetime import datetime

    from renewal.db.unit_of_work import UnitOfWork


@dataclass(frozen=True, kw_only=True)
class Agreement:
    customer: int
    product: str
    version: str
    locale: str
    text_sha256: bytes
    at: datetime
    session_hash: bytes
    renewal: str | None


def keep(work: UnitOfWork, agreement: Agreement) -> None:
    work.connection.execute(sa.insert(t).values(vars(agreement)))
