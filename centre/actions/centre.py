"""What a customer can do, in one place: each action is a module beside this one."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from centre.actions.apply import apply
from centre.actions.collect import collect
from centre.actions.confirm import HandedIn, confirm
from centre.actions.decline import decline
from centre.actions.enter_code import Entry
from centre.actions.pay import pay
from centre.actions.prove import prove
from centre.actions.replies import CodeNotSent
from centre.actions.request import request
from centre.actions.revoke import revoke, revoked_this_year, why_not_revoked
from centre.actions.send_code import Codes
from centre.actions.suspend import suspend, why_not_suspended
from schema.events import RevocationReason
from schema.policy import Purpose

if TYPE_CHECKING:
    from collections.abc import Callable

    from centre.actions.replies import CodeAnswer, CodeSent
    from centre.code_progress import CodeProgress
    from renewal.db.engine import Store
    from renewal.db.rows import Payment, Renewal
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.keys import Keys
    from renewal.rules.policies import Policies
    from renewal.rules.revocation import CustomersReason
    from schema.reasons import RefusalReason


@dataclass(frozen=True)
class Centre:
    """
    Each action is one transaction, decided again when another was first; what follows from it,
    the consumers do.
    """

    store: Store
    policies: Policies
    keys: Keys
    random: Callable[[int], bytes] = os.urandom  #: of the demo: from its seed
    #: The block of network addresses that the customer comes from; empty: at a terminal or branch.
    block: str = ""

    def asked_from(self, block: str) -> Centre:
        """The same for a customer who comes from there: codes are limited by it, too."""
        return replace(self, block=block)

    # --- renewals -------------------------------------------------------------------------------

    def apply(
        self, customer: int, product: str, *, asked_by: tuple[str, str] | None = None
    ) -> Renewal | RefusalReason:
        """
        Reserve an application for a first certificate, or for one after an end, or say why not.

        It is confirmed, collected, proven and declined as a renewal is. ``asked_by``: class and
        role of who is logged in.
        """
        return apply(self.store, self.policies, customer, product, asked_by=asked_by)

    def request(
        self,
        certificate: int,
        *,
        branch: str | None = None,
        asked_by: tuple[str, str] | None = None,
    ) -> Renewal | RefusalReason:
        """Reserve a renewal, or say why not. ``asked_by``: class and role of who is logged in."""
        return request(self.store, self.policies, certificate, branch=branch, asked_by=asked_by)

    def decline(self, renewal: str) -> None:
        """
        End a renewal that waits for its customer.

        Raises:
            NotNowError: it is past that.
        """
        decline(self.store, self.policies, renewal)

    def confirm(
        self,
        renewal: str,
        *,
        challenge: str,
        code: str,
        session: str,
        csr: bytes,
        terms: bytes,
        approval: bytes | None = None,
        and_do: Callable[[UnitOfWork], None] | None = None,
    ) -> CodeAnswer:
        """
        Confirm with a code, and hand in the new key's request; see ``HandedIn``.

        Raises:
            BadRequestError, NotNowError, ProofError: the code was not used up.
        """
        asked = HandedIn(renewal=renewal, csr=csr, terms=terms, approval=approval, and_do=and_do)
        return confirm(self._entry, asked, challenge=challenge, code=code, session=session)

    def collect(self, renewal: str) -> bytes | None:
        """
        Return the new certificate (DER), or ``None`` while it is not there.

        Raises:
            NotNowError: it is for a token.
        """
        return collect(self.store, self.policies, renewal)

    def prove(self, renewal: str, signature: bytes) -> None:
        """
        Put the new certificate in force: its key has signed the renewal's challenge.

        Raises:
            ProofError, NotNowError: see ``centre.actions.prove``.
        """
        prove(self.store, self.policies, renewal, signature)

    # --- revocation, suspension -----------------------------------------------------------------

    def revoke(
        self,
        certificate: int,
        *,
        challenge: str,
        code: str,
        session: str,
        reason: CustomersReason = RevocationReason.CESSATION_OF_OPERATION,
    ) -> CodeAnswer | CodeNotSent:
        """
        Revoke for good, with a code. Ask for an explicit yes before.

        Raises:
            NotNowError: another was first; the code was not used up.
        """
        with self.store.snapshot() as look:  # before a try is spent
            why = why_not_revoked(look, self.policies, certificate)
        if why is not None:
            return CodeNotSent(why=why)
        return self._entry.enter(
            challenge,
            code,
            session=session,
            action=Purpose.REVOKE,
            certificate=certificate,
            then=lambda work: revoke(work, self.policies, certificate, reason),
        )

    def suspend(
        self, certificate: int, *, challenge: str, code: str, session: str
    ) -> CodeAnswer | CodeNotSent:
        """
        Put a certificate on hold, with a code; the branch lifts it again.

        Raises:
            NotNowError: another was first; the code was not used up.
        """
        with self.store.snapshot() as look:  # before a try is spent
            why = why_not_suspended(look, certificate)
        if why is not None:
            return CodeNotSent(why=why)
        return self._entry.enter(
            challenge,
            code,
            session=session,
            action=Purpose.SUSPEND,
            certificate=certificate,
            then=lambda work: suspend(work, certificate),
        )

    def revoked_this_year(self, customer: int) -> int:
        """How often the customer has revoked online since New Year in Taipei."""
        return revoked_this_year(self.store, customer)

    # --- codes ----------------------------------------------------------------------------------

    @property
    def _codes(self) -> Codes:
        return Codes(self.store, self.policies, self.keys, self.random, self.block)

    @property
    def _entry(self) -> Entry:
        return Entry(self.store, self.policies, self.keys, self.block)

    def send_code(
        self, certificate: int, *, action: str, session: str, customer: int | None = None
    ) -> CodeSent | CodeNotSent:
        """
        Send a one-time code; it kills every earlier one of this customer. ``customer``: whose it
        is, where there is no certificate yet to say so.

        Raises:
            ValueError: codes are for no such action.
        """
        return self._codes.send(certificate, action=action, session=session, customer=customer)

    def code_progress(self, challenge: str, *, session: str) -> CodeProgress:
        """What became of a code of this session, for the screen that waits for it."""
        return self._codes.progress(challenge, session=session)

    def enter_code(
        self, challenge: str, code: str, *, session: str, action: str, certificate: int
    ) -> CodeAnswer:
        """Try a code once. The try is spent before the code is looked at."""
        return self._entry.enter(
            challenge, code, session=session, action=action, certificate=certificate
        )

    # --- fees -----------------------------------------------------------------------------------

    def pay(self, certificate: int) -> Payment | CodeNotSent:
        """Ask for the fee of a renewal to come to be debited; it is paid once."""
        return pay(self.store, self.policies, certificate)
