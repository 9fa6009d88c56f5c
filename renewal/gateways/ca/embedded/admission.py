"""Decides which requests the CA accepts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from renewal.errors import GatewayRefusedError

if TYPE_CHECKING:
    from cryptography import x509

    from renewal.gateways.ca.embedded.profiles import Profile
    from renewal.rules.csr import SubjectKey


def subject(profile: Profile, common_name: str) -> x509.Name:
    """
    Raises:
        GatewayRefusedError: not a common name of this profile. The text does not repeat it:
            it holds a customer's ID number.
    """
    if not profile.common_name_pattern.fullmatch(common_name):
        raise GatewayRefusedError(
            f"the common name does not match {profile.subject.common_name}", code="badDataFormat"
        )
    return profile.name(common_name)


def validity(not_before: datetime, not_after: datetime) -> tuple[datetime, datetime]:
    """
    Return both ends in UTC, the first cut to the second.

    Raises:
        GatewayRefusedError: no time zone, an end within a second, or an end before the start.
    """
    if not_before.tzinfo is None or not_after.tzinfo is None:
        raise GatewayRefusedError("the validity has no time zone", code="badTime")
    if not_after.microsecond:
        raise GatewayRefusedError("not_after is not exact to the second", code="badTime")
    begin = not_before.astimezone(UTC).replace(microsecond=0)
    end = not_after.astimezone(UTC)
    if end <= begin:
        raise GatewayRefusedError("not_after is not later than not_before", code="badTime")
    return begin, end


def key_is_accepted(profile: Profile, key: SubjectKey) -> None:
    if key.algorithm not in profile.keys.accepted:
        accepted = ", ".join(profile.keys.accepted)
        raise GatewayRefusedError(
            f"a key of kind {key.algorithm} is not accepted: {accepted}", code="badAlg"
        )


def validity_fits(
    profile: Profile, begin: datetime, end: datetime, issuer: x509.Certificate
) -> None:
    """
    Raises:
        GatewayRefusedError: longer than the profile allows, or beyond the CA's own validity.
    """
    if end - begin > timedelta(days=profile.validity.at_most_days):
        raise GatewayRefusedError(
            f"the validity is longer than {profile.validity.at_most_days} days", code="badTime"
        )
    if begin < issuer.not_valid_before_utc or end > issuer.not_valid_after_utc:
        raise GatewayRefusedError("the validity goes beyond the CA's own", code="badTime")


def is_not_over(end: datetime, now: datetime) -> None:
    if end <= now:
        raise GatewayRefusedError("not_after is past already", code="badTime")
