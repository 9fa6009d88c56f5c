"""Delivery: batches, the inbox, retries and dead letters, known nowhere else."""

from renewal.delivery.consumer import Acting, Consumer, ignored_kinds
from renewal.delivery.failures import TRIP_THRESHOLD, TooManyFailuresError
from renewal.delivery.runner import BATCH_SIZE, ConsumerRunner
from renewal.delivery.settlement import FIRST_WAIT, MAX_TRIES, MAX_WAIT
from renewal.delivery.worker_pool import WorkerPool

__all__ = [
    "BATCH_SIZE",
    "FIRST_WAIT",
    "MAX_TRIES",
    "MAX_WAIT",
    "TRIP_THRESHOLD",
    "Acting",
    "Consumer",
    "ConsumerRunner",
    "TooManyFailuresError",
    "WorkerPool",
    "ignored_kinds",
]
