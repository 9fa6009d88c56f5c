"""Recomputes the invariants from the stored state and from the CA's list."""

from __future__ import annotations

import itertools
import json as json_format
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from consumers.registry import consumer_types
from producers.relay import LANES
from renewal.db.spill_set import SpillSet
from renewal.delivery.dead_letters import count_open
from renewal.eventlog.embedded import EmbeddedLog
from renewal.invariants import CHECKS, INVARIANTS, CheckInput, Reads, log
from renewal.invariants.at_ca import CHECKS_AT_CA, REVOKED, CaListing, compare
from renewal.store import audit, sealed
from renewal.store.audit_heads import AuditHeads
from renewal.store.certificates import products_in_force
from schema.codec import kind_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from renewal.db.unit_of_work import UnitOfWork
    from renewal.delivery import Consumer
    from xuqi.bootstrap import App

MEANINGS = {
    "I1": ("客戶不會因為我們而沒有可用的憑證", "nobody is without a usable certificate by us"),
    "I2": ("一個位置一張生效憑證", "one in force in a slot; none renewed that was stopped"),
    "I3": ("一件展期只簽發一次", "the CA issues once, and we know of it"),
    "I4": ("費用只收一次，帳冊平衡", "a fee is taken once and for something; books balance"),
    "I5": ("提醒不重複、不遺漏、不徒勞", "no reminder twice, missed or in vain"),
    "I9": ("加密的個資未被搬移", "sealed values are of their row and what their hashes say"),
    "I10": ("稽核軌跡未被改寫或截斷", "the audit trail is whole: none changed, none cut off"),
    "I8": ("事件不遺失、不堵塞", "no event lost, none stops the rest"),
}
_LOG_ELSEWHERE = "the log is elsewhere: what its readers have passed over is seen after six hours"
_NO_LIST = "the CA cannot be asked for its list: I1 and I3 rest on our own rows alone"
#: The same in zh-TW.
NOTES = {
    _LOG_ELSEWHERE: "事件紀錄在別處：讀取者漏讀的事件要六小時後才看得出來",
    _NO_LIST: "憑證機構不提供清單：I1、I3 只能依我方紀錄核對",
}
FIRST = 10  #: findings shown of each check


@dataclass(frozen=True, kw_only=True)
class CheckFinding:
    """One violation; the key says where to look."""

    invariant: str
    what: str
    key: str
    zh: str = ""


@dataclass(kw_only=True)
class CheckReport:
    """The number of violations of each kind, the first of each, and what could not be checked."""

    counts: Counter[str] = field(default_factory=Counter)
    first: list[CheckFinding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    dead: dict[str, int] = field(default_factory=dict)


def counts(app: App) -> dict[str, int]:
    """The number of violations of each invariant."""
    found = Counter(finding.invariant for finding in findings(app))
    return {name: found[name] for name in INVARIANTS}


def findings(app: App, *, at_most: int | None = None) -> Iterator[CheckFinding]:
    """Every violation as it is found, a page of rows in memory. ``at_most``: of each kind."""
    return _findings(app, at_most, lambda _note: None)


def run_checks(app: App, *, first: int = FIRST) -> CheckReport:
    """Count all violations, and keep the first few of each kind."""
    seen = CheckReport()
    kinds: Counter[str] = Counter()
    for finding in _findings(app, None, seen.notes.append):
        seen.counts[finding.invariant] += 1
        kinds[finding.what] += 1
        if kinds[finding.what] <= first:
            seen.first.append(finding)
    with app.store.snapshot() as look:
        seen.dead = count_open(look)
    return seen


def _findings(app: App, at_most: int | None, note: Callable[[str], None]) -> Iterator[CheckFinding]:
    given = _given(app)
    if not given.log_is_here:
        note(_LOG_ELSEWHERE)
    with app.store.snapshot() as look:  # one moment's state, while the processes go on working
        for check in CHECKS:
            for key in itertools.islice(check.find(look, given), at_most):
                yield CheckFinding(invariant=check.invariant, what=check.what, key=key, zh=check.zh)
        for product, count in products_in_force(look.connection).items():
            if product not in app.policies.by_product:
                yield CheckFinding(
                    invariant="I5",
                    what="certificates in force of a product that no policy file is for",
                    key=f"{product}: {count}",
                    zh="使用中的憑證，其產品沒有規則檔",
                )
    yield from itertools.islice(_trail(app), at_most)
    yield from itertools.islice(_sealed(app), at_most)
    if not has_list_of_ca(app):
        note(_NO_LIST)
        return
    kinds: Counter[str] = Counter()
    for name, key in _differences(app):
        check_at_ca = CHECKS_AT_CA[name]
        kinds[name] += 1
        if at_most is None or kinds[name] <= at_most:
            yield CheckFinding(
                invariant=check_at_ca.invariant, what=check_at_ca.what, key=key, zh=check_at_ca.zh
            )


def _sealed(app: App) -> Iterator[CheckFinding]:
    """
    Of the newest rows, each value that was sealed for another row, or is not what its hash says.
    """
    with app.store.snapshot() as look:
        for key in sealed.misplaced(look):
            yield CheckFinding(
                invariant="I9",
                what="a sealed value is not of its row, or not what its hash says",
                key=key,
                zh="加密的值不屬於這一列，或與雜湊不符",
            )


def _trail(app: App) -> Iterator[CheckFinding]:
    """
    Every line of the audit trail that is not as it was written, or is gone though it was told.
    """
    noted = AuditHeads(app.settings.audit_file).noted()
    with app.store.snapshot() as look:
        for number in audit.broken_links(look):
            yield CheckFinding(
                invariant="I10",
                what="a line of the audit trail is not as it was written",
                zh="稽核軌跡有一筆被改寫",
                key=f"audit {number}",
            )
        for number in audit.lost(look, noted):
            yield CheckFinding(
                invariant="I10",
                what="a line of the audit trail was cut off or changed after it was told outside",
                zh="稽核軌跡有一筆在對外記錄後被截斷或改寫",
                key=f"audit {number}",
            )


def _differences(app: App) -> Iterator[tuple[str, str]]:
    """
    What differs from the CA's list twice in a row.

    The CA and the database have no common moment: what one did between the two queries is not yet
    in the other, and is by the second comparison.
    """
    with SpillSet() as before:
        differs = False
        for one in _compared(app):
            differs = True
            before.keep({before.digest(*one): b""})
        if differs:
            yield from (one for one in _compared(app) if before.find([before.digest(*one)]))


def _compared(app: App) -> Iterator[tuple[str, str]]:
    with app.store.snapshot() as look:
        yield from compare(look, list_of_ca(app))


def reads_of(consumers: Iterable[Consumer | type[Consumer]]) -> dict[str, Reads]:
    """What each of them takes from the log, by group."""
    return {
        it.group: Reads(topics=it.topics, kinds=tuple(kind_name(kind) for kind in it.kinds))
        for it in consumers
    }


def first_not_read(look: UnitOfWork) -> tuple[int, str] | None:
    """
    Of all that a consumer has not read and no relay has given up, the first: its place in the
    outbox, and its identity.
    """
    return log.first_not_read(look, reads_of(consumer_types()), LANES)


def _given(app: App) -> CheckInput:
    return CheckInput(
        now=app.clock.now(),
        policies=app.policies.by_product,
        groups=reads_of(app.consumers()),  # opens them: a wrong setting is told here, too
        log_is_here=isinstance(app.log, EmbeddedLog),
    )


def _ca(app: App) -> Any:  # noqa: ANN401 - its list is no part of the port
    """The CA; the demo's, which fails now and then, contains the real one."""
    return getattr(app.gateways.ca, "ca", app.gateways.ca)


def has_list_of_ca(app: App) -> bool:
    return hasattr(_ca(app), "certificates")


def list_of_ca(app: App) -> Iterator[CaListing]:
    """Each certificate as the CA has it."""
    return (
        CaListing(
            serial=f"{one.serial:x}",
            request_id=one.request_id,
            certificate=one.certificate,
            status=one.status.value,
            reason=one.reason if one.status == REVOKED else None,
        )
        for one in _ca(app).certificates()
    )


# --- printing -----------------------------------------------------------------------------------


def main(app: App, *, json: bool = False, english: bool = False) -> int:
    """
    Print a count for each invariant and the first findings; return 0 if there are none, else 1.
    """
    seen = run_checks(app)
    lines = _json(seen) if json else _text(seen, english=english)
    for line in lines:
        sys.stdout.write(f"{line}\n")
    return 1 if any(seen.counts.values()) else 0


def _json(seen: CheckReport) -> Iterator[str]:
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


def _text(seen: CheckReport, *, english: bool) -> Iterator[str]:
    for name in INVARIANTS:
        yield f"{name}  {seen.counts[name]:>6}  {MEANINGS[name][english]}"
    for one in seen.first:
        yield f"  {one.invariant}  {one.key}: {one.what if english else one.zh or one.what}"
    if seen.dead:
        letters = "  ".join(f"{group} {many}" for group, many in sorted(seen.dead.items()))
        yield f"{'open dead letters: ' if english else '待處理的死信：'}{letters}"
    for note in seen.notes:
        yield f"※ {note if english else NOTES.get(note, note)}"
