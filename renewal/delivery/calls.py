"""An order on its way: what the pass over a batch hands to the pool of workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from renewal.delivery.inbox import InboxItem


@dataclass(frozen=True, slots=True)
class PendingCall:
    """An order whose intent is on record."""

    item: InboxItem
    order: object
    unsure: bool  #: nobody knows the end of an attempt before this one
