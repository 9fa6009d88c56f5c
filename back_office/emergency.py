"""The console's account for emergencies: made, confirmed, and opened with an alarm."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from renewal.db.retry import retry_on_conflict
from renewal.errors import XuqiError
from renewal.rules import totp
from renewal.store import alarms, audit
from renewal.store import emergency as queries
from renewal.store import staff as staff_queries
from renewal.store.staff import StaffAccount
from web.passwords import hash_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from renewal.db.engine import Store
    from renewal.db.unit_of_work import UnitOfWork

USED, REFUSED = "used", "refused"


@dataclass(frozen=True, kw_only=True)
class EmergencyKit:
    """What goes into the envelope, shown once."""

    name: str
    password: str
    secret: str  #: for an authenticator app, in base32
    address: str  #: the same, for a QR code


@dataclass(frozen=True)
class EmergencyAccounts:
    """One such account at a time; it opens when the bank's log-in does not."""

    store: Store

    @retry_on_conflict
    def make(
        self, name: str, roles: Collection[str], *, bank: str, who: str, why: str
    ) -> EmergencyKit:
        """
        Make it; it opens once a code of its app has been confirmed.

        Raises:
            XuqiError: there is one that has not been ended, or the name is taken.
        """
        password, secret = secrets.token_urlsafe(18), secrets.token_bytes(totp.SECRET_BYTES)
        with self.store.transaction() as work:
            audit.write(
                work, who=who, did="make emergency account", object_=f"staff {name}", why=why
            )
            there = queries.open_one(work)
            if there is not None:
                raise XuqiError(f"there is one already: end it first (xuqi staff end {there})")
            if staff_queries.find(work, name) is not None:
                raise XuqiError(f"there is or was an account {name}: take another name")
            account = StaffAccount(
                name=name,
                roles=",".join(sorted(roles)),
                password_hash=hash_of(password),
                must_change=False,  # it stays in its envelope
                made_at=work.at,
                ended_at=None,
            )
            staff_queries.add(work, account)
            queries.add(work, name, secret)
        address = address_of(secret, name, bank)
        shown = totp.as_base32(secret)
        return EmergencyKit(name=name, password=password, secret=shown, address=address)

    @retry_on_conflict
    def confirm(self, name: str, code: str, *, who: str) -> None:
        """
        Open the account for use: a code has shown that the app has the secret.

        Raises:
            XuqiError: there is no such account, it is confirmed already, or the code is wrong.
        """
        with self.store.transaction() as work:
            about, why = f"staff {name}", "a code of its app"
            audit.write(work, who=who, did="confirm emergency account", object_=about, why=why)
            found = queries.find(work, name)
            if found is None or found.totp_step is not None:
                raise XuqiError(f"there is no emergency account {name} that waits for its code")
            step = totp.step_of(found.secret(work), code, work.at, after=0)
            if step is None:
                raise XuqiError("the code is not right: check the clock of the telephone")
            queries.use_step(work, name, step)

    def is_one(self, name: str) -> bool:
        with self.store.snapshot() as look:
            return queries.find(look, name) is not None

    @retry_on_conflict
    def opened(self, name: str, code: str) -> bool:
        """
        Spend a code, when the password was right: whatever the code is, it is an alarm.
        """
        with self.store.transaction() as work:
            right = self._spent(work, name, code)
            alarms.raise_alarm(work, alarms.Kind.EMERGENCY, name, USED if right else REFUSED)
            did = "log in with the emergency account" if right else "refuse the emergency account"
            why = "password and code" if right else "password right, code wrong"
            audit.write(work, who=name, did=did, object_=f"staff {name}", why=why)
        return right

    def _spent(self, work: UnitOfWork, name: str, code: str) -> bool:
        found = queries.find(work, name)
        if found is None or found.totp_step is None:
            return False
        step = totp.step_of(found.secret(work), code, work.at, after=found.totp_step)
        return step is not None and queries.use_step(work, name, step)


def address_of(secret: bytes, account: str, issuer: str) -> str:
    """The address that an authenticator app reads from a QR code (Key Uri Format)."""
    label = f"{quote(issuer, safe='')}:{quote(account, safe='')}"
    query = f"secret={totp.as_base32(secret)}&issuer={quote(issuer, safe='')}"
    return f"otpauth://totp/{label}?{query}&algorithm=SHA1&digits={totp.DIGITS}&period={totp.STEP}"
