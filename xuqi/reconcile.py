"""Compares our books with the bank, the CA, carriers and tokens; each difference is a code."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from back_office.reconciling import ReconciledDifference
from renewal.errors import GatewayError, GatewayRefusedError
from renewal.gateways.address import GatewayAddressError
from renewal.gateways.bank.port import BookingStatus, Operation
from renewal.gateways.sms.port import DeliveryReport
from renewal.invariants.at_ca import compare
from renewal.store import token_reads
from schema.reasons import ReconcileReason
from schema.tables.books import payments
from schema.tables.renewals import messages, renewals
from xuqi.check import has_list_of_ca, list_of_ca
from xuqi.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from back_office.reconciling import Comparisons
    from xuqi.bootstrap import App

PAGE = 500
MOST_MESSAGES = 1_000  #: asked of the carrier, the oldest first
REPORTED_WITHIN = timedelta(days=1)
#: What the bank must have done, and must not have done, by the fee's state.
FEES = {
    "quoted": ((), (Operation.HOLD,)),
    "held": ((Operation.HOLD,), (Operation.CAPTURE, Operation.VOID)),
    "captured": ((Operation.HOLD, Operation.CAPTURE), (Operation.VOID,)),
    "voided": ((Operation.VOID,), (Operation.CAPTURE,)),
    "declined": ((), (Operation.HOLD,)),
}
PAYMENTS = {
    "paid": ((Operation.DEBIT,), (Operation.REFUND,)),
    "reserved": ((Operation.DEBIT,), (Operation.REFUND,)),
    "used": ((Operation.DEBIT,), (Operation.REFUND,)),
    "refused": ((), (Operation.DEBIT,)),
    "refunded": ((Operation.DEBIT, Operation.REFUND), ()),
}
_CA = {
    "not usable": ReconcileReason.CA_NOT_USABLE,
    "no row": ReconcileReason.CA_NO_ROW,
    "another renewal": ReconcileReason.CA_ANOTHER_RENEWAL,
    "twice": ReconcileReason.CA_TWICE,
    "other state": ReconcileReason.CA_OTHER_STATE,
    "other reason": ReconcileReason.CA_OTHER_REASON,
}


def comparisons(opened: Callable[[], App]) -> Comparisons:
    """What compares with each side. ``opened``: the application, which opens what it asks."""
    found: dict[str, Callable[[App], Iterator[ReconciledDifference]]] = {
        "bank": _at_bank,
        "ca": _ca,
        "carrier": _carrier,
        "token": _tokens,
    }
    return {side: partial(_guarded, side, find, opened) for side, find in found.items()}


def reconcile(app: App) -> Iterator[ReconciledDifference]:
    """Yield each difference. Nothing is changed, here or there."""
    for find in comparisons(lambda: app).values():
        yield from find()


def _guarded(
    side: str, find: Callable[[App], Iterator[ReconciledDifference]], opened: Callable[[], App]
) -> Iterator[ReconciledDifference]:
    """A system that cannot be asked is a difference by itself; the others are still asked."""
    try:
        yield from find(opened())
    except (GatewayError, GatewayAddressError, SettingsError) as error:
        key = type(error).__name__
        yield ReconciledDifference(side=side, code=ReconcileReason.NOT_ASKED, key=key)


# --- the bank -------------------------------------------------------------------------------------


def _at_bank(app: App) -> Iterator[ReconciledDifference]:
    yield from _bank(app)
    yield from _bank_alone(app)


def _bank(app: App) -> Iterator[ReconciledDifference]:
    """Each booking that our books say was done, or was not."""
    for key, done, not_done in _expected(app):
        for wanted, operations in ((True, done), (False, not_done)):
            for operation in operations:
                booking = f"{key}/{operation.value}"
                there = app.gateways.bank.inquire(booking) is BookingStatus.DONE
                if there != wanted:
                    less, more = ReconcileReason.BANK_DID_LESS, ReconcileReason.BANK_DID_MORE
                    yield ReconciledDifference(
                        side="bank", code=less if wanted else more, key=booking
                    )


Expected = tuple[str, tuple[Operation, ...], tuple[Operation, ...]]


def _expected(app: App) -> Iterator[Expected]:
    """What is being asked of the bank now is left out: its answer is on the way."""
    for table, states, state in (
        (renewals, FEES, renewals.c.fee_state),
        (payments, PAYMENTS, payments.c.state),
    ):
        for key, now in _paged(app, table, state, tuple(states)):
            yield (key, *states[now])


def _paged(
    app: App, table: sa.Table, state: sa.Column[Any], states: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    after = ""
    while True:
        query = sa.select(table.c.id, state).where(table.c.id > after, state.in_(states))
        with app.store.snapshot() as look:
            page = look.connection.execute(query.order_by(table.c.id).limit(PAGE)).all()
        yield from ((key, now) for key, now in page)
        if len(page) < PAGE:
            return
        after = page[-1][0]


def _bank_alone(app: App) -> Iterator[ReconciledDifference]:
    """Bookings of renewals and payments that we have no row for: of after a restored copy, say."""
    listed = getattr(app.gateways.bank, "listed", None)
    if listed is None:  # an adapter whose bank gives no list
        return
    seen: set[str] = set()
    for booking, _ in listed():
        owner = booking.rpartition("/")[0]
        if owner in seen:
            continue
        seen.add(owner)
        with app.store.snapshot() as look:
            known = look.renewals.find(owner) or look.payments.find(owner)
        if known is None:
            yield ReconciledDifference(
                side="bank", code=ReconcileReason.BANK_KNOWS_MORE, key=booking
            )


# --- the CA and the carriers ----------------------------------------------------------------------


def _ca(app: App) -> Iterator[ReconciledDifference]:
    if not has_list_of_ca(app):
        yield ReconciledDifference(side="ca", code=ReconcileReason.NOT_ASKED, key="no list")
        return
    with app.store.snapshot() as look:
        for name, key in compare(look, list_of_ca(app)):
            yield ReconciledDifference(side="ca", code=_CA[name], key=key)


def _carrier(app: App) -> Iterator[ReconciledDifference]:
    """Text messages of which nothing was heard for a day."""
    m = messages.c
    with app.store.snapshot() as look:
        query = sa.select(m.id, m.carrier_id).where(
            m.state == sa.literal_column("'handed over'"),
            m.channel == "sms",
            m.carrier_id.is_not(None),
            m.handed_at < look.at - REPORTED_WITHIN,
        )
        waiting = look.connection.execute(query.order_by(m.handed_at).limit(MOST_MESSAGES)).all()
    for message, carrier_id in waiting:
        try:
            report, _ = app.gateways.sms.report(carrier_id)
        except GatewayRefusedError:
            code = ReconcileReason.CARRIER_KNOWS_NOTHING
        else:
            if report is DeliveryReport.UNDER_WAY:
                continue
            code = ReconcileReason.CARRIER_KNOWS_THE_END
        yield ReconciledDifference(side="carrier", code=code, key=message)


# --- the tokens -----------------------------------------------------------------------------------


def _tokens(app: App) -> Iterator[ReconciledDifference]:
    for code, query in (
        (ReconcileReason.TOKEN_NEVER_READ, token_reads.never_read),
        (ReconcileReason.TOKEN_HOLDS_ANOTHER, token_reads.read_otherwise),
    ):
        after, page = 0, [0]
        while page:
            with app.store.snapshot() as look:
                page = list(query(look, after=after, at_most=PAGE))
            for after in page:
                yield ReconciledDifference(side="token", code=code, key=str(after))
