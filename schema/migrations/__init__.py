"""The steps from one shape of the tables to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

DIALECTS = ("sqlite", "postgresql")


def of_dialect(dialect: str) -> Callable[..., bool]:
    """Tell Alembic which objects a database has: some indexes are made for one of them only."""
    others = tuple(f"_{other}" for other in DIALECTS if other != dialect)

    def include(_object: object, name: str | None, *_: object) -> bool:
        return not (name or "").endswith(others)

    return include
