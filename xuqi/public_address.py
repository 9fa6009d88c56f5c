"""Says whether the address that certificates name can be reached by whoever checks them."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from xuqi.settings import Settings


def unreachable(settings: Settings) -> str | None:
    """
    Why nobody but this machine can check what the embedded CA issues; ``None``: others can.
    """
    host = urlsplit(settings.public).hostname or ""
    if not settings.ca_url.startswith("embedded:") or not _is_of_this_machine(host):
        return None
    return (
        f"certificates name {settings.public} for CRL and OCSP: this machine alone can reach it, "
        "whoever checks a revocation gets no answer; set XUQI_PUBLIC_URL"
    )


def _is_of_this_machine(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified
