"""What staff do with tokens and with a branch's recordings; each is in the audit trail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from back_office.actions import must_say_why
from producers import tokens as producer
from renewal.db.retry import retry_on_conflict
from renewal.errors import NotNowError, XuqiError
from renewal.lifecycle import recordings, tokens
from renewal.rules.serials import token_serial
from renewal.store import audit
from schema.reasons import RefusalReason
from schema.states import TokenState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from renewal.db.engine import Store
    from renewal.db.rows import Recording, Token

#: What a person may do with a token, by the command's word, and what becomes of it.
MOVES = {
    "activate": TokenState.ACTIVE,
    "hold": TokenState.ON_HOLD,
    "resume": TokenState.ACTIVE,
    "lost": TokenState.LOST,
    "damaged": TokenState.DAMAGED,
    "return": TokenState.RETURNED,
    "restock": TokenState.IN_STOCK,
    "destroy": TokenState.DESTROYED,
}
#: Where a word is meant for one state alone, though another may become the same.
STARTS = {
    "activate": TokenState.ASSIGNED,
    "resume": TokenState.ON_HOLD,
    "restock": TokenState.RETURNED,
}


@dataclass(frozen=True)
class TokenActions:
    """Each action is one transaction together with its line in the audit trail."""

    store: Store
    branches: frozenset[str] = frozenset()  #: none: whatever is named is taken

    @retry_on_conflict
    def register(self, serial: str, branch: str, *, who: str, why: str) -> Token:
        """
        Raises:
            XuqiError: it is known already, or there is no such branch.
        """
        if self.branches and branch not in self.branches:
            raise XuqiError(f"there is no branch {branch}: {', '.join(sorted(self.branches))}")
        with self.store.transaction() as work:
            must_say_why(who, why)
            object_ = f"token {token_serial(serial)}"
            audit.write(work, who=who, did="token register", object_=object_, why=why)
            return tokens.register(work, serial, branch)

    @retry_on_conflict
    def assign(self, serial: str, customer: int, *, who: str, why: str) -> Token:
        """
        Raises:
            XuqiError: there is no such token or customer, or it is not in stock.
        """
        with self.store.transaction() as work:
            must_say_why(who, why)
            token = tokens.known(work, serial)
            audit.write(work, who=who, did="token assign", object_=f"token {token.serial}", why=why)
            owner = work.customers.get(customer)
            return producer.moved(work, token, TokenState.ASSIGNED, customer=owner.id)

    @retry_on_conflict
    def move(self, serial: str, did: str, *, who: str, why: str) -> Token:
        """
        Do one of ``MOVES``. An assigned token that is returned was nobody's: it is in stock again.

        Raises:
            XuqiError: there is no such token, or one in its state never becomes that.
        """
        with self.store.transaction() as work:
            must_say_why(who, why)
            token = tokens.known(work, serial)
            object_ = f"token {token.serial}"
            audit.write(work, who=who, did=f"token {did}", object_=object_, why=why)
            to = MOVES[did]
            if token.state != STARTS.get(did, token.state):
                why_not = RefusalReason.TOKEN_CANNOT_BECOME
                reason = why_not.why(token_state=token.state, wanted_state=to.value)
                raise NotNowError(reason, object_)
            if to is TokenState.RETURNED and token.state == TokenState.ASSIGNED:
                to = TokenState.IN_STOCK
            return producer.moved(work, token, to)

    @retry_on_conflict
    def record(self, renewal: str, codes: Sequence[str], *, who: str, why: str) -> Recording:
        """
        Record a renewal with the user codes that it is for: transfers are usable again.

        Raises:
            XuqiError: there is nothing to record, it is recorded, or a code is malformed.
        """
        with self.store.transaction() as work:
            must_say_why(who, why)
            object_ = f"renewal {renewal}"
            audit.write(work, who=who, did="record renewal", object_=object_, why=why)
            return recordings.record(work, work.recordings.get(renewal), codes, who=who)
