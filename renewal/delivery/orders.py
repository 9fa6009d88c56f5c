"""Carries orders out, and answers each of them whatever happens."""

from __future__ import annotations

from concurrent.futures import CancelledError, ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from renewal.delivery.consumer import ActingOnMany
from renewal.delivery.failures import complain, what_failed
from renewal.delivery.settlement import FIRST_WAIT
from renewal.errors import GatewayRefusedError, GatewayUnavailableError, GatewayUnsureError
from renewal.eventlog.trace import About
from renewal.outcome import Reject, Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from renewal.delivery.wave import Begun

T = TypeVar("T")
R = TypeVar("R")

#: Whoever stood still for longer may have been taken for dead, and another one may be at it by
#: then: Kafka gives a silent member's events away after 45 s, a slow one's after 300 s.
BEGINS_WITHIN = timedelta(seconds=30)
TOO_LATE = Retry(FIRST_WAIT, "not begun in time", spends_a_try=False)


class Hands:
    """
    So many calls at once, and no more: each hand takes the next thing that none has taken yet. A
    batch costs the pool one task for each hand, and not one for each call.
    """

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=name)
        self._let_go = False

    def map(self, do: Callable[[T], R], things: Sequence[T]) -> list[R]:
        """
        Do it to each, and answer in their order once all is done.

        Raises:
            CancelledError: they were let go; what none had taken is not done.
            BaseException: as it was raised; none takes anything more.
        """
        left = enumerate(things)
        done: dict[int, R] = {}

        def work() -> None:
            try:
                for nth, thing in left:  # a step of C: two hands are never given the same
                    if self._let_go:
                        return
                    done[nth] = do(thing)
            except BaseException:
                list(left)
                raise

        hands = [self._pool.submit(work) for _ in range(min(self._count, len(things)))]
        for hand in hands:
            hand.result()
        if len(done) < len(things):
            raise CancelledError
        return [done[nth] for nth in range(len(things))]

    def let_go(self) -> None:
        """
        Begin nothing more; who is at it may finish.
        """
        self._let_go = True
        self._pool.shutdown(wait=False, cancel_futures=True)


def carry_out(
    consumer: Any,  # noqa: ANN401 - an ``Acting``; one without ``carry_out`` is answered, too
    begun: Sequence[Begun],
    hands: Hands | None,
    probe: Callable[[str], None],
    too_late: Callable[[], bool],
) -> Sequence[object]:
    """
    Answer each, also what is not begun because it is ``too_late`` for that.
    """

    def one(this: Begun) -> object:
        with About(this.item.record):  # here, for the pool's threads have no context of ours
            probe("before the call")
            if too_late():
                return TOO_LATE
            answer = _answered(lambda: consumer.carry_out(this.order), group)
            probe("after the call")
        return answer

    group = consumer.group
    if isinstance(consumer, ActingOnMany) and len(begun) > 1:
        if too_late():
            return [TOO_LATE] * len(begun)
        return _all_at_once(consumer, [this.order for this in begun], group)
    return list(map(one, begun)) if hands is None else hands.map(one, begun)


def _all_at_once(consumer: ActingOnMany, orders: Sequence[object], group: str) -> Sequence[object]:
    def act() -> Sequence[object]:
        answers = consumer.carry_out_all(orders)
        if len(answers) != len(orders):
            raise ValueError(f"{len(answers)} answers to {len(orders)} orders")
        return answers

    answers = _answered(act, group)
    return answers if isinstance(answers, list | tuple) else [answers] * len(orders)


def _answered(act: Callable[[], object], group: str) -> object:
    try:
        return act()
    except GatewayUnavailableError as error:
        spends = error.spends_a_try
        return Retry(error.retry_after, str(error), spends_a_try=spends, outage=True)
    except GatewayRefusedError as error:
        return Reject(str(error))
    except GatewayUnsureError as error:
        return Retry(FIRST_WAIT, f"unsure: {error}", unsure=True)
    except Exception as error:  # noqa: BLE001 - the outermost loop: what it did is unknown
        complain("carrying out failed", group, error)
        return Retry(FIRST_WAIT, f"unsure: {what_failed(error)}", unsure=True)
