"""The station's clerks: names, roles and hashed passwords in one file."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from argon2.exceptions import VerificationError

from renewal.errors import XuqiError
from web import passwords

if TYPE_CHECKING:
    from pathlib import Path

    from renewal.clock import Clock

SHORTEST = 10  #: characters of a clerk's password
WRONG_AT_MOST = 5
SHUT_FOR = timedelta(minutes=15)


class Role(StrEnum):
    CLERK = "clerk"
    SUPERVISOR = "supervisor"


class ClerkError(XuqiError):
    """The clerk cannot be added, or the file cannot be read."""


@dataclass(frozen=True, kw_only=True)
class Clerk:
    name: str  #: by which one logs in
    shown: str
    role: Role
    password: str = field(repr=False)  #: argon2id
    own_tokens: tuple[str, ...] = ()  #: serials that this clerk never works on


class Clerks:
    """
    The clerks of one station. A password is not tried any more after five wrong ones in a row.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._hasher = passwords.hasher()
        self._wrong: dict[str, list[datetime]] = {}
        self._lock = threading.Lock()

    def all(self) -> list[Clerk]:
        if not self._path.exists():
            return []
        try:
            rows = json.loads(self._path.read_text("utf-8"))
            return [_clerk(row) for row in rows]
        except (ValueError, TypeError, KeyError) as error:
            raise ClerkError(f"{self._path} is no list of clerks: move it away") from error

    def find(self, name: str) -> Clerk | None:
        return next((clerk for clerk in self.all() if clerk.name == name), None)

    def add(
        self, name: str, password: str, *, shown: str, role: Role, own_tokens: tuple[str, ...] = ()
    ) -> Clerk:
        """
        Add a clerk, or replace the one of that name.

        Raises:
            ClerkError: the password is too short.
        """
        if len(password) < SHORTEST:
            raise ClerkError(f"a password has {SHORTEST} characters or more")
        clerk = Clerk(
            name=name,
            shown=shown or name,
            role=role,
            password=self._hasher.hash(password),
            own_tokens=own_tokens,
        )
        self._save([*(one for one in self.all() if one.name != name), clerk])
        return clerk

    def remove(self, name: str) -> bool:
        """Say whether there was one of that name."""
        known = self.all()
        kept = [one for one in known if one.name != name]
        if len(kept) < len(known):
            self._save(kept)
        return len(kept) < len(known)

    def check(self, name: str, password: str) -> Clerk | None:
        """
        Return the clerk whose name and password these are; ``None``: wrong, or shut for a while.
        """
        now = self._clock.now()
        with self._lock:
            recent = [at for at in self._wrong.get(name, []) if now - at < SHUT_FOR]
            self._wrong[name] = recent
        clerk = self.find(name)
        if len(recent) >= WRONG_AT_MOST or not self._matches(clerk, password):
            with self._lock:
                self._wrong[name].append(now)
            return None
        with self._lock:
            del self._wrong[name]
        return clerk

    def _matches(self, clerk: Clerk | None, password: str) -> bool:
        # An unknown name takes as long as a known one: one check, of a hash that is made once.
        known = clerk.password if clerk else self._nobody
        try:
            self._hasher.verify(known, password)
        except VerificationError:
            return False
        return clerk is not None

    @cached_property
    def _nobody(self) -> str:
        return self._hasher.hash("")

    def _save(self, clerks: list[Clerk]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_name(self._path.name + ".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump([asdict(clerk) for clerk in clerks], file, ensure_ascii=False, indent=1)
        fresh.replace(self._path)


def _clerk(row: dict[str, object]) -> Clerk:
    return Clerk(
        name=str(row["name"]),
        shown=str(row["shown"]),
        role=Role(str(row["role"])),
        password=str(row["password"]),
        own_tokens=tuple(map(str, row.get("own_tokens", ()))),  # type: ignore[call-overload] # JSON
    )
