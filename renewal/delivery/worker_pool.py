"""Carries out calls in a bounded pool, and gives each call an answer."""

from __future__ import annotations

from concurrent.futures import CancelledError, ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from renewal.delivery.consumer import BatchActing
from renewal.delivery.failures import describe_failure, log_failure
from renewal.delivery.settlement import FIRST_WAIT
from renewal.errors import GatewayRefusedError, GatewayUnavailableError, GatewayUnsureError
from renewal.eventlog.trace import trace_context
from renewal.outcome import Reject, Retry, why_away, why_unsure
from schema.reasons import OutcomeReason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from renewal.delivery.calls import PendingCall

T = TypeVar("T")
R = TypeVar("R")

#: Whoever stood still for longer may have been taken for dead, and another one may be at it by
#: then: Kafka gives a silent member's events away after 45 s, a slow one's after 300 s.
START_DEADLINE = timedelta(seconds=30)
TOO_LATE = Retry(FIRST_WAIT, OutcomeReason.NOT_BEGUN.why(), spends_a_try=False)


class WorkerPool:
    """
    A bounded number of concurrent calls: each worker takes the next free thing. A batch costs the
    pool one task for each worker, not one for each call.
    """

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=name)
        self._shut_down = False

    def map(self, do: Callable[[T], R], things: Sequence[T]) -> list[R]:
        """
        Apply a function to each thing and return the results in order.

        Raises:
            CancelledError: the pool was shut down; what no worker had taken is not done.
            BaseException: as it was raised; no worker takes anything more.
        """
        left = enumerate(things)
        done: dict[int, R] = {}

        def work() -> None:
            try:
                for nth, thing in left:  # one step of C: two workers never get the same
                    if self._shut_down:
                        return
                    done[nth] = do(thing)
            except BaseException:
                list(left)
                raise

        taken = [self._pool.submit(work) for _ in range(min(self._count, len(things)))]
        for worker in taken:
            worker.result()
        if len(done) < len(things):
            raise CancelledError
        return [done[nth] for nth in range(len(things))]

    def shutdown(self) -> None:
        """Begin nothing more; what is in progress may finish."""
        self._shut_down = True
        self._pool.shutdown(wait=False, cancel_futures=True)


def carry_out(
    consumer: Any,  # noqa: ANN401 - an ``Acting``; one without ``carry_out`` is answered, too
    calls: Sequence[PendingCall],
    workers: WorkerPool | None,
    probe: Callable[[str], None],
    too_late: Callable[[], bool],
) -> Sequence[object]:
    """Return an answer for each call, also for those not begun because it is ``too_late``."""

    def one(this: PendingCall) -> object:
        # Here, because the pool's threads do not inherit the context.
        with trace_context(this.item.record):
            probe("before the call")
            if too_late():
                return TOO_LATE
            answer = _answered(lambda: consumer.carry_out(this.order), group)
            probe("after the call")
        return answer

    group = consumer.group
    if isinstance(consumer, BatchActing) and len(calls) > 1:
        if too_late():
            return [TOO_LATE] * len(calls)
        return _all_at_once(consumer, [this.order for this in calls], group)
    return list(map(one, calls)) if workers is None else workers.map(one, calls)


def _all_at_once(consumer: BatchActing, orders: Sequence[object], group: str) -> Sequence[object]:
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
        return Retry(error.retry_after, why_away(error), spends_a_try=spends, outage=True)
    except GatewayRefusedError as error:
        return Reject(OutcomeReason.REFUSED.why(detail=str(error)))
    except GatewayUnsureError as error:
        return Retry(FIRST_WAIT, why_unsure(error), unsure=True)
    except Exception as error:  # noqa: BLE001 - the outermost loop: what it did is unknown
        log_failure("carrying out failed", group, error)
        return Retry(FIRST_WAIT, why_unsure(describe_failure(error)), unsure=True)
