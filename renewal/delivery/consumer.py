"""What delivery asks of a consumer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from schema.codec import KIND_NAMES, kind_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from renewal.outcome import IfInterrupted, Outcome
    from renewal.store.work import Work
    from schema.events import Event


class Consumer(Protocol):
    """
    What follows from events. ``prepare`` runs in a transaction and uses no network.
    """

    group: ClassVar[str]
    topics: ClassVar[tuple[str, ...]]
    kinds: ClassVar[tuple[type[Event], ...]]

    def preload(self, events: Sequence[Any], work: Work) -> None:
        """
        Read what a batch will need: one query for each table.
        """
        ...

    def prepare(self, event: Any, work: Work, *, again: bool) -> object:  # noqa: ANN401 - its kinds
        """
        Answer an outcome, or an order for ``carry_out``.

        ``again``: this was begun before, and nobody knows its end: find out first. It is
        told to consumers that ask if interrupted, and stays true until the event has ended.
        """
        ...


class Acting(Consumer, Protocol):
    """
    A consumer that also acts upon the world outside.
    """

    if_interrupted: ClassVar[IfInterrupted]

    def carry_out(self, order: Any) -> object:  # noqa: ANN401 - its own order
        """
        Use the network, without a transaction; answer an outcome, or an answer for ``conclude``.
        """
        ...

    def conclude(self, order: Any, answer: Any, work: Work) -> Outcome:  # noqa: ANN401 - its own
        """
        Put what was done on record, in the transaction that settles the event.
        """
        ...


def unwanted(consumer: Consumer) -> frozenset[str]:
    """
    The kinds of event on its topics of which it makes nothing. One that nobody knows is not among
    them: it is no event, and is looked at and buried.
    """
    return KIND_NAMES.difference(map(kind_name, consumer.kinds))


@runtime_checkable
class ActingOnMany(Protocol):
    """
    An acting consumer whose gateway takes many orders at once.
    """

    def carry_out_all(self, orders: Sequence[Any]) -> Sequence[object]:
        """
        Carry out all; answer each, in their order.
        """
        ...


@runtime_checkable
class Preloading(Protocol):
    """
    An acting consumer that reads before it concludes.
    """

    def preload_orders(self, orders: Sequence[Any], work: Work) -> None:
        """
        Read what concluding these orders will need: one query for each table.
        """
        ...
