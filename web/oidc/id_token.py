"""Judges an ID token: who has signed it, for whom, when, and in answer to what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from authlib.oidc.core import CodeIDToken
from joserfc import jws, jwt
from joserfc.errors import JoseError

from web.oidc.provider import SignOnError, SignOnFault

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from web.oidc.issuer import OidcIssuer

#: Signatures that only the issuer can make. Neither "none" nor a MAC, whose key would be ours too.
ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384"})
SKEW = timedelta(seconds=60)  #: of the issuer's clock against ours, either way
LONGEST = 16 * 1024  #: signs of a token; it is kept, sealed, with the session
LONGEST_SUBJECT = 255  # OpenID Connect Core 1.0, 2


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What the token must say to be the answer to our question."""

    client: str
    nonce: str
    asked_at: datetime
    access_token: str | None


def judged(token: str, issuer: OidcIssuer, expected: Expected, now: datetime) -> Mapping[str, Any]:
    """
    The claims of a token that passes every check of OpenID Connect Core 1.0, 3.1.3.7.

    Raises:
        SignOnError: a check that it fails, or the issuer's keys cannot be had.
    """
    try:
        read = _opened(token, issuer)
        claims = CodeIDToken(
            read.claims,
            read.header,
            options={
                "iss": {"essential": True, "value": issuer.url},
                "aud": {"essential": True, "value": expected.client},
            },
            params={
                "client_id": expected.client,
                "nonce": expected.nonce,
                "access_token": expected.access_token,
            },
        )
        claims.validate(now=int(now.timestamp()), leeway=int(SKEW.total_seconds()))
    except (JoseError, ValueError, TypeError) as error:
        named = getattr(error, "claim", None) or type(error).__name__
        raise SignOnError(SignOnFault.UNTRUSTED, f"ID token: {named}") from error
    _check_ours(claims, expected)
    return dict(claims)


def _opened(token: str, issuer: OidcIssuer) -> jwt.Token:
    if len(token) > LONGEST:
        raise SignOnError(SignOnFault.UNTRUSTED, "ID token: too long")
    header = jws.extract_compact(token.encode()).headers()
    allowed = ALGORITHMS.intersection(issuer.metadata().id_token_signing_alg_values_supported)
    if header.get("alg") not in allowed:
        raise SignOnError(SignOnFault.UNTRUSTED, "ID token: alg")
    kid = header.get("kid")
    return jwt.decode(token, issuer.keys(kid), algorithms=sorted(allowed))


def _check_ours(claims: Mapping[str, Any], expected: Expected) -> None:
    """What the standard leaves to us: the token is as young as our question."""
    if claims["iat"] < (expected.asked_at - SKEW).timestamp():
        raise SignOnError(SignOnFault.UNTRUSTED, "ID token: iat before it was asked for")
    if not 0 < len(claims["sub"]) <= LONGEST_SUBJECT:
        raise SignOnError(SignOnFault.UNTRUSTED, "ID token: sub")
