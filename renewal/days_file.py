"""Keeps a bank's own days as its file has them now: a typhoon is announced on the eve."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from renewal.errors import XuqiError
from renewal.rules.bank_days import BankDays, BankDaysError, read_bank_days

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)


class DaysFileError(XuqiError):
    """The file of the bank's days cannot be used; the text says what to write."""


@dataclass
class DaysFile:
    """Read again when it has changed. A broken change is logged, and the days before it stand."""

    path: Path
    _seen: tuple[int, int, int] | None = None
    _days: BankDays = field(default_factory=BankDays)

    def check(self) -> None:
        """
        Raises:
            DaysFileError: it cannot be used.
        """
        self._read(self._mark())

    def __call__(self) -> BankDays:
        mark = self._mark()
        if mark != self._seen:
            try:
                self._read(mark)
            except DaysFileError as error:
                self._seen = mark  # told once
                log.error("the bank's days stay as they were: %s", error)  # noqa: TRY400 - ours
        return self._days

    def _mark(self) -> tuple[int, int, int] | None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self, mark: tuple[int, int, int] | None) -> None:
        try:
            days = read_bank_days(self.path.read_text(encoding="utf-8")) if mark else BankDays()
        except (BankDaysError, OSError, UnicodeDecodeError) as error:
            raise DaysFileError(f"{self.path.name}: {error}") from error
        self._days, self._seen = days, mark
