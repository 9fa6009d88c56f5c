"""Opens outside systems by the scheme of their address, and imports only those that are used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from renewal.gateways.address import GatewayAddressError
from schema.reasons import SettingReason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from renewal.gateways.address import Surroundings

#: For each kind of outside system, the module that opens an address of a scheme by ``from_url``.
ADAPTERS: Mapping[str, Mapping[str, str]] = {
    "sms": {
        "local": "renewal.gateways.sms.mailbox",
        "twilio": "renewal.gateways.sms.twilio",
    },
    "mail": {
        "local": "renewal.gateways.mail.mailbox",
        "smtp": "renewal.gateways.mail.smtp",
    },
    "bounces": {
        "maildir": "renewal.gateways.bounces.maildir",
        "imap": "renewal.gateways.bounces.imap",
        "imaps": "renewal.gateways.bounces.imap",
    },
    "ca": {
        "embedded": "renewal.gateways.ca.embedded.adapter",
    },
    "bank": {
        "embedded": "renewal.gateways.bank.embedded.adapter",
    },
}


def adapter_module(kind: str, address: str) -> str:
    """
    The module that opens it.

    Raises:
        GatewayAddressError: there is none for the address's scheme.
    """
    scheme = address.partition(":")[0]
    if scheme not in ADAPTERS[kind]:
        known = ", ".join(f"{name}:" for name in ADAPTERS[kind])
        raise GatewayAddressError(SettingReason.SCHEME.why(known=known))
    return ADAPTERS[kind][scheme]


def open_gateway(kind: str, address: str, around: Surroundings) -> Any:  # noqa: ANN401 - by its kind
    """
    The outside system of that kind at this address, as its port has it.

    Raises:
        GatewayAddressError: the address or a secret cannot be used.
    """
    module = import_module(adapter_module(kind, address))
    return module.from_url(urlsplit(address), around)
