"""Transitions in the life of a token, and what its hold has suspended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renewal.db.rows import Token
from renewal.errors import NotNowError, XuqiError
from renewal.rules.serials import token_serial
from renewal.store import certificates as certificate_queries
from renewal.store import tokens as queries
from schema.events import TokenMoved
from schema.reasons import DecisionKind, RefusalReason, TokenReason
from schema.states import TOKEN, TokenState

if TYPE_CHECKING:
    from renewal.db.rows import Certificate
    from renewal.db.unit_of_work import UnitOfWork


MAX_SERIAL = 50  #: characters, as of one that comes with its certificate


def register(work: UnitOfWork, serial: str, branch: str) -> Token:
    """
    Put a new token into a branch's stock.

    Raises:
        XuqiError: it is known already, or is no serial.
    """
    spelt = token_serial(serial)
    if not 0 < len(spelt) <= MAX_SERIAL:
        raise XuqiError(f"a token's serial has 1 to {MAX_SERIAL} characters")
    if work.tokens.find(spelt) is not None or certificate_queries.on_token(work, spelt):
        raise XuqiError(f"token {spelt} is on record already: see `xuqi token life {spelt}`")
    token = work.tokens.put(_row(work, spelt, TokenState.IN_STOCK, branch=branch))
    work.emit(TokenMoved(token_serial=spelt, state=token.state, number=token.moves))
    return token


def known(work: UnitOfWork, serial: str) -> Token:
    """
    The token; one that came with its certificate is in use from then on.

    Raises:
        XuqiError: nothing is known of it.
    """
    spelt = token_serial(serial)
    row = work.tokens.find(spelt)
    if row is not None:
        return row
    held = certificate_queries.on_token(work, spelt)
    if not held:
        raise XuqiError(f"there is no token {spelt}: put it on record by `xuqi token register`")
    return work.tokens.put(_row(work, spelt, TokenState.ACTIVE, customer=held[-1].customer))


def move(
    work: UnitOfWork, token: Token, to: TokenState, *, customer: int | None = None
) -> tuple[Token, list[Certificate]]:
    """
    Write down what has become of it; return it with every certificate that is on it.

    Raises:
        NotNowError: a token in its state never becomes that.
    """
    if not TOKEN.allows(token.state, to):
        why = RefusalReason.TOKEN_CANNOT_BECOME.why(token_state=token.state, wanted_state=to.value)
        raise NotNowError(why, f"token {token.serial}")
    owner = None if to is TokenState.IN_STOCK else customer or token.customer
    moves = token.moves + 1
    token = work.tokens.change(token, state=to.value, customer=owner, moves=moves, moved_at=work.at)
    work.emit(TokenMoved(token_serial=token.serial, state=to.value, number=moves))
    held = certificate_queries.on_token(work, token.serial)
    for certificate in held:
        why = TokenReason.MOVED.why(token_state=to.value)
        work.record_decision(certificate.id, DecisionKind.TOKEN_MOVED, why)
    return token, held


def _row(
    work: UnitOfWork,
    serial: str,
    state: TokenState,
    *,
    branch: str | None = None,
    customer: int | None = None,
) -> Token:
    return Token(
        serial=serial,
        customer=customer,
        branch=branch,
        state=state.value,
        moves=0,
        moved_at=work.at,
        version=1,
    )


def hold(work: UnitOfWork, token: Token, suspended: list[Certificate]) -> None:
    """Remember what this hold has suspended, and by which change of each certificate."""
    work.write()  # the token's row first: what is held refers to it
    for certificate in suspended:
        queries.note_held(work, token.serial, certificate.id, certificate.changes)


def lift(work: UnitOfWork, token: Token) -> list[Certificate]:
    """
    End the hold; return what it alone keeps suspended.

    A certificate that was suspended before, or that somebody has asked to change since, is not
    among them: its suspension is another's.
    """
    numbers = queries.taken_from_hold(work, token.serial)
    work.certificates.load(numbers)
    held = [(work.certificates.get(key), number) for key, number in numbers.items()]
    return [one for one, number in held if one.changes == number]
