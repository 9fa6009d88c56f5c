"""Ends the process, with a signal that nobody can catch, at the n-th pass of one crash point."""

from __future__ import annotations

import os
import signal
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from renewal.db.engine import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from renewal.clock import Clock
    from renewal.db.encryption import FieldCipher
    from renewal.db.unit_of_work import UnitOfWork


@dataclass
class Killer:
    """
    ``point`` is ``<who>: <where>``; without one it only counts who passes where, and how often.
    """

    point: str = ""
    at_pass: int = 0
    lives_for: int = 0  #: points in all; 0 is for ever
    passes: Counter[str] = field(default_factory=Counter)
    #: Whose transactions are watched now; consumers have their own points.
    who: str = ""

    def passing(self, who: str, where: str) -> None:
        name = f"{who}: {where}"
        self.passes[name] += 1
        here = name == self.point and self.passes[name] == self.at_pass
        if here or self.passes.total() == self.lives_for:
            os.kill(os.getpid(), signal.SIGKILL)

    def of(self, who: str) -> Callable[[str], None]:
        return lambda where: self.passing(who, where)

    @contextmanager
    def watching(self, who: str) -> Iterator[None]:
        self.who, before = who, self.who
        try:
            yield
        finally:
            self.who = before


class WatchedStore(Store):
    """A store whose transactions have crash points, named after whoever is watched."""

    killer: Killer

    @classmethod
    def opened(cls, url: str, *, clock: Clock, vault: FieldCipher, killer: Killer) -> WatchedStore:
        """Open it without waiting for the disk: what a killed process has written is kept."""
        store = cls(url, clock=clock, cipher=vault)
        store.killer = killer
        sa.event.listen(store.engine, "connect", _waits_for_no_disk)
        return store

    @contextmanager
    def transaction(self) -> Iterator[UnitOfWork]:
        who = self.killer.who
        if not who:
            with super().transaction() as work:
                yield work
            return
        self.killer.passing(who, "before a transaction")
        with super().transaction() as work:
            yield work
            self.killer.passing(who, "before commit")
        self.killer.passing(who, "after commit")


def _waits_for_no_disk(connection: Any, _record: object) -> None:  # noqa: ANN401 - sqlite3's own
    connection.execute("PRAGMA synchronous=OFF")


class Answering:
    """
    A gateway that does what it is asked; on the way back of its answer there is a crash point.
    """

    def __init__(self, gateway: object, killer: Killer, who: str, *acts: str) -> None:
        self._gateway, self._killer, self._who, self._acts = gateway, killer, who, acts

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the gateway has
        act = getattr(self._gateway, name)
        if name not in self._acts:
            return act

        def and_answer(*given: object, **named: object) -> object:
            self._killer.passing(self._who, f"before {name}")
            answer = act(*given, **named)
            self._killer.passing(self._who, f"{name} done, not answered")
            return answer

        return and_answer
