"""A Redis of our own on a Unix socket, which the peer's tasks wait in."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from simulation.servers import CannotStartError

if TYPE_CHECKING:
    from collections.abc import Iterator

READY_WITHIN = 20.0  #: seconds


@contextmanager
def running() -> Iterator[str]:
    """Run a server that keeps nothing on disk, which is its fastest; give its URL."""
    program = shutil.which("redis-server")
    if program is None:
        raise CannotStartError("redis-server is missing: `make bench` installs it")
    with tempfile.TemporaryDirectory(prefix="xuqi-redis-") as folder:
        socket = Path(folder) / "redis.sock"
        settings = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", folder]
        process = subprocess.Popen([program, *settings], stdout=subprocess.DEVNULL)
        try:
            _wait_for(socket, process)
            yield f"redis+socket://{socket}"
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_for(socket: Path, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + READY_WITHIN
    while not socket.exists():
        if process.poll() is not None or time.monotonic() > until:
            raise CannotStartError("redis-server did not start")
        time.sleep(0.05)
