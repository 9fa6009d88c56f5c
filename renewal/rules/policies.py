"""The products' policies, by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from renewal.errors import XuqiError
from renewal.rules.csr import ANYTHING, Accepted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schema.policy import Policy


@dataclass(frozen=True)
class Policies:
    """The products of the installation, by name."""

    by_product: Mapping[str, Policy]
    #: What each product's CA profile certifies; one without is checked by the CA alone.
    acceptance: Mapping[str, Accepted] = field(default_factory=dict)

    def accepts(self, product: str) -> Accepted:
        return self.acceptance.get(product, ANYTHING)

    def of(self, product: str) -> Policy:
        """
        Raises:
            XuqiError: there is no policy file for that product.
        """
        policy = self.by_product.get(product)
        if policy is None:
            raise XuqiError(f"there is no policy for the product {product!r}")
        return policy
