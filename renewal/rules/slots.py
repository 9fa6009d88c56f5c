"""Names what may hold one certificate in force."""

from __future__ import annotations


def of_customer(product: str, customer: int) -> str:
    """One for each customer (ID number), whatever accounts they have."""
    return f"{product}:c{customer}"
