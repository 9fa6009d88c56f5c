"""Who a customer is: logs in by ID number, user code and password, and sets the password."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from renewal.db.retry import retry_on_conflict
from renewal.store import audit, people, sessions
from renewal.store import certificates as certificate_queries
from renewal.store import credentials as queries
from renewal.store.subjects import NO_CERTIFICATE
from web.passwords import hash_of, normal, verified
from web.throttle import Throttle, block_of

if TYPE_CHECKING:
    from renewal.db.engine import Store
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.store.credentials import Credential

#: NIST SP 800-63B-4, 3.1.1.2: eight characters at least beside another factor, 64 allowed.
SHORTEST, LONGEST = 8, 64
FAILURES_OF_AN_ACCOUNT = 10
FAILURES_FROM_A_BLOCK = 100
SPAN = timedelta(minutes=15)
FACE = "centre"  #: that of its customers' sessions


@dataclass(frozen=True, kw_only=True)
class SignedIn:
    """The role comes with who has logged in, and from no other field on file."""

    customer: int
    user_code: str
    customer_class: int
    operator: str


@dataclass(frozen=True, kw_only=True)
class Known:
    """For whom a password may be set, and a certificate of theirs, to which the code is bound."""

    customer: int
    certificate: int  #: ``NO_CERTIFICATE`` where there is none yet


class LogInRefusedError(Exception):
    """Not logged in; ``code`` is the error's."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class UnknownCustomerError(Exception):
    """The bank's log-in names nobody who is on file, or a user code that is not theirs."""


def plain(text: str) -> str:
    """What a person typed, without blanks, full-width letters and small ones."""
    return "".join(unicodedata.normalize("NFKC", text).split()).upper()


@dataclass(frozen=True)
class Accounts:
    """Local accounts. ``are_open``: not so where the bank's own log-in alone is used."""

    store: Store
    are_open: bool = True

    @property
    def _by_account(self) -> Throttle:
        return Throttle(
            store=self.store, name="log-in", at_most=FAILURES_OF_AN_ACCOUNT, within=SPAN
        )

    @property
    def _by_block(self) -> Throttle:
        return Throttle(
            store=self.store, name="log-in block", at_most=FAILURES_FROM_A_BLOCK, within=SPAN
        )

    def log_in(self, id_number: str, user_code: str, password: str, *, address: str) -> SignedIn:
        """
        Raises:
            LogInRefusedError: the same, after the same work, whatever was wrong.
        """
        if not self.are_open:
            raise LogInRefusedError("E4826")
        account, block = f"{plain(id_number)} {plain(user_code)}", block_of(address)
        if self._by_account.is_shut(account) or self._by_block.is_shut(block):
            raise LogInRefusedError("E4802")
        with self.store.snapshot() as look:
            found = _credential(look, id_number, user_code)
        right = verified(found.password_hash if found else None, password)
        if found is None or not right:
            self._by_account.count(account)
            self._by_block.count(block)
            raise LogInRefusedError("E4801")
        self._by_account.forget(account)
        return SignedIn(
            customer=found.customer,
            user_code=found.user_code,
            customer_class=found.customer_class,
            operator=found.operator,
        )

    def of_bank(self, reference: str, user_code: str | None) -> SignedIn:
        """
        Who has been logged in by the bank: the customer of this number of the bank's.
        ``None``: this bank's log-in names no user codes.

        Raises:
            UnknownCustomerError: no such customer; or their user codes are on file, and this is
                none of them.
        """
        with self.store.snapshot() as look:
            by = look.cipher.hash(reference.strip(), "customers.reference")
            found = people.by_hashes(look, reference_hash=by)
            if not found:
                raise UnknownCustomerError
            customer, code = found[0].id, plain(user_code or "")
            known = queries.find(look, customer, code) if code else None
            is_named = user_code is not None and queries.of_customer(look, customer)
            if is_named and known is None:  # also where the claim is missing: no role is given away
                raise UnknownCustomerError
            role = queries.first_role(look, customer) or (0, "none")
        if known is not None:
            role = (known.customer_class, known.operator)
        return SignedIn(customer=customer, user_code=code, customer_class=role[0], operator=role[1])

    def known(self, id_number: str, user_code: str) -> Known | None:
        """
        For whom a code may be sent that sets the password of this user code.

        The first user code of a customer is chosen at will; later ones must be on file.
        """
        with self.store.snapshot() as look:
            customer = queries.customer_with(look, plain(id_number))
            if customer is None:
                return None
            codes = {one.user_code for one in queries.of_customer(look, customer)}
            if codes and plain(user_code) not in codes:
                return None
            theirs = certificate_queries.of_customers(look, [customer])
            newest = max(theirs, key=lambda one: one.not_after, default=None)
            return Known(customer=customer, certificate=newest.id if newest else NO_CERTIFICATE)

    @retry_on_conflict
    def set_password(self, customer: int, user_code: str, password: str) -> None:
        """
        Call when a code has shown that it is the customer. Log-ins that failed are forgotten, and
        whoever is logged in as this user is logged out: the old password may have been known.
        """
        hashed = hash_of(password)
        with self.store.transaction() as work:
            known = queries.find(work, customer, plain(user_code))
            role = (known.customer_class, known.operator) if known else None
            customer_class, operator = role or queries.first_role(work, customer) or (0, "none")
            queries.put(
                work,
                queries.Credential(
                    customer=customer,
                    user_code=plain(user_code),
                    password_hash=hashed,
                    customer_class=customer_class,
                    operator=operator,
                    changed_at=work.at,
                ),
            )
            sessions.remove_all_of(work, FACE, str(customer), user_code=plain(user_code))

    @retry_on_conflict
    def add(
        self,
        customer: int,
        user_code: str,
        *,
        customer_class: int,
        operator: str,
        who: str,
        why: str,
    ) -> None:
        """Put a user code on file, as the bank has it; its owner sets the password by a code."""
        with self.store.transaction() as work:
            work.customers.get(customer)
            about = f"customer {customer}"
            audit.write(work, who=who, did="add user code", object_=about, why=why)
            queries.put(
                work,
                queries.Credential(
                    customer=customer,
                    user_code=plain(user_code),
                    password_hash=None,
                    customer_class=customer_class,
                    operator=operator,
                    changed_at=work.at,
                ),
            )


def is_allowed(password: str, again: str, *others: str) -> bool:
    """
    Whether a new password may be used: long enough, typed twice, not what anybody would guess.
    """
    text = normal(password)
    guessed = {other.casefold() for other in others} | {text[:1].casefold() * len(text)}
    return (
        SHORTEST <= len(text) <= LONGEST
        and text == normal(again)
        and text.casefold() not in guessed
    )


def _credential(look: UnitOfWork, id_number: str, user_code: str) -> Credential | None:
    customer = queries.customer_with(look, plain(id_number))
    return queries.find(look, customer, plain(user_code)) if customer is not None else None
