"""Recomputes what must never happen from the stored state and from the CA's own list."""

from __future__ import annotations

import itertools
import json as json_format
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from producers.relay import LANES
from renewal.eventlog.embedded import EmbeddedLog
from renewal.store.check import CHECKS, INVARIANTS, Given, Reads, log
from renewal.store.check.at_ca import CHECKS_AT_CA, Listed, compare
from renewal.store.dead_letters import count_open
from renewal.store.scratch import Scratch
from schema.codec import kind_name
from xuqi.house import CONSUMERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from renewal.delivery import Consumer
    from renewal.store.work import Work
    from xuqi.house import House

MEANINGS = {
    "I1": ("客戶不會因為我們而沒有可用的憑證", "nobody is without a usable certificate by us"),
    "I2": ("一個位置一張生效憑證", "one in force in a slot; none renewed that was stopped"),
    "I3": ("一件展期只簽發一次", "the CA issues once, and we know of it"),
    "I4": ("費用只收一次，帳冊平衡", "a fee is taken once and for something; books balance"),
    "I5": ("提醒不重複、不遺漏、不徒勞", "no reminder twice, missed or in vain"),
    "I8": ("事件不遺失、不堵塞", "no event lost, none stops the rest"),
}
FIRST = 10  #: findings shown of each check


@dataclass(frozen=True, kw_only=True)
class Finding:
    """
    One case of what must never be: the key says where to look.
    """

    invariant: str
    what: str
    key: str
    zh: str = ""


@dataclass(kw_only=True)
class Review:
    """
    How many there are of each, the first of each kind, and what could not be looked at.
    """

    counts: Counter[str] = field(default_factory=Counter)
    first: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    dead: dict[str, int] = field(default_factory=dict)


def counts(house: House) -> dict[str, int]:
    """
    How many violations there are of each invariant.
    """
    found = Counter(finding.invariant for finding in findings(house))
    return {name: found[name] for name in INVARIANTS}


def findings(house: House, *, at_most: int | None = None) -> Iterator[Finding]:
    """
    Every violation, as it is found; a page of rows in memory. ``at_most``: of each kind.
    """
    return _findings(house, at_most, lambda _note: None)


def review(house: House, *, first: int = FIRST) -> Review:
    """
    Count all, and keep the first few of each kind.
    """
    seen = Review()
    kinds: Counter[str] = Counter()
    for finding in _findings(house, None, seen.notes.append):
        seen.counts[finding.invariant] += 1
        kinds[finding.what] += 1
        if kinds[finding.what] <= first:
            seen.first.append(finding)
    with house.store.look() as look:
        seen.dead = count_open(look)
    return seen


def _findings(house: House, at_most: int | None, note: Callable[[str], None]) -> Iterator[Finding]:
    given = _given(house)
    if not given.log_is_here:
        note("the log is elsewhere: what its readers have passed over is seen after six hours")
    with house.store.look() as look:  # one moment's state, while the house goes on working
        for check in CHECKS:
            for key in itertools.islice(check.find(look, given), at_most):
                yield Finding(invariant=check.invariant, what=check.what, key=key, zh=check.zh)
    if not hasattr(_ca(house), "certificates"):
        note("the CA cannot be asked for its list: I1 and I3 rest on our own rows alone")
        return
    kinds: Counter[str] = Counter()
    for name, key in _differences(house):
        check_at_ca = CHECKS_AT_CA[name]
        kinds[name] += 1
        if at_most is None or kinds[name] <= at_most:
            yield Finding(
                invariant=check_at_ca.invariant, what=check_at_ca.what, key=key, zh=check_at_ca.zh
            )


def _differences(house: House) -> Iterator[tuple[str, str]]:
    """
    What differs from the CA's list twice in a row.

    The CA and the database have no moment in common: what the one did between the two looks
    is not yet in the other, and is by the second time.
    """
    with Scratch() as before:
        differs = False
        for one in _compared(house):
            differs = True
            before.keep({before.digest(*one): b""})
        if differs:
            yield from (one for one in _compared(house) if before.find([before.digest(*one)]))


def _compared(house: House) -> Iterator[tuple[str, str]]:
    with house.store.look() as look:
        yield from compare(look, _list_of_ca(house))


def reads_of(consumers: Iterable[Consumer | type[Consumer]]) -> dict[str, Reads]:
    """
    What each of them takes from the log, by group.
    """
    return {
        it.group: Reads(topics=it.topics, kinds=tuple(kind_name(kind) for kind in it.kinds))
        for it in consumers
    }


def first_not_read(look: Work) -> tuple[int, str] | None:
    """
    Of all that a consumer has not read and no relay has given up, the first: its place in the
    outbox, and its identity.
    """
    return log.first_not_read(look, reads_of(CONSUMERS), LANES)


def _given(house: House) -> Given:
    return Given(
        now=house.clock.now(),
        policies=house.policies.by_product,
        groups=reads_of(house.consumers()),  # opens them: a wrong setting is told here, too
        log_is_here=isinstance(house.log, EmbeddedLog),
    )


def _ca(house: House) -> Any:  # noqa: ANN401 - its list is no part of the port
    """
    The CA; the demo's, which fails now and then, has the real one inside.
    """
    return getattr(house.outside.ca, "ca", house.outside.ca)


def _list_of_ca(house: House) -> Iterator[Listed]:
    return (
        Listed(
            serial=f"{one.serial:x}",
            request_id=one.request_id,
            certificate=one.certificate,
            status=one.status.value,
        )
        for one in _ca(house).certificates()
    )


# --- printing -----------------------------------------------------------------------------------


def main(house: House, *, json: bool = False) -> int:
    """
    Print a count for each invariant and the first findings; return 0 if there are none, else 1.
    """
    seen = review(house)
    lines = _json(seen) if json else _text(seen)
    for line in lines:
        sys.stdout.write(f"{line}\n")
    return 1 if any(seen.counts.values()) else 0


def _json(seen: Review) -> Iterator[str]:
    yield json_format.dumps(
        {
            "counts": {name: seen.counts[name] for name in INVARIANTS},
            "findings": [
                {"invariant": one.invariant, "what": one.what, "key": one.key} for one in seen.first
            ],
            "dead_letters": seen.dead,
            "notes": seen.notes,
        },
        ensure_ascii=False,
    )


def _text(seen: Review) -> Iterator[str]:
    for name in INVARIANTS:
        zh, en = MEANINGS[name]
        yield f"{name}  {seen.counts[name]:>6}  {zh} / {en}"
    for one in seen.first:
        yield f"  {one.invariant}  {one.key}: {one.zh} / {one.what}"
    if seen.dead:
        letters = "  ".join(f"{group} {many}" for group, many in sorted(seen.dead.items()))
        yield f"待處理的死信 / open dead letters: {letters}"
    for note in seen.notes:
        yield f"※ {note}"
