"""Queries about addresses that were replaced and have not been told of it yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from schema.tables.people import replaced_addresses

if TYPE_CHECKING:
    from datetime import datetime

    from renewal.db.rows import ReplacedAddress
    from renewal.db.unit_of_work import UnitOfWork


def forget(work: UnitOfWork, kept: ReplacedAddress) -> None:
    """It has been told, or cannot be."""
    c = replaced_addresses.c
    mine = (
        c.customer == kept.customer,
        c.contact_version == kept.contact_version,
        c.channel == kept.channel,
    )
    work.connection.execute(sa.delete(replaced_addresses).where(*mine))


def forget_older(work: UnitOfWork, than: datetime) -> int:
    """Forget those that were replaced before then; return how many they were."""
    old = replaced_addresses.c.replaced_at < than
    return work.connection.execute(sa.delete(replaced_addresses).where(old)).rowcount
