"""What the fee of a renewal means in the books."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renewal.rules.books import Answer, BooksError, Direct, Post, Said, Transfer, Why
from renewal.store.books import CLEARING, INCOME, REFUNDS, UNEARNED

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from renewal.store.work import Work


def preload(work: Work, *, holds: Iterable[str] = (), payments: Iterable[str] = ()) -> None:
    """
    Read what the fees of a batch will need: one query for transfers and one for accounts.
    """
    of_holds = [
        name for hold in holds for name in (hold, f"{hold}:post", f"{hold}:earn", f"{hold}:void")
    ]
    of_payments = [
        f"{payment}:{deed}"
        for payment in payments
        for deed in ("paid", "consumed", "refund owed", "refunded")
    ]
    work.books.preload([*of_holds, *of_payments])


def fee_held(work: Work, renewal: str, amount: int, id: str) -> Answer:  # noqa: A002 - its name on record
    """
    The bank holds the fee: it is ours once the certificate is delivered. ``id`` names the hold.
    """
    return work.books.hold(id, debit=CLEARING, credit=UNEARNED, amount=amount, ref=renewal)


def fee_captured(work: Work, renewal: str, *, hold: str, amount: int | None = None) -> Answer:
    """
    The certificate is delivered: the fee, or a part of it, is taken and earned.
    """
    held = _known(work, hold)
    taken = held.amount if amount is None else amount
    return work.books.chain(
        [
            Post(id=f"{hold}:post", of=hold, amount=taken, ref=renewal),
            Direct(id=f"{hold}:earn", debit=UNEARNED, credit=INCOME, amount=taken, ref=renewal),
        ]
    )


def fee_voided(work: Work, renewal: str, *, hold: str) -> Answer:
    """
    The CA has refused, or the renewal has ended: the customer keeps the money.
    """
    return work.books.void(f"{hold}:void", of=hold, ref=renewal)


def fee_prepaid(work: Work, payment: str, amount: int) -> Answer:
    """
    Paid first: the customer is entitled to one renewal.
    """
    return work.books.direct(
        f"{payment}:paid", debit=CLEARING, credit=UNEARNED, amount=amount, ref=payment
    )


def entitlement_consumed(work: Work, renewal: str, *, payment: str) -> Answer:
    """
    The renewal uses the entitlement up. Refused when another has, or when it was paid back.

    Raises:
        BooksError: nothing was paid.
    """
    paid = _known(work, f"{payment}:paid")
    name = f"{payment}:consumed"
    before = work.books.find(name)
    if before is not None and before.ref != renewal:
        return Answer(Said.REFUSED, Why.ENDED)
    return work.books.direct(
        name, debit=UNEARNED, credit=INCOME, amount=paid.amount, ref=renewal, of=paid.id
    )


def refund_owed(work: Work, payment: str) -> Answer:
    """
    The entitlement has lapsed unused, and is to be paid back: no renewal may use it any more.
    """
    return work.books.chain([_owed(work, payment)])


def fee_refunded(work: Work, payment: str) -> Answer:
    """
    The bank has paid an unused entitlement back.
    """
    owed = _owed(work, payment)
    paid_back = Direct(
        id=f"{payment}:refunded",
        debit=REFUNDS,
        credit=CLEARING,
        amount=owed.amount,
        ref=payment,
        of=owed.id,
    )
    return work.books.chain([owed, paid_back])


def paid_at(work: Work, payment: str) -> datetime:
    """
    When an entitlement was paid for, by the books; now, if this transaction says so.

    Raises:
        BooksError: it was not.
    """
    return _known(work, f"{payment}:paid").at or work.at


def refunded_at(work: Work, payment: str) -> datetime:
    """
    When it was paid back, likewise.

    Raises:
        BooksError: it was not.
    """
    return _known(work, f"{payment}:refunded").at or work.at


def _owed(work: Work, payment: str) -> Direct:
    paid = _known(work, f"{payment}:paid")
    return Direct(
        id=f"{payment}:refund owed",
        debit=UNEARNED,
        credit=REFUNDS,
        amount=paid.amount,
        ref=payment,
        of=paid.id,
    )


def _known(work: Work, name: str) -> Transfer:
    found = work.books.find(name)
    if found is None:
        raise BooksError(f"there is no transfer {name}")
    return found
