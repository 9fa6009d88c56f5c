"""Makes the log-ins with the bank from the settings."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from back_office.bank_log_in import StaffBankLogIn
from back_office.staff import StaffRole
from centre.bank_log_in import CustomerLogIn
from renewal.secret import Secret
from schema.reasons import SettingReason
from web.oidc.fetching import is_safe
from web.oidc.issuer import OidcIssuer
from web.oidc.provider import OidcProvider
from web.oidc.sign_on import SignOn
from xuqi.settings import LOG_INS, PREFIX, SettingsError, other_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from renewal.clock import Clock
    from xuqi.settings import Settings

LOCAL, ALONE, _ = LOG_INS


@dataclass(frozen=True, kw_only=True)
class _Given:
    """What the settings of one face say of its issuer. ``face``: CENTRE or CONSOLE."""

    face: str
    log_in: str
    issuer: str
    client: str
    scope: str

    def needed(self, name: str, value: str) -> str:
        """
        Raises:
            SettingsError: it is empty.
        """
        if not value:
            needs = f"{PREFIX}{self.face}_LOG_IN={self.log_in}"
            why = SettingReason.NEEDED.why(needs=needs)
            raise SettingsError(f"{PREFIX}{self.face}_OIDC_{name}", why)
        return value

    def sign_on(self, settings: Settings, clock: Clock, environment: Mapping[str, str]) -> SignOn:
        issuer = self.needed("ISSUER", self.issuer)
        if not is_safe(issuer):
            raise SettingsError(f"{PREFIX}{self.face}_OIDC_ISSUER", SettingReason.NOT_HTTPS)
        if "openid" not in self.scope.split():
            raise SettingsError(f"{PREFIX}{self.face}_OIDC_SCOPE", SettingReason.NO_OPENID)
        secret = other_secret(settings, f"{self.face.lower()}-oidc", environment)
        provider = OidcProvider(
            issuer=issuer,
            client=self.needed("CLIENT", self.client),
            secret=Secret(secret.encode()),
            scope=self.scope,
        )
        return SignOn(provider=provider, issuer=OidcIssuer(issuer, clock), clock=clock)


def customer_log_in(
    settings: Settings, clock: Clock, environment: Mapping[str, str] = os.environ
) -> CustomerLogIn | None:
    """
    ``None``: customers have their passwords here alone.

    Raises:
        SettingsError: a setting or the secret is missing, or cannot be used.
    """
    if settings.centre_log_in == LOCAL:
        return None
    given = _Given(
        face="CENTRE",
        log_in=settings.centre_log_in,
        issuer=settings.centre_oidc_issuer,
        client=settings.centre_oidc_client,
        scope=settings.centre_oidc_scope,
    )
    return CustomerLogIn(
        sign_on=given.sign_on(settings, clock, environment),
        customer_claim=given.needed("CUSTOMER", settings.centre_oidc_customer),
        user_code_claim=settings.centre_oidc_user_code,
        alone=settings.centre_log_in == ALONE,
    )


def staff_log_in(
    settings: Settings, clock: Clock, environment: Mapping[str, str] = os.environ
) -> StaffBankLogIn | None:
    """
    ``None``: staff have accounts here alone.

    Raises:
        SettingsError: a setting or the secret is missing, or cannot be used.
    """
    if settings.console_log_in == LOCAL:
        return None
    given = _Given(
        face="CONSOLE",
        log_in=settings.console_log_in,
        issuer=settings.console_oidc_issuer,
        client=settings.console_oidc_client,
        scope=settings.console_oidc_scope,
    )
    return StaffBankLogIn(
        sign_on=given.sign_on(settings, clock, environment),
        name_claim=given.needed("NAME", settings.console_oidc_name),
        groups_claim=given.needed("GROUPS", settings.console_oidc_groups),
        roles=roles_of(given.needed("ROLES", settings.console_oidc_roles)),
        alone=settings.console_log_in == ALONE,
    )


def roles_of(text: str) -> dict[str, frozenset[StaffRole]]:
    """
    Roles by groups; a group may have several. It may be a name of a directory, with commas and
    equal signs in it.

    Raises:
        SettingsError: a part is not ``<group>=<role>``, or there is no such role.
    """
    found: dict[str, frozenset[StaffRole]] = {}
    for part in filter(None, (one.strip() for one in text.split(";"))):
        group, sign, role = part.rpartition("=")
        if not sign or not group.strip() or role.strip() not in set(StaffRole):
            known = ", ".join(StaffRole)
            why = SettingReason.NO_ROLES.why(known=known)
            raise SettingsError(f"{PREFIX}CONSOLE_OIDC_ROLES", why)
        before = found.get(group.strip(), frozenset())
        found[group.strip()] = before | {StaffRole(role.strip())}
    return found
