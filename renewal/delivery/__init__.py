"""The one place that knows of batches, the inbox, retries and dead letters."""

from renewal.delivery.batches import AT_MOST, Delivery
from renewal.delivery.consumer import Acting, Consumer, unwanted
from renewal.delivery.failures import TOO_MANY_OF, TooManyFailuresError
from renewal.delivery.orders import Hands
from renewal.delivery.settlement import FIRST_WAIT, LONGEST_WAIT, MOST_TRIES

__all__ = [
    "AT_MOST",
    "FIRST_WAIT",
    "LONGEST_WAIT",
    "MOST_TRIES",
    "TOO_MANY_OF",
    "Acting",
    "Consumer",
    "Delivery",
    "Hands",
    "TooManyFailuresError",
    "unwanted",
]
