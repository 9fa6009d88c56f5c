"""The ledger postings of a renewal fee."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renewal.ledger.ledger import CLEARING, INCOME, REFUNDS, UNEARNED, ledger_of
from renewal.ledger.transfers import (
    Direct,
    LedgerError,
    Post,
    Rejection,
    Transfer,
    TransferAnswer,
    TransferResult,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from renewal.db.unit_of_work import UnitOfWork


def preload(work: UnitOfWork, *, holds: Iterable[str] = (), payments: Iterable[str] = ()) -> None:
    """Read what the fees of a batch need: one query for transfers and one for accounts."""
    of_holds = [
        name for hold in holds for name in (hold, f"{hold}:post", f"{hold}:earn", f"{hold}:void")
    ]
    of_payments = [
        f"{payment}:{deed}"
        for payment in payments
        for deed in ("paid", "consumed", "refund owed", "refunded")
    ]
    ledger_of(work).preload([*of_holds, *of_payments])


def fee_held(work: UnitOfWork, renewal: str, amount: int, id: str) -> TransferAnswer:  # noqa: A002 - its name on record
    """The bank holds the fee until the certificate is delivered. ``id`` names the hold."""
    return ledger_of(work).hold(id, debit=CLEARING, credit=UNEARNED, amount=amount, ref=renewal)


def fee_captured(
    work: UnitOfWork, renewal: str, *, hold: str, amount: int | None = None
) -> TransferAnswer:
    """The certificate is delivered: the fee, or part of it, is captured and earned."""
    held = _known(work, hold)
    taken = held.amount if amount is None else amount
    return ledger_of(work).chain(
        [
            Post(id=f"{hold}:post", of=hold, amount=taken, ref=renewal),
            Direct(id=f"{hold}:earn", debit=UNEARNED, credit=INCOME, amount=taken, ref=renewal),
        ]
    )


def fee_voided(work: UnitOfWork, renewal: str, *, hold: str) -> TransferAnswer:
    """The CA has refused, or the renewal has ended: the hold is released."""
    return ledger_of(work).void(f"{hold}:void", of=hold, ref=renewal)


def fee_prepaid(work: UnitOfWork, payment: str, amount: int) -> TransferAnswer:
    """Paid beforehand: the customer is entitled to one renewal."""
    return ledger_of(work).direct(
        f"{payment}:paid", debit=CLEARING, credit=UNEARNED, amount=amount, ref=payment
    )


def entitlement_consumed(work: UnitOfWork, renewal: str, *, payment: str) -> TransferAnswer:
    """
    The renewal uses the entitlement. Refused if it was used or refunded before.

    Raises:
        LedgerError: nothing was paid.
    """
    paid = _known(work, f"{payment}:paid")
    name = f"{payment}:consumed"
    before = ledger_of(work).find(name)
    if before is not None and before.ref != renewal:
        return TransferAnswer(TransferResult.REFUSED, Rejection.ENDED)
    return ledger_of(work).direct(
        name, debit=UNEARNED, credit=INCOME, amount=paid.amount, ref=renewal, of=paid.id
    )


def refund_owed(work: UnitOfWork, payment: str) -> TransferAnswer:
    """The entitlement has lapsed unused and is to be refunded; no renewal may use it any more."""
    return ledger_of(work).chain([_owed(work, payment)])


def fee_refunded(work: UnitOfWork, payment: str) -> TransferAnswer:
    """The bank has refunded an unused entitlement."""
    owed = _owed(work, payment)
    paid_back = Direct(
        id=f"{payment}:refunded",
        debit=REFUNDS,
        credit=CLEARING,
        amount=owed.amount,
        ref=payment,
        of=owed.id,
    )
    return ledger_of(work).chain([owed, paid_back])


def paid_at(work: UnitOfWork, payment: str) -> datetime:
    """
    When an entitlement was paid for, by the ledger; now, if in this transaction.

    Raises:
        LedgerError: it was not.
    """
    return _known(work, f"{payment}:paid").at or work.at


def refunded_at(work: UnitOfWork, payment: str) -> datetime:
    """
    When it was refunded, likewise.

    Raises:
        LedgerError: it was not.
    """
    return _known(work, f"{payment}:refunded").at or work.at


def _owed(work: UnitOfWork, payment: str) -> Direct:
    paid = _known(work, f"{payment}:paid")
    return Direct(
        id=f"{payment}:refund owed",
        debit=UNEARNED,
        credit=REFUNDS,
        amount=paid.amount,
        ref=payment,
        of=paid.id,
    )


def _known(work: UnitOfWork, name: str) -> Transfer:
    found = ledger_of(work).find(name)
    if found is None:
        raise LedgerError(f"there is no transfer {name}")
    return found
