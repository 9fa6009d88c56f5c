"""Asks the person at the station: for a PIN, for the last try, for a key to be given up."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Collection

    from schema.reasons import TokenReason
    from token_station.journal import JournalEntry
    from token_station.port import TokenSession


class Operator(Protocol):
    """Whoever stands at the station."""

    def pin(self, job: JournalEntry, tries_left: int | None) -> str | None:
        """Return the PIN for this token, or ``None``: not now."""
        ...

    def releases_last_try(self, job: JournalEntry) -> bool:
        """Say whether a person has expressly released the last try."""
        ...


@runtime_checkable
class GivesUpKeys(Protocol):
    """
    A person who can be asked for an express yes before a key that is not ours is destroyed.

    ``None``: not answered yet; the same question comes again at the next look.
    """

    def gives_up_key(self, job: JournalEntry, key_slot: str, found: TokenReason) -> bool | None: ...


@runtime_checkable
class AssignsSerials(Protocol):
    """A person who can say which blank token this is, where it tells no serial itself."""

    def assigns_serial(self, job: JournalEntry, reader: str) -> bool: ...


@runtime_checkable
class ChoosesPins(Protocol):
    """A person who can be asked for the first PIN of a token."""

    def first_pin(self, job: JournalEntry) -> str | None: ...


class NotAnsweredError(Exception):
    """A person has still to say whether a key is given up."""


class OperatorPrompt:
    """Asks one person about one token at a time; remembers a PIN while its token is present."""

    def __init__(self) -> None:
        self._pins: dict[str, str] = {}
        self._asking = threading.Lock()

    def known_pin(self, token_serial: str) -> str | None:
        return self._pins.get(token_serial)

    def ask_pin(
        self,
        operator: Operator,
        session: TokenSession,
        job: JournalEntry,
        tries_left: int | None,
    ) -> tuple[str | None, bool]:
        """Return the PIN, if one is given now, and whether the last try is released."""
        with session.lent(), self._asking:
            pin = operator.pin(job, tries_left)
            # Where the token does not tell, this may be the last try.
            is_last = pin is not None and tries_left in {1, None}
            return pin, is_last and operator.releases_last_try(job)

    def ask_consent(
        self,
        operator: Operator,
        session: TokenSession,
        job: JournalEntry,
        key_slot: str,
        found: TokenReason,
    ) -> bool:
        """
        Ask for an express yes before a key that is not ours is destroyed.

        Raises:
            NotAnsweredError: the person has not answered yet.
        """
        if not isinstance(operator, GivesUpKeys):
            return False
        with session.lent(), self._asking:
            answer = operator.gives_up_key(job, key_slot, found)
        if answer is None:
            raise NotAnsweredError
        return answer

    def ask_assignment(self, operator: AssignsSerials, job: JournalEntry, reader: str) -> bool:
        with self._asking:
            return operator.assigns_serial(job, reader)

    def ask_release(self, operator: Operator, job: JournalEntry) -> bool:
        with self._asking:
            return operator.releases_last_try(job)

    def ask_first_pin(
        self, operator: Operator, session: TokenSession, job: JournalEntry
    ) -> str | None:
        """Return the PIN that the holder has chosen; ``None``: not now."""
        with session.lent(), self._asking:
            if isinstance(operator, ChoosesPins):
                return operator.first_pin(job)
            return operator.pin(job, None)

    def remember(self, token_serial: str, pin: str) -> None:
        self._pins[token_serial] = pin

    def forget(self, token_serial: str) -> None:
        self._pins.pop(token_serial, None)

    def keep_only(self, present: Collection[str]) -> None:
        """Forget the PIN of each token that has left its reader."""
        for gone in self._pins.keys() - set(present):
            del self._pins[gone]
