"""Slows down who guesses: counts failures by account and by network address."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from renewal.db.retry import retry_on_conflict
from renewal.store import throttles as queries

if TYPE_CHECKING:
    from datetime import timedelta

    from renewal.db.engine import Store


@dataclass(frozen=True, kw_only=True)
class Throttle:
    """So many failures within a span, then no more until it is over."""

    store: Store
    name: str
    at_most: int
    within: timedelta

    def is_shut(self, what: str) -> bool:
        with self.store.snapshot() as look:
            return queries.count_of(look, self._key(what), self.within) >= self.at_most

    @retry_on_conflict
    def count(self, what: str) -> bool:
        """Count one; say whether that was one too many."""
        with self.store.transaction() as work:
            return queries.count_one(work, self._key(what), self.within) > self.at_most

    @retry_on_conflict
    def forget(self, what: str) -> None:
        with self.store.transaction() as work:
            queries.forget(work, self._key(what))

    def _key(self, what: str) -> str:
        return f"{self.name}\0{what}"


def is_here(address: str) -> bool:
    """Whether it is this machine's own."""
    parsed = _parsed(address)
    return parsed is not None and parsed.is_loopback


def block_of(address: str) -> str:
    """
    The network that an address is taken for: its /24, or /48 of IPv6; one customer may have either.
    """
    parsed = _parsed(address)
    if parsed is None:
        return "unknown"
    bits = 24 if parsed.version == 4 else 48  # noqa: PLR2004 - IPv4
    return str(ipaddress.ip_network(f"{parsed}/{bits}", strict=False))


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """
    A proxy that listens for both at once gives IPv4 as IPv6 (RFC 4291, 2.5.5.2): taken as that, all
    of it would be one network.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return mapped or parsed
