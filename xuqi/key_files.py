"""Reads and makes the installation's own secrets: a file for each name and number."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import TYPE_CHECKING, Final

from renewal.errors import ReasonedError
from renewal.keys import KEY_NAMES, Keys
from renewal.os_errors import os_error
from renewal.secret import Secret, keep_secret, secret_from_file, secret_made_once
from schema.reasons import SettingReason
from xuqi.settings import SECRET_PREFIX, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from schema.reasons import Reason
    from xuqi.settings import Settings

#: Bytes of a secret at least: 128 bits. An HMAC key of less than 112 protects nothing any more
#: (NIST SP 800-131A, 10).
SHORTEST: Final = 16
#: Of the one by which tokens know their station: a key of AES (FIPS 197), or of triple DES.
OF_A_TOKEN: Final = (16, 24, 32)
#: The first byte of a sealed value holds the number in seven bits.
HIGHEST: Final = 127
_NUMBERED = re.compile(r"(?P<name>[a-z-]+)(?:\.(?P<number>[1-9][0-9]{0,2}))?\.key")
#: An installation of before has none of these: what stands for it follows from another key.
MAY_LACK: Final = frozenset({"audit"})


@dataclass(frozen=True)
class KeyFiles:
    """
    ``<name>.key`` is number 1, ``<name>.<n>.key`` number n; the environment goes before a file.
    """

    folder: Path
    environment: Mapping[str, str]

    def path(self, name: str, number: int) -> Path:
        return self.folder / (f"{name}.key" if number == 1 else f"{name}.{number}.key")

    def numbers(self, name: str) -> set[int]:
        numbers = _numbers(name)
        found = {numbers[key] for key in numbers.keys() & self.environment if self.environment[key]}
        for file in self._files():
            fits = _NUMBERED.fullmatch(file) if file.startswith(name) else None
            if fits and fits["name"] == name and int(fits["number"] or 1) <= HIGHEST:
                found.add(int(fits["number"] or 1))
        return found

    def names(self) -> set[str]:
        """Which of the installation's own secrets are given here."""
        return {name for name in KEY_NAMES if self.numbers(name)}

    def kept(self, name: str) -> dict[int, Secret]:
        """The keys of that name; none is no error."""
        return {number: self._read(name, number) for number in sorted(self.numbers(name))}

    def ring(self, name: str) -> dict[int, Secret]:
        """
        Raises:
            SettingsError: there is none of that name, or it is none.
        """
        found = self._at_least_one(name)
        for other in KEY_NAMES:
            if other != name:
                _check_apart(name, found, other, self._readable(other))
        return found

    def check(self) -> None:
        """
        Read each key once.

        Raises:
            SettingsError: one is missing or is none, or serves two purposes.
        """
        found = {
            name: self._at_least_one(name)
            for name in KEY_NAMES
            if name not in MAY_LACK or self.numbers(name)
        }
        for one, other in combinations(found, 2):
            _check_apart(one, found[one], other, found[other])

    def make(self, name: str, number: int = 1) -> Secret:
        """
        Make that key, once.

        Raises:
            SettingsError: the folder cannot be written.
        """
        length = 12 if name == "tokens" else 32  # 24 hex digits: an AES-192 key
        path = self.path(name, number)
        with _writing(path):
            return secret_made_once(path, length=length)

    def write_out(self, name: str, content: bytes) -> None:
        """
        Keep what followed from a key that is to be replaced, unless it is kept already.

        Raises:
            SettingsError: the folder cannot be written.
        """
        path = self.path(name, 1)
        with _writing(path):
            if not self.numbers(name):
                keep_secret(path, content)

    def _given(self, name: str, number: int) -> str | None:
        return self.environment.get(variable(name, number)) or None

    def _read(self, name: str, number: int) -> Secret:
        given, path = self._given(name, number), self.path(name, number)
        try:
            found = Secret(given.encode()) if given else secret_from_file(path)
        except ReasonedError as error:
            raise SettingsError("XUQI_SECRETS", error.reason) from error
        where = variable(name, number) if given else str(path)
        why = _no_key(name, len(found.value), where)
        if why:
            raise SettingsError(where if given else "XUQI_SECRETS", why)
        return found

    def _files(self) -> Iterable[str]:
        try:
            return [path.name for path in self.folder.iterdir()]
        except OSError:
            return ()  # whoever needs one is told why

    def _at_least_one(self, name: str) -> dict[int, Secret]:
        found = self.kept(name)
        if not found:
            missing = SettingReason.SECRET_MISSING.why(file=str(self.path(name, 1)))
            raise SettingsError("XUQI_SECRETS", missing)
        return found

    def _readable(self, name: str) -> dict[int, Secret]:
        try:
            return self.kept(name)
        except SettingsError:
            return {}  # whoever needs it is told why


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = SettingReason.CANNOT_BE_MADE.why(detail=os_error(error))
        raise SettingsError(str(path), why) from error


def _check_apart(
    name: str, keys: Mapping[int, Secret], other: str, others: Mapping[int, Secret]
) -> None:
    if set(keys.values()) & set(others.values()):
        first, second = sorted((name, other), key=KEY_NAMES.index)
        why = SettingReason.SAME_KEYS.why(first=first, second=second)
        raise SettingsError("XUQI_SECRETS", why)


def variable(name: str, number: int) -> str:
    plain = SECRET_PREFIX + name.upper().replace("-", "_")
    return plain if number == 1 else f"{plain}_{number}"


@cache
def _numbers(name: str) -> Mapping[str, int]:
    """The variables that can hold a key of that name, with its number."""
    return {variable(name, number): number for number in range(1, HIGHEST + 1)}


def key_files(settings: Settings, environment: Mapping[str, str] = os.environ) -> KeyFiles:
    return KeyFiles(settings.secrets_folder, environment)


def read_keys(settings: Settings, environment: Mapping[str, str] = os.environ) -> Keys:
    """
    The secrets, from the environment or their files. In the home folder all of them are made at the
    first start, and never in a home that is in use; of a folder that is named, each is read when
    it is needed.

    Raises:
        SettingsError: a secret is missing, unreadable, no key, or used for two purposes.
    """
    files = key_files(settings, environment)
    if settings.secrets and not settings.secrets.is_dir():
        files.ring(KEY_NAMES[0])  # unless the environment has it, this says that there is none
    if not settings.secrets:
        is_kept = settings.is_used
        for name in KEY_NAMES:
            if not is_kept and not files.numbers(name):
                files.make(name)
        files.check()
    return Keys(files.ring, files.kept)


def _no_key(name: str, length: int, file: str) -> Reason | None:
    """Why a secret of this size does not fit its purpose."""
    if name == "tokens" and length not in OF_A_TOKEN:
        return SettingReason.TOKEN_KEY_LENGTH.why(file=file, bytes=length)
    if length < SHORTEST:
        return SettingReason.KEY_TOO_SHORT.why(file=file, bytes=length, least=SHORTEST)
    return None
