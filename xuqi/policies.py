"""Reads the products of an installation, and holds them against the CA that certifies for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renewal.rules.policies import Policies
from schema.policy import Starts, load_policies
from schema.reasons import SettingReason
from xuqi.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from renewal.gateways.ca.embedded.profiles import Profile
    from schema.policy import Policy
    from xuqi.settings import Settings

_YEAR = 366


def open_policies(settings: Settings) -> Policies:
    """
    Return the policies, each with what its CA profile certifies.

    A profile that there is not, or that allows less than the policy promises, would be found out
    by the CA alone: after the customer has confirmed.

    Raises:
        PolicyError: a file cannot be used.
        SettingsError: a policy and its CA profile do not fit.
    """
    from renewal.gateways.ca.embedded.ceremony import CaSettings  # noqa: PLC0415 - only the embedded CA has them here

    policies = load_policies(settings.policies)
    if settings.ca_url != "embedded:":
        return Policies(policies)
    folder = settings.bank_folder
    known = CaSettings(own_profiles=folder / "profiles" if folder else None).known_profiles()
    for policy in policies.values():
        _check(policy, known)
    return Policies(
        policies, {name: known[policy.profile].acceptance for name, policy in policies.items()}
    )


def _check(policy: Policy, known: Mapping[str, Profile]) -> None:
    if policy.profile not in known:
        listed = ", ".join(sorted(known))
        why = SettingReason.NO_PROFILE.why(
            product=policy.product, profile=policy.profile, known=listed
        )
        raise SettingsError("XUQI_POLICIES", why)
    most = known[policy.profile].validity.at_most_days
    if _longest_days(policy) > most:
        why = SettingReason.TOO_LONG.why(
            product=policy.product, days=_longest_days(policy), profile=policy.profile, most=most
        )
        raise SettingsError("XUQI_POLICIES", why)


def _longest_days(policy: Policy) -> int:
    """
    The years, the days left over of the old one, and the end of the last day.
    """
    keeps = policy.validity.carry_over or policy.validity.starts is Starts.OLD_END
    over = policy.window.before_days if keeps else 0
    return policy.validity.years * _YEAR + over + 1
