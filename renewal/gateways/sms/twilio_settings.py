"""Says what is wrong with an address of Twilio before a message is lost by it."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, parse_qs, urlsplit

from schema.reasons import SettingReason

_ACCOUNT = re.compile(r"AC[0-9a-fA-F]{32}")
_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")


def why_unfit(sms_url: SplitResult, public: str) -> SettingReason | None:
    """
    Return what of ``twilio://<account>@<codes service>/<reminders service>`` cannot be used, or of
    the public address to which Twilio must report (error 21609), and what to do; else ``None``.
    """
    if not _ACCOUNT.fullmatch(sms_url.username or ""):
        return SettingReason.TWILIO_ACCOUNT
    services = (sms_url.netloc.rpartition("@")[2], sms_url.path.strip("/"))
    if not all(_SERVICE.fullmatch(service) for service in services):
        return SettingReason.TWILIO_SERVICES
    base = parse_qs(sms_url.query).get("base", [""])[0]
    if base and _is_local(urlsplit(base).hostname or ""):
        return None  # a carrier of a trial, on this machine
    host = urlsplit(public).hostname or ""
    if urlsplit(public).scheme != "https" or _is_local(host) or "_" in host or "." not in host:
        return SettingReason.NO_PUBLIC_URL
    return None


def _is_local(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host in {"", "localhost"} or host.endswith(".localhost")
    return address.is_loopback or address.is_private or address.is_unspecified
