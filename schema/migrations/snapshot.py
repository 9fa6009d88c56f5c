"""Writes the tables as they are into the first revision: before the first release, not after."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from schema.migrations import DIALECTS
from schema.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Iterator


def statements(dialect: str) -> str:
    """
    Everything that makes the tables, one statement a paragraph.
    """
    said: list[str] = []

    def say(statement: sa.schema.ExecutableDDLElement, *_: object, **__: object) -> None:
        lines = str(statement.compile(dialect=engine.dialect)).strip().splitlines()
        said.append("\n".join(line.rstrip() for line in lines if line.strip()))

    engine = sa.create_mock_engine(f"{dialect}+psycopg://".replace("sqlite+psycopg", "sqlite"), say)
    metadata.create_all(engine, checkfirst=False)
    return "\n\n".join(_in_one_order(said)) + "\n"


def _in_one_order(said: list[str]) -> Iterator[str]:
    """
    A table's indexes come as from a set: sort them.
    """
    for are_indexes, some in groupby(said, key=_makes_an_index):
        found = list(some)
        yield from sorted(found) if are_indexes else found


def _makes_an_index(statement: str) -> bool:
    return statement.startswith(("CREATE INDEX", "CREATE UNIQUE INDEX"))


def file(dialect: str) -> Path:
    return Path(__file__).parent / "versions" / f"0001_initial.{dialect}.sql"


if __name__ == "__main__":
    for name in DIALECTS:
        file(name).write_text(statements(name), encoding="utf-8")
