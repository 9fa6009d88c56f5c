"""Keeps what an issuer publishes of itself: its endpoints and its signing keys."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from web.oidc.fetching import fetch, is_safe
from web.oidc.provider import SignOnError, SignOnFault

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from renewal.clock import Clock

T = TypeVar("T")
WELL_KNOWN = "/.well-known/openid-configuration"  # OpenID Connect Discovery 1.0, 4
KEPT = timedelta(hours=1)
#: A key that is not among those kept is looked for at most so often: else whoever sends made-up
#: key names could have us ask the issuer without end.
ASKED_AT_MOST_EVERY = timedelta(minutes=1)
#: So long an issuer that does not answer is not asked again: else every log-in would wait for it in
#: turn, and hold a thread of the pages, the emergency account's among them.
SPARED = timedelta(seconds=15)


class Metadata(msgspec.Struct, frozen=True):
    """What is used of the discovery document; the names are those of RFC 8414."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    end_session_endpoint: str = ""
    id_token_signing_alg_values_supported: tuple[str, ...] = ("RS256",)
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False  # RFC 9207


@dataclass(frozen=True)
class _Kept(Generic[T]):
    value: T
    at: datetime


@dataclass
class OidcIssuer:
    """One issuer by its URL. Safe to use from several threads."""

    url: str
    clock: Clock
    _metadata: _Kept[Metadata] | None = None
    _keys: _Kept[KeySet] | None = None
    _failed: _Kept[SignOnError] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def metadata(self) -> Metadata:
        """
        Raises:
            SignOnError: it does not answer, or its document is not that of this issuer.
        """
        with self._lock:
            self._metadata = self._fresh(self._metadata, KEPT, lambda: read_metadata(self.url))
            return self._metadata.value

    def keys(self, kid: str | None) -> KeySet:
        """
        Its keys; read anew where there is none of that name, as after a rotation.

        Raises:
            SignOnError: it does not answer, or publishes no keys.
        """
        source = self.metadata().jwks_uri
        with self._lock:
            known = self._keys is not None and kid in {key.kid for key in self._keys.value}
            for_how_long = KEPT if known or kid is None else ASKED_AT_MOST_EVERY
            self._keys = self._fresh(self._keys, for_how_long, lambda: _read_keys(source))
            return self._keys.value

    def _fresh(
        self, kept: _Kept[T] | None, for_how_long: timedelta, read: Callable[[], T]
    ) -> _Kept[T]:
        now = self.clock.now()
        if kept is not None and abs(now - kept.at) < for_how_long:
            return kept
        if self._failed is not None and abs(now - self._failed.at) < SPARED:
            before = self._failed.value
            raise SignOnError(before.fault, before.why)
        try:
            found = _Kept(read(), now)
        except SignOnError as error:
            self._failed = _Kept(error, self.clock.now())
            raise
        self._failed = None
        return found


def read_metadata(url: str) -> Metadata:
    """
    Raises:
        SignOnError: no answer, or a document that is not this issuer's or cannot be used.
    """
    try:
        found = msgspec.convert(fetch(url.rstrip("/") + WELL_KNOWN), Metadata)
    except msgspec.ValidationError as error:
        raise SignOnError(SignOnFault.UNAVAILABLE, "discovery: not complete") from error
    if found.issuer != url:  # Discovery 1.0, 4.3: exactly the same
        raise SignOnError(SignOnFault.UNAVAILABLE, "discovery: of another issuer")
    named = (found.authorization_endpoint, found.token_endpoint, found.jwks_uri)
    if not all(is_safe(one) for one in named):
        raise SignOnError(SignOnFault.UNAVAILABLE, "discovery: an address without TLS")
    return found


def _read_keys(url: str) -> KeySet:
    try:
        return KeySet.import_key_set(fetch(url))  # type: ignore[arg-type] # what came in
    except (JoseError, KeyError, TypeError, ValueError) as error:
        raise SignOnError(SignOnFault.UNAVAILABLE, "its keys cannot be read") from error
