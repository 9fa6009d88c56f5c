"""Migrates a database to the shape that this program knows."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from schema.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The newest revision under ``migrations/versions``.
HEAD = "0030"
MIGRATIONS = Path(__file__).parent / "migrations"

_version = sa.Table(
    "alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True)
)


class MigrationError(RuntimeError):
    """The database cannot be brought to this shape; the text says why and what to do."""


def upgrade(url: str | sa.URL) -> None:
    """
    Make the tables, or bring them up to date, or find that they are.

    Several processes may do so at once: one does it, the others wait for it.

    Raises:
        MigrationError: the database is newer than this code, or is somebody else's.
    """
    with _connected(sa.make_url(url)) as connection:
        found = version_of(connection)
        if found == HEAD:
            return
        if found is not None and found not in known():
            raise MigrationError(
                f"the database has version {found}, and this program knows them up to {HEAD}: "
                "run the program that made it, or a newer one"
            )
        strangers = set(sa.inspect(connection).get_table_names()) & set(metadata.tables)
        if found is None and strangers:
            raise MigrationError(
                f"the database has tables of ours ({min(strangers)}, ...) but no version: "
                "it was not made by this program; give an empty one"
            )
        if found is None and connection.dialect.name == "sqlite":
            _make(connection)  # the same tables, without waiting for Alembic to be imported
        else:
            _alembic(connection, HEAD)


def check(url: str | sa.URL) -> None:
    """
    Find that the tables are as this code knows them, or that there are none yet.

    Raises:
        MigrationError: they are of another version; only `xuqi db upgrade` changes them.
    """
    with _connected(sa.make_url(url)) as connection:
        found = version_of(connection)
    if found is not None and found in known() and found != HEAD:
        raise MigrationError(
            f"the database has version {found}, and this program needs {HEAD}: stop what is "
            "running, make a backup, and run `xuqi db upgrade`"
        )


def downgrade(url: str | sa.URL, revision: str) -> None:
    """
    Take the tables back to an older shape, for a program that knows no newer one.

    Raises:
        MigrationError: there is no such older shape to go back to.
    """
    with _connected(sa.make_url(url)) as connection:
        found = version_of(connection)
        if found not in known() or revision not in known() or revision > found:
            raise MigrationError(f"the database has version {found}: no way back to {revision}")
        _alembic(connection, revision)


def known() -> list[str]:
    """Every revision, the oldest first."""
    return sorted(path.name[:4] for path in MIGRATIONS.glob("versions/[0-9]*_*.py"))


def version_of(connection: sa.Connection) -> str | None:
    """The revision that the database is at; ``None`` if it has none."""
    if not sa.inspect(connection).has_table(_version.name):
        return None
    found: str | None = connection.scalar(sa.select(_version.c.version_num))
    return found


def _make(connection: sa.Connection) -> None:
    metadata.create_all(connection, checkfirst=False)
    _version.create(connection, checkfirst=True)
    connection.execute(sa.insert(_version).values(version_num=HEAD))


def _alembic(connection: sa.Connection, revision: str) -> None:
    from alembic import command, config  # noqa: PLC0415 - takes longer than all the rest

    settings = config.Config()
    settings.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    settings.attributes["connection"] = connection
    goes_up = (version_of(connection) or "") <= revision
    (command.upgrade if goes_up else command.downgrade)(settings, revision)


@contextmanager
def _connected(url: sa.URL) -> Iterator[sa.Connection]:
    """One transaction that nobody else migrates beside."""
    is_sqlite = url.get_backend_name() == "sqlite"
    if is_sqlite and url.database and url.database != ":memory:":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool, hide_parameters=True)
    if is_sqlite:
        sa.event.listen(engine, "connect", _by_hand)
        sa.event.listen(engine, "begin", _alone)
    with engine.begin() as connection:
        if not is_sqlite:
            alone = "SELECT pg_advisory_xact_lock(hashtextextended('migrations', 0))"
            connection.exec_driver_sql(alone)
        yield connection


def _by_hand(connection: Any, _record: object) -> None:  # noqa: ANN401 - sqlite3's own
    connection.isolation_level = None  # else it would commit before each CREATE TABLE


def _alone(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
