"""Builds a mail in wire format (RFC 5322)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING

from renewal.errors import GatewayRefusedError
from renewal.gateways.mail.verp import token_of

if TYPE_CHECKING:
    from datetime import datetime

    from renewal.gateways.mail.port import Mail

#: RFC 3463: bad syntax of an address; RFC 6531: its mailbox is not ASCII.
BAD_SYNTAX = "5.1.3"
NOT_ASCII = "5.6.7"

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"  # RFC 5322, 3.2.3
_LOCAL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_LONGEST_ADDRESS = 254  # RFC 5321, 4.5.3.1.3, less the two brackets


#: Seven bits only: not every server on the way takes eight (RFC 6152).
_WIRE = SMTP.clone(cte_type="7bit")


@dataclass(frozen=True, kw_only=True)
class MailSender:
    """Who writes: a name and an address for the reader, and how readers leave us."""

    address: str
    name: str = ""
    key: bytes = b""  #: for the tokens


def message_id(mail: Mail, sender: MailSender) -> str:
    """
    Return the Message-ID: the same for the same mail, so that a second copy can be recognised.
    """
    return f"<{token_of(mail.id)}@{domain_of(sender.address)}>"


def write(mail: Mail, sender: MailSender, *, at: datetime) -> EmailMessage:
    """
    Raises:
        GatewayRefusedError: the address cannot be one.
    """
    message = EmailMessage(policy=_WIRE)
    message["From"] = Address(sender.name, addr_spec=sender.address)
    message["To"] = Address(addr_spec=ascii_address(mail.to))
    message["Subject"] = one_line(mail.subject)
    message["Date"] = format_datetime(at)
    message["Message-ID"] = message_id(mail, sender)
    # RFC 3834: no out-of-office answers, please.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    if mail.html is not None:
        message.add_alternative(mail.html, subtype="html")
    # Last: the library takes every Content- header that is there away with the content.
    message["Content-Language"] = one_line(mail.locale)
    return message


def one_line(text: str) -> str:
    """Return the text without any line break, so that it can neither end a header nor add one."""
    return " ".join(part for part in text.replace("\0", "").splitlines() if part)


def ascii_address(address: str) -> str:
    """
    Return the address with its domain as ASCII.

    Raises:
        GatewayRefusedError: it is no address, or its local part is not ASCII.
    """
    local, _, domain = address.rpartition("@")
    if not local.isascii():
        raise GatewayRefusedError("the address needs SMTPUTF8", code=NOT_ASCII)
    try:
        domain = domain.encode("idna").decode()
    except UnicodeError:
        # The error's text carries the address: `from None`.
        raise GatewayRefusedError("not a mail address", code=BAD_SYNTAX) from None
    if not (_LOCAL.fullmatch(local) and _DOMAIN.fullmatch(domain)):
        raise GatewayRefusedError("not a mail address", code=BAD_SYNTAX)
    if len(local) + 1 + len(domain) > _LONGEST_ADDRESS:
        raise GatewayRefusedError("the mail address is too long", code=BAD_SYNTAX)
    return f"{local}@{domain}"


def domain_of(address: str) -> str:
    return address.rpartition("@")[2]
