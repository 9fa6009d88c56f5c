"""Two warm processes that play the small bank's story, and how it ends when nobody is killed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

import pytest

from tests.crash.forks import Bank, Ended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOURCES = Path(__file__).parents[2]
AT_ONCE = 2


@dataclass(frozen=True)
class Banks:
    """Plays many stories, two at once."""

    free: SimpleQueue[Bank]
    unhurt: Ended

    def play_all(self, cases: list[tuple[str, int]]) -> list[str]:
        """Kill at each of these points; return what went wrong, and where."""
        with ThreadPoolExecutor(AT_ONCE) as threads:
            return [wrong for wrong in threads.map(self._wrong, cases) if wrong]

    def _wrong(self, case: tuple[str, int]) -> str:
        ended = self.play(lambda bank: bank.play(*case))
        return wrong_with(ended, self.unhurt, f"{case[0]}, pass {case[1]}")

    def play(self, how: Callable[[Bank], Ended]) -> Ended:
        bank = self.free.get()
        try:
            return how(bank)
        finally:
            self.free.put(bank)


def wrong_with(ended: Ended, unhurt: Ended, case: str) -> str:
    """Say what is not as if nobody had been killed."""
    told = [] if ended.kills else ["nobody was killed"]
    told += ended.violations
    for what, was in unhurt.outcome.items():
        now = ended.outcome[what]
        if now != was:
            lost, new = (
                [one for one in was if one not in now],
                [one for one in now if one not in was],
            )
            told.append(f"{what}: missing {lost}, unexpected {new}")
    return f"killed at {case}:\n  " + "\n  ".join(told) if told else ""


@pytest.fixture(scope="session")
def banks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Banks]:
    free: SimpleQueue[Bank] = SimpleQueue()
    with ExitStack() as running:
        for _ in range(AT_ONCE):
            bank = running.enter_context(Bank(tmp_path_factory.mktemp("bank"), SOURCES))
            free.put(bank)
        yield Banks(free, bank.play())
