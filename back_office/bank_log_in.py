"""Says which member of staff the bank's own log-in names, and what they may do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from back_office.staff import StaffMember, StaffRole
from web.oidc.provider import SignOnError, SignOnFault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from web.oidc.sign_on import SignOn

#: What stands in the trail as who it was.
_NAME = re.compile(r"[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]{0,62}[^\s\x00-\x1f\x7f])?")


@dataclass(frozen=True, kw_only=True)
class StaffBankLogIn:
    """
    The bank's log-in for staff. ``name_claim``: never given to another and not changed by its
    owner, because two persons are told apart by it. ``roles``: by the directory's groups.
    ``alone``: of the local accounts only the one for emergencies opens.
    """

    sign_on: SignOn
    name_claim: str
    groups_claim: str
    roles: Mapping[str, frozenset[StaffRole]]
    alone: bool = True

    def who(self, claims: Mapping[str, Any]) -> StaffMember:
        """
        Raises:
            SignOnError: no usable name, or no group that has a role here.
        """
        name, groups = claims.get(self.name_claim), claims.get(self.groups_claim, ())
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise SignOnError(SignOnFault.UNKNOWN, "no name in the claims")
        several = [groups] if isinstance(groups, str) else groups
        if not isinstance(several, list | tuple):
            raise SignOnError(SignOnFault.UNKNOWN, "no groups in the claims")
        theirs = [self.roles.get(one, frozenset()) for one in several if isinstance(one, str)]
        roles = frozenset[StaffRole]().union(*theirs)
        if not roles:
            raise SignOnError(SignOnFault.UNKNOWN, "no group with a role")
        return StaffMember(name=name, roles=roles)
