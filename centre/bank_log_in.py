"""Says which customer the bank's own log-in names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from centre.accounts import UnknownCustomerError
from web.oidc.provider import SignOnError, SignOnFault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from centre.accounts import Accounts, SignedIn
    from web.oidc.sign_on import SignOn


@dataclass(frozen=True, kw_only=True)
class CustomerLogIn:
    """
    The bank's log-in for customers: which claim is the bank's own customer number, and which the
    user code (none: the role of the customer's first product). ``alone``: no passwords of ours.
    """

    sign_on: SignOn
    customer_claim: str
    user_code_claim: str = ""
    alone: bool = True

    def who(self, claims: Mapping[str, Any], accounts: Accounts) -> SignedIn:
        """
        Raises:
            SignOnError: the claims name no customer, or none that is on file.
        """
        number = claims.get(self.customer_claim)
        code = claims.get(self.user_code_claim, "") if self.user_code_claim else None
        if not isinstance(number, str) or not isinstance(code, str | None) or not number.strip():
            raise SignOnError(SignOnFault.UNKNOWN, "no customer number in the claims")
        try:
            return accounts.of_bank(number, code)
        except UnknownCustomerError as error:
            raise SignOnError(SignOnFault.UNKNOWN, "a customer who is not on file") from error
