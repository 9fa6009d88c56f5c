"""A customer revokes online a limited number of times."""

from __future__ import annotations

import msgspec
import pytest

from renewal.rules.revocation import may_revoke_online
from schema.policy import load_policies

BROWSER = load_policies()["securities-browser"]


@pytest.mark.shows("B17")
def test_online_revocations_end_at_the_limit() -> None:
    policy = msgspec.structs.replace(BROWSER, online_revocations_per_year=2)

    assert may_revoke_online(policy, revoked_this_year=1)
    assert not may_revoke_online(policy, revoked_this_year=2)


def test_a_limit_of_none_at_all_leaves_it_to_the_branch_and_no_limit_to_the_customer() -> None:
    never = msgspec.structs.replace(BROWSER, online_revocations_per_year=0)
    always = msgspec.structs.replace(BROWSER, online_revocations_per_year=None)

    assert not may_revoke_online(never, revoked_this_year=0)
    assert may_revoke_online(always, revoked_this_year=999)
