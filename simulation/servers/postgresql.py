"""A private PostgreSQL server on a Unix socket."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from simulation.servers import CannotStartError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Debian keeps the server's programs out of the path.
DEBIAN = Path("/usr/lib/postgresql")
#: Durability is the database's own business, and slow: these clusters do not outlive a test run.
QUICK = "-c fsync=off -c shared_buffers=32MB"
#: As it would be installed: what was committed outlives a power cut.
DURABLE = "-c fsync=on -c synchronous_commit=on -c shared_buffers=512MB"


@dataclass(frozen=True)
class PostgresServer:
    """A server that can be stopped and started again."""

    folder: Path
    options: str

    @property
    def url(self) -> str:
        """Of its database ``postgres``."""
        return f"postgresql+psycopg://xuqi@/postgres?host={self.folder}"

    def start(self) -> None:
        log = self.folder / "log"
        _run("pg_ctl", "start", "-w", "-D", self.folder / "data", "-l", log, "-o", self.options)

    def stop(self) -> None:
        """As by a power cut: nobody is waited for, and the next start recovers from its log."""
        _run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", self.folder / "data")

    @contextmanager
    def gone(self) -> Iterator[None]:
        """Stopped, and started again."""
        self.stop()
        try:
            yield
        finally:
            self.start()


@contextmanager
def server(settings: str = DURABLE, *, connections: int = 100) -> Iterator[PostgresServer]:
    folder = Path(tempfile.mkdtemp(prefix="xuqi-pg-"))
    options = f"-c listen_addresses='' -c max_connections={connections} {settings} -k {folder}"
    made = PostgresServer(folder, options)
    try:
        _made(folder)
        made.start()
        try:
            yield made
        finally:
            made.stop()
    finally:
        shutil.rmtree(folder)


@contextmanager
def cluster(settings: str = QUICK, *, connections: int = 40) -> Iterator[str]:
    """Run a server; give the URL of its database ``postgres``."""
    with server(settings, connections=connections) as made:
        yield made.url


def _made(folder: Path) -> None:
    if os.geteuid() == 0:
        shutil.chown(folder, "nobody", "nogroup")
    options = ("-U", "xuqi", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
    _run("initdb", "-D", folder / "data", *options)


def _run(name: str, *arguments: str | Path) -> None:
    # The server refuses to run as root.
    who: dict[str, Any] = {}
    if os.geteuid() == 0:
        who = {"user": "nobody", "group": "nogroup", "extra_groups": []}
    command = [_program(name), *map(str, arguments)]
    # Not through a pipe: the server would inherit it, and its end would never come.
    with tempfile.TemporaryFile() as printed:
        done = subprocess.run(command, stdout=printed, stderr=printed, check=False, cwd="/", **who)
        printed.seek(0)
        if done.returncode != 0:
            raise CannotStartError(f"{name}: {printed.read().decode()}")


def _program(name: str) -> str:
    found = shutil.which(name) or next(map(str, DEBIAN.glob(f"*/bin/{name}")), None)
    if found is None:
        raise CannotStartError(f"{name} is missing: PostgreSQL's server (Debian: postgresql)")
    return found


@contextmanager
def database(server: str, name: str, *, template: str = "template1") -> Iterator[str]:
    """Make a database; give its URL."""
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        yield sa.make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f'DROP DATABASE "{name}" WITH (FORCE)')
        engine.dispose()
