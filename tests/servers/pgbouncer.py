"""A private PgBouncer before a private PostgreSQL server."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Iterator

READY_WITHIN = 30  #: seconds, on a machine under load
PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@contextmanager
def pooled(url: str, mode: str, **settings: object) -> Iterator[str]:
    """Run a pooler in that mode before the database; give the database's URL through it."""
    assert PROGRAM is not None, "pgbouncer is missing (Debian: pgbouncer): make test brings it"
    folder = Path(tempfile.mkdtemp(prefix="xuqi-pooler-"))
    known = sa.make_url(url)
    lines = {
        "listen_addr": "",
        "unix_socket_dir": folder,
        "auth_type": "any",
        "pool_mode": mode,
        "ignore_startup_parameters": "extra_float_digits",
        **settings,
    }
    ini = folder / "pgbouncer.ini"
    server = f"host={known.query['host']} user={known.username}"
    text = "".join(f"{name} = {value}\n" for name, value in lines.items())
    ini.write_text(f"[databases]\n* = {server}\n[pgbouncer]\n{text}", encoding="utf-8")
    who: dict[str, Any] = {}
    if os.geteuid() == 0:  # it refuses to run as root
        for path in (folder, ini):
            shutil.chown(path, "nobody", "nogroup")
        who = {"user": "nobody", "group": "nogroup", "extra_groups": []}
    log = (folder / "log").open("wb")
    with log, subprocess.Popen([PROGRAM, ini], stdout=log, stderr=log, cwd="/", **who) as running:
        try:
            _await(running, folder / ".s.PGSQL.6432", folder / "log")
            through = known.set(port=6432, query={"host": str(folder)})
            yield through.render_as_string(hide_password=False)
        finally:
            running.kill()
    shutil.rmtree(folder)


def _await(running: subprocess.Popen[bytes], socket: Path, log: Path) -> None:
    until = time.monotonic() + READY_WITHIN
    while not socket.exists():
        if running.poll() is not None or time.monotonic() > until:
            raise AssertionError(f"pgbouncer does not start: {log.read_text(encoding='utf-8')}")
        time.sleep(0.02)
