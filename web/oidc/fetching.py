"""Fetches JSON from an issuer, within bounds."""

from __future__ import annotations

import http.client
import ipaddress
import json
import ssl
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from web.oidc.provider import SignOnError, SignOnFault

if TYPE_CHECKING:
    from collections.abc import Mapping
    from urllib.parse import SplitResult

SECONDS = 5.0  #: for each answer of the socket
LONGEST = 512 * 1024  #: bytes of an answer


def is_safe(url: str) -> bool:
    """Whether it is HTTPS, or a program on this very machine."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - looked at when it is asked for
    except ValueError:
        return False
    host = parts.hostname or ""
    return bool(host) and (
        parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def fetch(
    url: str, *, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """
    GET, or POST a form. A redirection is not followed: the secret goes where it is meant to.

    Raises:
        SignOnError: no answer, or none that is a JSON object of bearable length.
    """
    if not is_safe(url):
        raise SignOnError(SignOnFault.UNAVAILABLE, "an address without TLS")
    parts = urlsplit(url)
    connection = _connection(parts)
    try:
        status, body = _exchange(connection, parts, form, headers or {})
    except (OSError, http.client.HTTPException) as error:
        raise SignOnError(SignOnFault.UNAVAILABLE, type(error).__name__) from error
    finally:
        connection.close()
    if status != HTTPStatus.OK:
        # RFC 6749, 5.2: 400 and 401 say that the code or the client was not accepted.
        said_no = status in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED}
        fault = SignOnFault.UNTRUSTED if said_no else SignOnFault.UNAVAILABLE
        raise SignOnError(fault, f"status {status}")
    return _object(body)


def _connection(parts: SplitResult) -> http.client.HTTPConnection:
    host, port = parts.hostname or "", parts.port
    if parts.scheme == "https":
        tls = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=SECONDS, context=tls)
    return http.client.HTTPConnection(host, port, timeout=SECONDS)


def _exchange(
    connection: http.client.HTTPConnection,
    parts: SplitResult,
    form: Mapping[str, str] | None,
    headers: Mapping[str, str],
) -> tuple[int, bytes]:
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    sent = {"Accept": "application/json", **headers}
    if form is None:
        connection.request("GET", path, headers=sent)
    else:
        sent["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request("POST", path, body=urlencode(form), headers=sent)
    answer = connection.getresponse()
    return answer.status, answer.read(LONGEST + 1)


def _object(body: bytes) -> dict[str, Any]:
    if len(body) > LONGEST:
        raise SignOnError(SignOnFault.UNAVAILABLE, "an answer that is too long")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise SignOnError(SignOnFault.UNAVAILABLE, "no JSON") from error
    if not isinstance(found, dict):
        raise SignOnError(SignOnFault.UNAVAILABLE, "no JSON object")
    return found
