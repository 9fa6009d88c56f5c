"""Sets and checks the release password, by which a user code lets a renewal on a token begin."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from renewal.db.retry import retry_on_conflict
from renewal.store import credentials as queries
from web.passwords import hash_of, verified
from web.throttle import Throttle

if TYPE_CHECKING:
    from renewal.db.engine import Store

#: What the keypad of the page can type.
ALLOWED = re.compile(r"[0-9A-Za-z]{8,16}")
WRONG_AT_MOST = 5
SPAN = timedelta(minutes=15)


class ReleaseRefusedError(Exception):
    """``code`` is the error's."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class ReleasePasswords:
    store: Store

    @property
    def _wrong(self) -> Throttle:
        return Throttle(store=self.store, name="release", at_most=WRONG_AT_MOST, within=SPAN)

    def is_set(self, customer: int, user_code: str) -> bool:
        with self.store.snapshot() as look:
            known = queries.find(look, customer, user_code)
        return known is not None and known.release_hash is not None

    def check(self, customer: int, user_code: str, password: str) -> None:
        """
        Raises:
            ReleaseRefusedError: it is not right, not set, or was wrong too often.
        """
        account = f"{customer} {user_code}"
        if self._wrong.is_shut(account):
            raise ReleaseRefusedError("E4807")
        with self.store.snapshot() as look:
            known = queries.find(look, customer, user_code)
        if known is None or known.release_hash is None:
            raise ReleaseRefusedError("E4808")
        if not verified(known.release_hash, password):
            self._wrong.count(account)
            raise ReleaseRefusedError("E4805")
        self._wrong.forget(account)

    def why_not_allowed(
        self, customer: int, user_code: str, password: str, again: str
    ) -> str | None:
        """The error of a new one, or ``None``: it may be used."""
        if password != again or not ALLOWED.fullmatch(password):
            return "E4806"
        with self.store.snapshot() as look:
            known = queries.find(look, customer, user_code)
        same = known is not None and verified(known.password_hash, password)
        return "E4806" if same or password.casefold() == user_code.casefold() else None

    @retry_on_conflict
    def set(self, customer: int, user_code: str, password: str) -> None:
        """Call when a code has shown that it is the customer. Wrong entries are forgotten."""
        hashed = hash_of(password)
        with self.store.transaction() as work:
            known = queries.find(work, customer, user_code)
            if known is not None:
                queries.put(work, replace(known, release_hash=hashed, changed_at=work.at))
        self._wrong.forget(f"{customer} {user_code}")
