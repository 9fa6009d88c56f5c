"""Verifies and parses a carrier's status callback."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urlsplit

from renewal.errors import XuqiError
from renewal.gateways.sms.port import DeliveryReport

Params = Mapping[str, str] | Iterable[tuple[str, str]]

#: The order of Twilio's states; whatever is not in it cannot be told to be later.
_ORDER = ("accepted", "scheduled", "queued", "sending", "sent")
_REPORTS = {
    "delivered": DeliveryReport.DELIVERED,
    "read": DeliveryReport.DELIVERED,
    "undelivered": DeliveryReport.UNDELIVERED,
    "failed": DeliveryReport.UNDELIVERED,
    "canceled": DeliveryReport.UNDELIVERED,
}
_DIGESTS = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}


class BadCallbackError(XuqiError):
    """A signed callback lacks what every callback has; the text names the field."""


@dataclass(frozen=True, kw_only=True)
class CarrierReport:
    carrier_id: str
    status: str  #: the carrier's own word, for ``newer``
    report: DeliveryReport
    code: str  #: the carrier's error number, or empty


def callback_url(base: str, message_id: str) -> str:
    """Return the address where the carrier reports on a message: ids carry no personal data."""
    return f"{base.rstrip('/')}/sms-status/{quote(message_id, safe='')}"


def verified(
    url: str,
    params: Params,
    signature: str | None,
    auth_token: str,
    *,
    settings: str | None = None,
) -> bool:
    """
    Say whether a form was posted by somebody who knows the token.

    ``url`` is the address as configured, never as the request's ``Host`` has it. ``params``
    are all fields of the form, blank and unknown ones too. ``settings`` is the header
    ``X-Twilio-Webhooks-Signature-Settings``, which names the algorithm if it is not SHA-1.
    """
    digest = _DIGESTS.get(_algorithm(settings))
    if not signature or digest is None:
        return False
    fields = _fields(params)
    return any(
        hmac.compare_digest(_sign(auth_token, form + fields, digest), signature.encode())
        for form in _forms(url)
    )


def read(params: Params) -> CarrierReport:
    """
    Raises:
        BadCallbackError: no message id or no status.
    """
    form = dict(params.items() if isinstance(params, Mapping) else params)
    status = _needed(form, "MessageStatus", "SmsStatus")
    return CarrierReport(
        carrier_id=_needed(form, "MessageSid", "SmsSid"),
        status=status,
        report=report_of(status),
        code=form.get("ErrorCode", ""),
    )


def report_of(status: str) -> DeliveryReport:
    """Return what a carrier's word means; a word that nobody knows is no end."""
    return _REPORTS.get(status, DeliveryReport.UNDER_WAY)


def _needed(form: Mapping[str, str], *names: str) -> str:
    for name in names:
        if form.get(name):
            return form[name]
    raise BadCallbackError(f"callback without {names[0]}")


def _algorithm(settings: str | None) -> str:
    for part in (settings or "").split(","):
        name, _, value = part.partition("=")
        if name.strip() == "algorithm" and value.strip():
            return value.strip().upper()
    return "HMAC_SHA1"


def _fields(params: Params) -> str:
    pairs = params.items() if isinstance(params, Mapping) else params
    return "".join(name + value for name, value in sorted(set(pairs)))


def _forms(url: str) -> tuple[str, ...]:
    # Twilio signs with or without the port, and says itself that it is not consistent.
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return (url, _with_netloc(parts, ""), _with_netloc(parts, f":{port}"))


def _with_netloc(parts: SplitResult, port: str) -> str:
    host = parts.netloc.rpartition("@")[2]
    bare = (
        host[: -len(f":{parts.port}")] if parts.port and host.endswith(f":{parts.port}") else host
    )
    return parts._replace(netloc=bare + port).geturl()


def _sign(token: str, text: str, digest: str) -> bytes:
    return base64.b64encode(hmac.digest(token.encode(), text.encode(), digest))
