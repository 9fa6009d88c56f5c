"""Runs a PC/SC service of our own with virtual readers, apart from the machine's."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from token_station.simulator.reader import SimulatedReader
from token_station.simulator.vpcd import VpcdSlot

if TYPE_CHECKING:
    from collections.abc import Callable

    from token_station.pcsc import PcscReaders
    from token_station.simulator.card import SimulatedCard

DRIVER = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")
SOCKET = "pcscd.comm"
#: ykcs11 takes only readers with this name.
NAMES = ("Yubico Virtual A", "Yubico Virtual B")
#: The machine's /run is left as it is.
IN_ITS_OWN_RUN = (
    "mount -t tmpfs tmpfs /run && mkdir /run/pcscd && "
    'mount --bind "$1" /run/pcscd && exec /usr/sbin/pcscd --foreground --config "$2"'
)
#: pcscd asks a reader without events for its card each 0.4 s.
SOON = 60.0


class PrivatePcscd:
    """One process with its own socket (a mount namespace over /run/pcscd) and its own readers."""

    def __init__(self, folder: Path) -> None:
        self._run, self._conf = folder / "run", folder / "conf"
        self._run.mkdir()
        self._conf.mkdir()
        self.socket = self._run / SOCKET
        self._process: subprocess.Popen[bytes] | None = None
        self.slots: list[VpcdSlot] = []
        for number, name in enumerate(NAMES):
            port = _free_pair()
            # Each reader needs its own copy of the driver, or their cards mix.
            library = shutil.copy(DRIVER, folder / f"libvpcd{number}.so")
            (self._conf / f"reader{number}").write_text(
                f'FRIENDLYNAME "{name}"\nDEVICENAME /dev/null:0x{port:X}\n'
                f"LIBPATH {library}\nCHANNELID 0x{port:X}\n"
            )
            self.slots.append(VpcdSlot(port, SimulatedReader(name)))

    @property
    def names(self) -> list[str]:
        """How clients see the first slot of each reader."""
        return [f"{name} 00 00" for name in NAMES]

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [
                "unshare",
                "--mount",
                "sh",
                "-c",
                IN_ITS_OWN_RUN,
                "sh",
                str(self._run),
                str(self._conf),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + SOON
        while not self.socket.exists():
            if self._process.poll() is not None or time.monotonic() > until:
                pytest.fail("pcscd does not start: tests of real readers need root", pytrace=False)
            time.sleep(0.02)

    def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGKILL)
            process.wait(SOON)
        (self._run / "pcscd.pid").unlink(missing_ok=True)

    def insert(self, card: SimulatedCard, slot: int = 0) -> None:
        until = time.monotonic() + SOON
        while True:
            try:
                self.slots[slot].insert(card)
                break
            except ConnectionRefusedError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)

    def pull_all(self) -> None:
        for slot in self.slots:
            slot.pull()


def wait_until(readers: PcscReaders, true: Callable[[], bool]) -> None:
    """Wait for what the next events bring."""
    until = time.monotonic() + SOON
    while not true():
        assert time.monotonic() < until, "it has not come in time"
        readers.wait(readers.version, 0.1)


def missing() -> str:
    """Say what these tests lack on this machine, or nothing."""
    for program in ("pcscd", "unshare"):
        if shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None:
            return f"{program} is not installed"
    if not DRIVER.exists():
        return "vsmartcard-vpcd is not installed"
    return "" if os.geteuid() == 0 else "a private pcscd needs root"


def _free_pair() -> int:
    """Return a port that is free with the one after it: a virtual reader has two slots."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port
