"""Sends text messages through Twilio; the only module that imports its library."""

from __future__ import annotations

import contextlib
import logging
import ssl
from datetime import timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import parse_qs

import requests
from requests.adapters import HTTPAdapter
from twilio.base.exceptions import TwilioException  # type: ignore[import-untyped]
from twilio.http import HttpClient  # type: ignore[import-untyped]
from twilio.http.response import Response  # type: ignore[import-untyped]
from twilio.rest import Client  # type: ignore[import-untyped]
from urllib3.exceptions import HTTPError, NewConnectionError

from renewal.errors import (
    LATER,
    GatewayRefusedError,
    GatewayUnavailableError,
    GatewayUnsureError,
)
from renewal.gateways.address import GatewayAddressError
from renewal.gateways.answers import Meaning
from renewal.gateways.sms.callback import callback_url, report_of
from renewal.gateways.sms.errors import meaning
from renewal.gateways.sms.port import DeliveryReport, GatewayMisconfiguredError, Lane, Sms
from renewal.gateways.sms.twilio_answers import meaning_of
from renewal.gateways.sms.twilio_settings import why_unfit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from urllib.parse import SplitResult

    from twilio.rest.api.v2010.account.message import (  # type: ignore[import-untyped]
        MessageInstance,
        MessageList,
    )

    from renewal.gateways.address import Surroundings

#: Twilio takes 1 to 36,000 seconds (Message resource, ValidityPeriod).
LONGEST_VALIDITY = timedelta(seconds=36_000)
#: A message is looked for among the recipient's newest ones; we send a few a day at most.
LOOK_BACK = 200
#: The carrier's clock, which also counts whole seconds only, may be this much behind ours.
CLOCKS_DIFFER = timedelta(minutes=1)
#: Longer than this no Retry-After is obeyed: it may be a mistake.
LONGEST_WAIT = timedelta(hours=1)
SHORTEST_WAIT = timedelta(seconds=1)

STALE = "30036"
NO_SUCH_MESSAGE = "20404"
#: What the library raises over an answer that is no JSON, or JSON of another shape.
UNREADABLE = (ValueError, AttributeError, KeyError, TypeError)


class TwilioSms:
    """
    A messaging service for each lane. Safe to use from several threads.

    ``status_callback`` is the public base address under which ``/sms-status/<our id>`` is
    served; without it Twilio reports nothing by itself. ``base_url`` reaches another gateway
    that speaks the same API. ``timeout`` holds for the connection and for each wait for bytes.
    """

    def __init__(
        self,
        *,
        account_sid: str,
        auth_token: str,
        messaging_services: Mapping[Lane, str],
        status_callback: str | None = None,
        base_url: str | None = None,
        timeout: timedelta = timedelta(seconds=10),
        connections: int = 32,
    ) -> None:
        if missing := set(Lane) - set(messaging_services):
            raise GatewayMisconfiguredError(
                f"no messaging service for {', '.join(sorted(missing))}"
            )
        http = _Http(timeout, connections)
        client = Client(account_sid, auth_token, http_client=http, environment={"": ""})
        if base_url is not None:
            client.api.base_url = base_url
        self._http = http
        self._client = client
        self._messages: MessageList = client.api.v2010.account.messages
        self._services = dict(messaging_services)
        self._status_callback = status_callback

    def close(self) -> None:
        self._http.session.close()

    def greet(self) -> None:
        """
        Ask for our own account, and send nothing.

        Raises:
            GatewayMisconfiguredError: it is closed or suspended, or the secret is another's.
            GatewayUnavailableError: the carrier cannot be reached now.
        """
        try:
            account = self._client.api.v2010.accounts(self._client.username).fetch()
        except UNREADABLE:
            raise GatewayUnavailableError("the carrier's answer cannot be read") from None
        if account.status != "active":
            raise GatewayMisconfiguredError(f"our account is {account.status}")

    def send(self, sms: Sms) -> str:
        """Hand the message over and return Twilio's id; see the port for the errors."""
        try:
            created = self._messages.create(
                to=sms.to,
                body=sms.body,
                messaging_service_sid=self._services[sms.lane],
                status_callback=self._callback(sms),
                validity_period=_validity(sms),
                **_retention(sms.lane),
            )
        except UNREADABLE:
            # A good status with such an answer: created, but its id is lost.
            raise GatewayUnsureError("the carrier's answer cannot be read") from None
        if not created.sid:
            raise GatewayUnsureError("the carrier's answer has no message id")
        return str(created.sid)

    def find(self, sms: Sms, *, since: datetime) -> str | None:
        """
        Know a message again by its recipient, text, lane and time.

        The list shows no callback address, so our own id is not in it. It is not asked by
        ``DateSent`` either: a message that is still queued has none.

        Raises:
            GatewayUnsureError: a code; Twilio keeps neither its text nor its recipient.
        """
        if sms.lane is Lane.CODES:
            raise GatewayUnsureError("the carrier keeps no codes: wait for its report")
        earliest = since - CLOCKS_DIFFER
        try:
            listed = self._messages.stream(to=sms.to, limit=LOOK_BACK, page_size=LOOK_BACK)
            found = [message.sid for message in listed if self._is(message, sms, earliest)]
        except (*UNREADABLE, TwilioException):
            raise GatewayUnavailableError("the carrier's list cannot be read") from None
        return str(found[0]) if found else None

    def report(self, carrier_id: str) -> tuple[DeliveryReport, str]:
        try:
            message = self._client.api.v2010.account.messages(carrier_id).fetch()
        except GatewayMisconfiguredError as error:
            if error.code == NO_SUCH_MESSAGE:
                raise GatewayRefusedError("no such message", code=error.code) from error
            raise
        except UNREADABLE:
            raise GatewayUnavailableError("the carrier's answer cannot be read") from None
        return report_of(str(message.status)), str(message.error_code or "")

    def _callback(self, sms: Sms) -> str | None:
        if self._status_callback is None:
            return None
        return callback_url(self._status_callback, sms.id)

    def _is(self, message: MessageInstance, sms: Sms, earliest: datetime) -> bool:
        return (
            message.to == sms.to
            and (message.body or "").strip() == sms.body.strip()
            and message.messaging_service_sid == self._services[sms.lane]
            and message.date_created is not None
            and message.date_created >= earliest
        )


def _validity(sms: Sms) -> int | None:
    if sms.valid_for is None:
        return None
    seconds = int(min(sms.valid_for, LONGEST_VALIDITY).total_seconds())
    if seconds < 1:
        raise GatewayRefusedError(f"{meaning(STALE)}: not sent", code=STALE)
    return seconds


def _retention(lane: Lane) -> dict[str, Any]:
    if lane is not Lane.CODES:
        return {}
    return {"content_retention": "discard", "address_retention": "obfuscate"}


class _Http(HttpClient):  # type: ignore[misc]  # the library has no types
    """
    The library's door, with what its own lacks: time limits, our errors, and discretion.

    Nothing is tried twice here, no proxy and no password comes from the environment, nothing
    is logged, and no error carries an address or a text: both stand in numbers and lists.
    """

    def __init__(self, timeout: timedelta, connections: int) -> None:
        # The base asks for a logger; `request` below, unlike the library's own, never uses it.
        super().__init__(
            logging.getLogger(__name__), is_async=False, timeout=timeout.total_seconds()
        )
        # urllib3 writes each address with its query, "?To=+886...", at DEBUG.
        logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)
        self.session = requests.Session()
        self.session.trust_env = False
        for scheme in ("https://", "http://"):
            self.session.mount(scheme, HTTPAdapter(pool_maxsize=connections, max_retries=0))

    def request(  # noqa: PLR0917 - the library's signature
        self,
        method: str,
        url: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,  # noqa: FBT001, FBT002 - the library's signature
    ) -> Response:
        try:
            answer = self.session.request(
                method,
                url,
                params=params,  # type: ignore[arg-type]  # strings and numbers
                data=data,
                headers=headers,
                auth=auth,
                timeout=timeout or self.timeout,
                allow_redirects=allow_redirects,
            )
        except requests.RequestException as error:
            # The error's text holds the address, and that the recipient's number: `from None`.
            if method == "GET" or _not_even_sent(error):
                raise GatewayUnavailableError("the carrier cannot be reached") from None
            raise GatewayUnsureError("the carrier's answer was lost") from None
        if answer.status_code >= HTTPStatus.MULTIPLE_CHOICES:
            _raise(method, answer)
        return Response(answer.status_code, answer.text, dict(answer.headers))


def _not_even_sent(error: requests.RequestException) -> bool:
    if isinstance(error, requests.ConnectTimeout):
        return True
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", cause)
    if isinstance(reason, HTTPError) and reason.args:
        inner = reason.args[0]
        return isinstance(reason, NewConnectionError) or isinstance(
            inner, ssl.SSLCertVerificationError
        )
    return False


def _raise(method: str, answer: requests.Response) -> NoReturn:
    status, code = answer.status_code, _code(answer)
    number = code or str(status)
    why = f"the carrier answered {number}: {meaning(number)}"
    match meaning_of(method, status, code):
        case Meaning.OURS:
            raise GatewayMisconfiguredError(why, code=number)
        case Meaning.REFUSED:
            raise GatewayRefusedError(why, code=number)
        case Meaning.NOTHING:
            raise GatewayUnavailableError(why, retry_after=_retry_after(answer))
        case _:
            raise GatewayUnsureError(why)


def _code(answer: requests.Response) -> str | None:
    with contextlib.suppress(ValueError):
        body = answer.json()
        if isinstance(body, dict) and body.get("code"):
            return str(body["code"])
    return None


def _retry_after(answer: requests.Response) -> timedelta:
    # RFC 9110, 10.2.3: seconds, or a date, which is taken against the carrier's own clock.
    asked = answer.headers.get("Retry-After", "")
    wait = LATER
    with contextlib.suppress(ValueError, OverflowError, KeyError, TypeError):
        if asked.isdecimal():
            wait = timedelta(seconds=int(asked))
        elif asked:
            wait = parsedate_to_datetime(asked) - parsedate_to_datetime(answer.headers["Date"])
    return min(max(wait, SHORTEST_WAIT), LONGEST_WAIT)


def from_url(url: SplitResult, around: Surroundings) -> TwilioSms:
    """
    ``twilio://<account>@<codes service>/<reminders service>?base=...``.

    Raises:
        GatewayAddressError: Twilio would refuse messages for it.
    """
    unfit = why_unfit(url, around.public)
    if unfit is not None:
        raise GatewayAddressError(unfit)
    base = parse_qs(url.query).get("base", [None])[0]
    return TwilioSms(
        account_sid=url.username or "",
        auth_token=around.secret("twilio"),
        messaging_services={
            Lane.CODES: url.netloc.rpartition("@")[2],
            Lane.REMINDERS: url.path.strip("/"),
        },
        status_callback=around.public,
        base_url=base,
    )
