"""Who a member of staff is: accounts with roles, and the log-in to the console."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from back_office.emergency import EmergencyAccounts
from renewal.db.retry import retry_on_conflict
from renewal.errors import XuqiError
from renewal.store import audit, sessions
from renewal.store import emergency as emergency_queries
from renewal.store import staff as queries
from renewal.store.staff import StaffAccount
from web.oidc.provider import SignOnError, SignOnFault
from web.passwords import hash_of, verified
from web.throttle import Throttle, block_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from renewal.db.engine import Store

FACE = "console"  #: that of its sessions
#: NIST SP 800-63B-4, 3.1.1.2: fifteen characters where a password is the only factor.
MIN_PASSWORD, MAX_PASSWORD = 15, 128
FAILURES_OF_AN_ACCOUNT = 10
FAILURES_FROM_A_BLOCK = 100
SPAN = timedelta(minutes=15)


class StaffRole(StrEnum):
    """What a member of staff may do; who has several may do what each of them may."""

    MAKER = "maker"  #: plans and submits bulk runs
    CHECKER = "checker"  #: approves what others have made
    OPERATOR = "operator"  #: acts on one certificate, renewal or dead letter
    AUDITOR = "auditor"  #: reads everything, the audit trail included, and changes nothing
    ADMINISTRATOR = "administrator"  #: makes accounts


@dataclass(frozen=True, kw_only=True)
class StaffMember:
    """Somebody whom the bank has logged in."""

    name: str
    roles: frozenset[StaffRole]


class StaffRefusedError(Exception):
    """Not logged in; ``code`` is the error's, the same whatever was wrong."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Staff:
    """
    Accounts of the console. Each change is in the audit trail. ``are_open``: not so where staff
    log in with the bank; the emergency account alone opens then.
    """

    store: Store
    are_open: bool = True

    @retry_on_conflict
    def add(self, name: str, roles: Collection[StaffRole], *, who: str, why: str) -> str:
        """
        Make an account; return its first password, which is shown once and must be changed.

        Raises:
            XuqiError: there is such an account, or no role was given.
        """
        if not roles:
            raise XuqiError("give at least one role")
        password = secrets.token_urlsafe(12)
        with self.store.transaction() as work:
            audit.write(work, who=who, did="add staff", object_=f"staff {name}", why=why)
            if queries.find(work, name) is not None:
                raise XuqiError(f"there is an account {name} already")
            queries.add(
                work,
                StaffAccount(
                    name=name,
                    roles=",".join(sorted(roles)),
                    password_hash=hash_of(password),
                    must_change=True,
                    made_at=work.at,
                    ended_at=None,
                ),
            )
        return password

    @retry_on_conflict
    def end(self, name: str, *, who: str, why: str) -> None:
        """
        Close an account for good, and end its sessions; what it has done stays in the trail under
        its name.
        """
        with self.store.transaction() as work:
            audit.write(work, who=who, did="end staff", object_=f"staff {name}", why=why)
            if queries.find(work, name) is None:
                raise XuqiError(f"there is no account {name}")
            queries.change(work, name, ended_at=work.at)
            sessions.remove_all_of(work, FACE, name)

    @retry_on_conflict
    def set_password(self, name: str, password: str, *, session: str = "") -> None:
        """
        Every session of that account ends, but for the one in which it was changed.

        Raises:
            XuqiError: it is too short or too long.
        """
        if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
            raise XuqiError(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")
        with self.store.transaction() as work:
            audit.write(work, who=name, did="set password", object_=f"staff {name}", why="own")
            hashed = hash_of(password)
            queries.change(work, name, password_hash=hashed, must_change=False)
            sessions.remove_all_of(work, FACE, name, but=sessions.hash_of(session))

    def everybody(self) -> Sequence[StaffAccount]:
        with self.store.snapshot() as look:
            return queries.everybody(look)

    def log_in(self, name: str, password: str, *, address: str, code: str = "") -> StaffAccount:
        """
        ``code``: of the app, for the emergency account.

        Raises:
            StaffRefusedError: the same, after the same work, whatever was wrong.
        """
        by_account = self._throttle("staff", FAILURES_OF_AN_ACCOUNT)
        by_block = self._throttle("staff block", FAILURES_FROM_A_BLOCK)
        block = block_of(address)
        if by_account.is_shut(name) or by_block.is_shut(block):
            raise StaffRefusedError("E4802")
        with self.store.snapshot() as look:
            found = queries.find(look, name)
        right = verified(found.password_hash if found else None, password)
        if found is None or not right or not self._may_open(found, code):
            by_account.count(name)
            by_block.count(block)
            raise StaffRefusedError("E4811" if self.are_open else "E4826")
        by_account.forget(name)
        return found

    def _may_open(self, account: StaffAccount, code: str) -> bool:
        """Whether an account opens whose password was right."""
        if account.ended_at is not None:
            return False
        emergency = EmergencyAccounts(self.store)
        if emergency.is_one(account.name):
            return emergency.opened(account.name, code)
        return self.are_open

    @retry_on_conflict
    def admit(self, member: StaffMember) -> None:
        """
        Note in the trail that the bank has logged somebody in, and as what.

        Raises:
            SignOnError: the name is that of the emergency account.
        """
        with self.store.transaction() as work:
            if emergency_queries.find(work, member.name) is not None:
                raise SignOnError(SignOnFault.UNKNOWN, "the name of the emergency account")
            audit.write(
                work, who=member.name, did="log in with the bank", object_=f"staff {member.name}",
                why=", ".join(sorted(member.roles)),
            )  # fmt: skip

    def _throttle(self, name: str, at_most: int) -> Throttle:
        return Throttle(store=self.store, name=name, at_most=at_most, within=SPAN)
