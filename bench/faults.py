"""Throughput of the whole chain before and after each fault, and its time to recover."""

from __future__ import annotations

import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from bench.figures import Figure, at_least, at_most, median
from bench.installation import COMPONENTS, Installation, installed, renewal_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

GOAL, GOAL_MEANWHILE = 95, 90  #: per cent of what it was before
AT_ONCE = 500  #: customers: they come round several times in a window
WARM_UP = 45.0  #: seconds: the broker compiles its own code meanwhile
THINKS = 4.0  #: seconds
#: Seconds that customers who have waited together have to part, before a window begins.
PARTING = 2 * THINKS
#: Between these the table stands.
BEGIN, END = "<!-- make bench-faults -->", "<!-- until here -->"
#: Customers who are there before a round begins, so that none is made in a window of it: that takes
#: half as much again from the same cores as all they do afterwards.
AHEAD = 14_000
METHOD = (
    "Faults: PostgreSQL (fsync on), Kafka and each of the components {components} a worker under a "
    "supervisor (`xuqi serve --supervised`); embedded CA and bank, which keep ledgers of their "
    "own; {at_once} customers whose renewals are under way (half securities-browser, half "
    "cooperative-card with hold and capture), each proven by its customer, whose keys and "
    "signatures are made beforehand, and who is followed by another 0 to {thinks:g} s after its "
    "end. A step is one event settled by one consumer; before and "
    "after: two windows of {seconds:g} s around each fault, {rounds} times, the median of the "
    "ratios, and the lowest and the highest of them; each begins {parting:g} s after one more "
    "renewal has been asked for and is done. How long that takes after a fault is the recovery; "
    "without one it is how long a renewal takes. Whoever is killed -9 is the worker; its "
    "supervisor starts another by itself. Lost, twice: over the ledgers of the customers, the CA, "
    "the bank and the mailbox, for every renewal so far."
)


@dataclass(frozen=True)
class Fault:
    """
    ``strike`` returns when the fault is over; what it does takes its time with the customers at
    work.
    """

    name: str
    seen: str  #: by whoever watches
    strike: Callable[[Installation], object]
    nodes: int = 1
    lasts: bool = False  #: it goes on for two windows, and what is done meanwhile counts, too


@dataclass(frozen=True)
class Round:
    before: float  #: steps a second
    after: float  #: per cent of before
    recovery: float  #: seconds
    meanwhile: float | None  #: per cent of before


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one fault has cost, over its rounds."""

    fault: Fault
    rounds: Sequence[Round]
    lost: int  #: renewals
    twice: int  #: violations

    @property
    def before(self) -> float:
        return median([one.before for one in self.rounds])

    @property
    def after(self) -> list[float]:
        return sorted(one.after for one in self.rounds)

    @property
    def meanwhile(self) -> list[float]:
        return sorted(one.meanwhile for one in self.rounds if one.meanwhile is not None)

    @property
    def recovery(self) -> float:
        return median([one.recovery for one in self.rounds])


# --- the faults -----------------------------------------------------------------------------------


def at_work(it: Installation, seconds: float) -> None:
    it.run(seconds=seconds, at_once=AT_ONCE)


def nothing(_it: Installation) -> None:
    """So long takes a renewal when all is well."""


def restart_postgresql(it: Installation) -> None:
    with it.server.gone():
        time.sleep(1)  # the outage itself: started 1 s later


def kill_backends(it: Installation) -> None:
    for _ in range(5):
        it.kill_backends()
        at_work(it, 0.5)


def kill_a_consumer(it: Installation) -> None:
    it.components["issuance"].kill_worker()


def kill_again_and_again(it: Installation, seconds: float, chance: random.Random) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        it.components[chance.choice(sorted(it.components))].kill_worker()
        at_work(it, chance.uniform(0.5, 2.0))


def restart_the_broker(it: Installation) -> None:
    (broker,) = it.brokers.brokers
    broker.stop()
    at_work(it, 3)
    broker.start()
    broker.wait_until_ready()


def silence_the_broker(it: Installation) -> None:
    (broker,) = it.brokers.brokers
    broker.kill(signal.SIGSTOP)
    at_work(it, 15)
    broker.kill(signal.SIGCONT)


def kill_one_of_three(it: Installation) -> None:
    it.brokers.brokers[0].stop()
    at_work(it, 5)


def bring_back(it: Installation) -> None:
    for broker in it.brokers.brokers:
        if broker.process is None:
            broker.start()
            broker.wait_until_ready()


LOOPS = "loops say the database does not answer; `/readyz` 503"
BEHIND = "`/readyz` of the relay 503; events wait in the outbox"
FAULTS = (
    Fault("none", "", nothing),
    Fault("PostgreSQL stopped at once and started 1 s later", LOOPS, restart_postgresql),
    Fault("every session of PostgreSQL cut off, 5 times in 2.5 s", LOOPS, kill_backends),
    Fault("a consumer killed -9", "its supervisor says so and starts another", kill_a_consumer),
    Fault(
        "a component killed -9 every 0.5 to 2 s", "as above, again and again", nothing, lasts=True
    ),
    Fault("the only broker killed -9, started 3 s later", BEHIND, restart_the_broker),
    Fault("the only broker silent for 15 s", BEHIND, silence_the_broker),
    Fault("none, at the end", "", nothing),
    Fault("one of three brokers killed -9", "a pause", kill_one_of_three, nodes=3),
)


# --- measuring ------------------------------------------------------------------------------------


def figures(*, seconds: float, rounds: int, into: Path | None = None) -> list[Figure]:
    """Each fault; ``into``: a file between whose marks the table is put, for people."""
    method = METHOD.format(
        components=", ".join(COMPONENTS),
        at_once=AT_ONCE,
        seconds=seconds,
        rounds=rounds,
        parting=PARTING,
        thinks=THINKS,
    )
    results = list(measured(seconds=seconds, rounds=rounds))
    if into is not None:
        before, _, rest = into.read_text().partition(BEGIN)
        _, _, after = rest.partition(END)
        into.write_text(f"{before}{BEGIN}\n\n{as_table(results)}\n{method}\n\n{END}{after}")
    found = [figure for result in results for figure in _figures(result)]
    found[0] = replace(found[0], method=method)
    return found


def measured(*, seconds: float, rounds: int) -> Iterator[Result]:
    """On as few installations as there are numbers of brokers."""
    for nodes, faults in groupby(FAULTS, lambda fault: fault.nodes):
        with (
            tempfile.TemporaryDirectory() as folder,
            installed(Path(folder), customers=AHEAD, nodes=nodes) as it,
        ):
            it.thinks = THINKS
            it.start()
            at_work(it, WARM_UP)
            for fault in faults:
                print(f"  {fault.name} ...", file=sys.stderr, flush=True)
                yield _result(it, fault, [_round(it, fault, seconds, n) for n in range(rounds)])


def _round(it: Installation, fault: Fault, seconds: float, number: int) -> Round:
    bring_back(it)
    it.customers.come(max(0, AHEAD - (it.customers.there - it.customers.asked)))
    _flowing(it)
    at_work(it, PARTING)
    before = _steps_a_second(it, lambda: at_work(it, seconds))
    fault.strike(it)
    meanwhile = None
    if fault.lasts:
        chance = random.Random(number)
        meanwhile = _steps_a_second(it, lambda: kill_again_and_again(it, 2 * seconds, chance))
    recovery = _flowing(it)
    at_work(it, PARTING)
    after = 100 * _steps_a_second(it, lambda: at_work(it, seconds)) / before
    print(f"    {before:,.0f} steps/s, after {after:.0f} %", file=sys.stderr, flush=True)
    return Round(before, after, recovery, meanwhile and 100 * meanwhile / before)


def _flowing(it: Installation) -> float:
    """Return, once a renewal that was not yet asked for is done, how many seconds that took."""
    began, last = time.monotonic(), renewal_id(it.customers.asked)
    while not it.customers.done(after=last):
        at_work(it, 0.1)
    return time.monotonic() - began


def _steps_a_second(it: Installation, meanwhile: Callable[[], None]) -> float:
    settled, began = it.customers.settled(), time.monotonic()
    meanwhile()
    return (it.customers.settled() - settled) / (time.monotonic() - began)


def _result(it: Installation, fault: Fault, rounds: Sequence[Round]) -> Result:
    it.finish()
    lost, twice = it.judged()
    return Result(
        fault=fault, rounds=rounds, lost=lost.total() + it.customers.dead(), twice=len(twice)
    )


def _figures(result: Result) -> Iterator[Figure]:
    name = result.fault.name
    yield Figure(what=f"{name}: before", value=result.before, unit="steps/s")
    if result.meanwhile:
        meanwhile = median(result.meanwhile)
        yield at_least(f"{name}: meanwhile", meanwhile, "% of before", GOAL_MEANWHILE)
    yield at_least(f"{name}: after", median(result.after), "% of before", GOAL)
    yield Figure(what=f"{name}: recovery", value=result.recovery, unit="s")
    yield at_most(f"{name}: lost", result.lost, "renewals", 0)
    yield at_most(f"{name}: twice", result.twice, "times", 0)


def as_table(results: Sequence[Result]) -> str:
    lines = [
        "| fault | what is seen | before | meanwhile | after | recovery | lost | twice |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for one in results:
        meanwhile = _share(one.meanwhile, GOAL_MEANWHILE) if one.meanwhile else ""
        lines.append(
            f"| {one.fault.name} | {one.fault.seen} | {one.before:,.0f} steps/s | {meanwhile} "
            f"| {_share(one.after, GOAL)} | {one.recovery:.1f} s | {one.lost} | {one.twice} |"
        )
    return "\n".join([*lines, ""])


def _share(values: Sequence[float], goal: float) -> str:
    """The median, and how far the rounds lie apart."""
    share = median(values)
    apart = f"{share:.0f} % ({values[0]:.0f} to {values[-1]:.0f})"
    return apart + ("" if share >= goal else ", missed")
