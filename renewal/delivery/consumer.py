"""The protocols of a consumer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from schema.codec import KIND_NAMES, kind_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from renewal.db.unit_of_work import UnitOfWork
    from renewal.outcome import IfInterrupted, Outcome
    from schema.events import Event


class Consumer(Protocol):
    """Turns events into effects. ``prepare`` runs in a transaction and uses no network."""

    group: ClassVar[str]
    topics: ClassVar[tuple[str, ...]]
    kinds: ClassVar[tuple[type[Event], ...]]

    def preload(self, events: Sequence[Any], work: UnitOfWork) -> None:
        """Read what a batch will need: one query for each table."""
        ...

    def prepare(self, event: Any, work: UnitOfWork, *, outcome_unknown: bool) -> object:  # noqa: ANN401 - its kinds
        """
        Return an outcome, or an order for ``carry_out``.

        ``outcome_unknown``: an earlier attempt was begun and its end is not known; inquire first.
        It is passed to consumers that declare ASK, and stays true until the event has ended.
        """
        ...


class Acting(Consumer, Protocol):
    """A consumer that also calls an outside system."""

    if_interrupted: ClassVar[IfInterrupted]

    def carry_out(self, order: Any) -> object:  # noqa: ANN401 - its own order
        """
        Use the network, without a transaction; return an outcome, or an answer for ``conclude``.
        """
        ...

    def conclude(self, order: Any, answer: Any, work: UnitOfWork) -> Outcome:  # noqa: ANN401 - its own
        """Record what was done, in the transaction that settles the event."""
        ...


def ignored_kinds(consumer: Consumer) -> frozenset[str]:
    """
    The kinds of event on its topics that the consumer ignores. An unknown kind is not among them:
    it is no event of ours and becomes a dead letter.
    """
    return KIND_NAMES.difference(map(kind_name, consumer.kinds))


@runtime_checkable
class BatchActing(Protocol):
    """An acting consumer whose gateway takes many orders at once."""

    def carry_out_all(self, orders: Sequence[Any]) -> Sequence[object]:
        """Carry out all orders; return the answers in their order."""
        ...


@runtime_checkable
class PreloadsOrders(Protocol):
    """An acting consumer that reads before it concludes."""

    def preload_orders(self, orders: Sequence[Any], work: UnitOfWork) -> None:
        """Read what concluding these orders needs: one query for each table."""
        ...
