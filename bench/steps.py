"""The same durable work per step: the bare driver, our plumbing, Celery and Procrastinate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import peers, pipeline, plumbing, redis_server, servers
from bench.figures import Figure, at_least, median, ratio, rounded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SHARE, CELERY, PROCRASTINATE = 40, 20, 30  #: the goals: per cent, times, times
METHOD = (
    "The same durable work: four steps; each reads an event of 200 bytes, notes it in an inbox, "
    "changes a row with a version check and tells the next event. PostgreSQL with fsync and "
    "synchronous_commit on, SQLite in WAL with synchronous=FULL. Bare: the driver itself, one step "
    "after another, transactions of 500. Ours: four consumers that decide nothing, through "
    "delivery, inbox, store and embedded log with all their guarantees, transactions of up to 500; "
    "one after another like the bare driver, and at once, in threads of one process, as they are "
    "served. Beside the latter stand Celery (prefork, a process for each core, acks_late, Redis "
    "that keeps nothing on disk) and Procrastinate (a worker for each core, ten jobs at once) on "
    "the bare tables, one task and one commit for each event: batches stand against single commits "
    "here, and that is most of the difference. All sides {rounds} times in turn, the median of the "
    "rounds' ratios; the rows of every side are counted in the end."
)


def figures(*, items: int, peer_items: int, rounds: int = 3) -> list[Figure]:
    """All sides, in turn; ``peer_items`` for those that commit each task."""
    with servers.postgresql() as server, redis_server.running() as broker:
        sides: Mapping[str, tuple[str | None, Callable[[str], float]]] = {
            "bare": (server, lambda url: pipeline.items_a_second(url, items)),
            "ours": (server, lambda url: plumbing.items_a_second(url, items)),
            "at once": (server, lambda url: plumbing.items_a_second(url, items, at_once=True)),
            "celery": (server, lambda url: peers.celery(url, broker, peer_items)),
            "procrastinate": (server, lambda url: peers.procrastinate(url, peer_items)),
            "bare SQLite": (None, lambda url: pipeline.items_a_second(url, items)),
            "ours SQLite": (None, lambda url: plumbing.items_a_second(url, items)),
        }
        found: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(rounds):
            for name, (where, rate) in sides.items():
                with servers.emptied(where) as url:
                    found[name].append(rate(url) * len(pipeline.STEPS))
    return _told(found, METHOD.format(rounds=rounds))


def _told(found: Mapping[str, list[float]], method: str) -> list[Figure]:
    def bare(name: str, where: str) -> Figure:
        what = f"four durable steps, {where}: the bare driver, batches of 500"
        return Figure(what=what, value=median(found[name]), unit="steps/s", method=method)

    def ours(name: str, beside: str, where: str) -> Figure:
        what = f"the same through our plumbing, {where}; of the bare driver's rate"
        return _beside(what, found[name], 100 * ratio(found[name], found[beside]), "%", SHARE)

    def at_once(name: str, beside: str) -> Figure:
        share = 100 * ratio(found[name], found[beside])
        what = "the same with our four consumers at once; of the bare driver's rate"
        return Figure(what=what, value=share, unit="%", shown=_shown(found[name], share, "%"))

    def peer(name: str, what: str, goal: float) -> Figure:
        what = f"the same by {what}, one commit for each task; ours at once are faster by"
        return _beside(what, found[name], ratio(found["at once"], found[name]), "×", goal)

    return [
        bare("bare", "PostgreSQL"),
        ours("ours", "bare", "PostgreSQL"),
        at_once("at once", "bare"),
        peer("celery", "Celery on Redis", CELERY),
        peer("procrastinate", "Procrastinate", PROCRASTINATE),
        bare("bare SQLite", "SQLite"),
        ours("ours SQLite", "bare SQLite", "SQLite"),
    ]


def _beside(what: str, rates: list[float], value: float, unit: str, goal: float) -> Figure:
    return at_least(what, value, unit, goal, shown=_shown(rates, value, unit))


def _shown(rates: list[float], value: float, unit: str) -> str:
    return f"{rounded(median(rates), 'steps/s')}; {rounded(value, unit)}"
