"""How many calls are open at once, and what becomes of the others when one fails."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from renewal.delivery import WorkerPool

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNT = 4


@pytest.fixture
def hands() -> Iterator[WorkerPool]:
    hands = WorkerPool(COUNT, "tests")
    yield hands
    hands.shutdown()


def test_each_thing_is_done_once_and_answered_in_its_place(hands: WorkerPool) -> None:
    done: list[int] = []

    def call(thing: int) -> int:
        done.append(thing)
        return -thing

    answers = hands.map(call, range(1000))

    assert answers == [-thing for thing in range(1000)]
    assert sorted(done) == list(range(1000))
    assert hands.map(abs, []) == []


def test_as_many_are_open_at_once_as_there_are_hands_and_never_more(hands: WorkerPool) -> None:
    all_there, lock = threading.Barrier(COUNT, timeout=60), threading.Lock()
    open_now = most = 0

    def call(nth: int) -> None:
        nonlocal open_now, most
        with lock:
            open_now += 1
            most = max(most, open_now)
        if nth < COUNT:
            all_there.wait()
        with lock:
            open_now -= 1

    hands.map(call, range(50))

    assert most == COUNT


def test_when_one_fails_nothing_more_is_begun(hands: WorkerPool) -> None:
    begun: list[int] = []
    failed = threading.Event()

    def call(thing: int) -> None:
        begun.append(thing)
        if thing == 0:
            failed.set()
            raise KeyError(thing)
        failed.wait(10)

    with pytest.raises(KeyError):
        hands.map(call, range(10_000))

    assert len(begun) < 10_000


def test_who_is_let_go_finishes_what_is_in_hand_and_begins_nothing(hands: WorkerPool) -> None:
    held, released = threading.Barrier(COUNT + 1, timeout=60), threading.Event()
    done: list[int] = []

    def call(thing: int) -> None:
        held.wait()
        released.wait(10)
        done.append(thing)

    with ThreadPoolExecutor(1) as aside:
        mapped = aside.submit(hands.map, call, range(100))
        held.wait()
        hands.shutdown()
        released.set()
        with pytest.raises(CancelledError):
            mapped.result(10)

    assert sorted(done) == list(range(COUNT))
