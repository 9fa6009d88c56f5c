"""Reads bounces that a mail server delivers into a Maildir."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from renewal.errors import GatewayUnavailableError
from renewal.gateways.address import GatewayAddressError
from renewal.gateways.bounces.port import StoredReport
from renewal.gateways.mail.bounce import LONGEST_REPORT
from schema.reasons import SettingReason

if TYPE_CHECKING:
    from collections.abc import Sequence
    from urllib.parse import SplitResult

    from renewal.gateways.address import Surroundings


class Maildir:
    """``new/`` holds what is unread; what is marked moves to ``cur/`` with the flag S."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def close(self) -> None:
        pass

    def unread(self, at_most: int) -> Sequence[StoredReport]:
        try:
            paths = sorted(self._in_new(), key=_arrival)
            return [self._read(path) for path in islice(paths, at_most)]
        except OSError as error:
            raise GatewayUnavailableError(
                f"the Maildir of bounces cannot be read: {error.strerror}"
            ) from error

    def mark(self, key: str) -> None:
        try:
            (self._folder / "cur").mkdir(exist_ok=True)
            (self._folder / "new" / key).rename(self._folder / "cur" / f"{key}:2,S")
        except OSError as error:
            raise GatewayUnavailableError(
                f"a bounce cannot be moved to cur/: {error.strerror}"
            ) from error

    def _in_new(self) -> list[Path]:
        return [path for path in (self._folder / "new").iterdir() if path.is_file()]

    def _read(self, path: Path) -> StoredReport:
        with path.open("rb") as file:
            return StoredReport(key=path.name, raw=file.read(LONGEST_REPORT + 1))


def _arrival(path: Path) -> tuple[float, str]:
    return path.stat().st_mtime, path.name


def from_url(url: SplitResult, _: Surroundings) -> Maildir:
    """
    ``maildir:/var/mail/bounces``.

    Raises:
        GatewayAddressError: there is no such Maildir.
    """
    folder = Path(url.path)
    if url.netloc or not folder.is_absolute() or not (folder / "new").is_dir():
        raise GatewayAddressError(SettingReason.NO_MAILDIR)
    return Maildir(folder)
