"""Runs one log-in with an issuer: the question, the answer's checks, and the log-out."""

from __future__ import annotations

import base64
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from authlib.oauth2.rfc7636 import create_s256_code_challenge

from web.oidc.fetching import fetch, is_safe
from web.oidc.id_token import Expected, judged
from web.oidc.provider import SignOnError, SignOnFault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from renewal.clock import Clock
    from web.oidc.issuer import Metadata, OidcIssuer
    from web.oidc.provider import OidcProvider

ANSWERED_WITHIN = timedelta(minutes=10)
ENTROPY = 32  #: bytes of state, nonce and verifier


@dataclass(frozen=True, kw_only=True)
class Pending:
    """A log-in that was begun; it stays with us, by the reader's cookie."""

    state: str
    nonce: str
    verifier: str
    asked_at: datetime

    def as_body(self) -> dict[str, str]:
        return {
            "state": self.state,
            "nonce": self.nonce,
            "verifier": self.verifier,
            "asked_at": self.asked_at.isoformat(),
        }

    @staticmethod
    def of_body(body: Mapping[str, Any]) -> Pending:
        asked_at = datetime.fromisoformat(body["asked_at"])
        return Pending(
            state=body["state"], nonce=body["nonce"], verifier=body["verifier"], asked_at=asked_at
        )


@dataclass(frozen=True, kw_only=True)
class SignedOn:
    """Who the issuer says it is. ``id_token``: what it wants to see at the log-out."""

    claims: Mapping[str, Any]
    id_token: str


@dataclass(frozen=True, kw_only=True)
class SignOn:
    """Log-ins with one issuer. ``back``: the address of ours that the issuer leads back to."""

    provider: OidcProvider
    issuer: OidcIssuer
    clock: Clock

    def begin(self, back: str) -> tuple[str, Pending]:
        """
        Where the browser goes, and what to keep until it is back.

        Raises:
            SignOnError: the issuer does not answer.
        """
        endpoint = self.issuer.metadata().authorization_endpoint
        pending = Pending(
            state=secrets.token_urlsafe(ENTROPY),
            nonce=secrets.token_urlsafe(ENTROPY),
            verifier=secrets.token_urlsafe(ENTROPY),
            asked_at=self.clock.now(),
        )
        query = {
            "response_type": "code",
            "client_id": self.provider.client,
            "redirect_uri": back,
            "scope": self.provider.scope,
            "state": pending.state,
            "nonce": pending.nonce,
            "code_challenge": create_s256_code_challenge(pending.verifier),
            "code_challenge_method": "S256",
        }
        return _with_query(endpoint, query), pending

    def finish(self, answer: Mapping[str, str], pending: Pending, back: str) -> SignedOn:
        """
        Raises:
            SignOnError: the answer is not the one to this question, or the token fails a check.
        """
        published, now = self.issuer.metadata(), self.clock.now()
        self._check_answer(answer, pending, published, now)
        tokens = self._redeem(answer["code"], pending, published, back)
        token, access = tokens.get("id_token"), tokens.get("access_token")
        if not isinstance(token, str):
            raise SignOnError(SignOnFault.UNTRUSTED, "no ID token")
        expected = Expected(
            client=self.provider.client,
            nonce=pending.nonce,
            asked_at=pending.asked_at,
            access_token=access if isinstance(access, str) else None,
        )
        return SignedOn(claims=judged(token, self.issuer, expected, now), id_token=token)

    def _check_answer(
        self, answer: Mapping[str, str], pending: Pending, published: Metadata, now: datetime
    ) -> None:
        if not hmac.compare_digest(answer.get("state", "").encode(), pending.state.encode()):
            raise SignOnError(SignOnFault.NOT_OURS, "state")
        if not timedelta() <= now - pending.asked_at <= ANSWERED_WITHIN:
            raise SignOnError(SignOnFault.NOT_OURS, "too late")
        # RFC 9207: an answer of another issuer, which would have us send it this one's code.
        needed = published.authorization_response_iss_parameter_supported
        if answer.get("iss", None if needed else self.issuer.url) != self.issuer.url:
            raise SignOnError(SignOnFault.UNTRUSTED, "answered by another issuer")
        if "error" in answer or not answer.get("code"):
            raise SignOnError(SignOnFault.DECLINED, "no code")

    def _redeem(
        self, code: str, pending: Pending, published: Metadata, back: str
    ) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": back,
            "code_verifier": pending.verifier,
        }
        client, secret = self.provider.client, self.provider.secret.value.decode()
        if "client_secret_basic" in published.token_endpoint_auth_methods_supported:
            pair = f"{quote(client, safe='')}:{quote(secret, safe='')}"  # RFC 6749, 2.3.1
            basic = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
            return fetch(published.token_endpoint, form=form, headers=basic)
        form |= {"client_id": client, "client_secret": secret}
        return fetch(published.token_endpoint, form=form)

    def log_out_at(self, id_token: str | None, back: str) -> str | None:
        """
        Where the browser goes to be logged out at the issuer too; ``None``: it has no such page, or
        does not answer.
        """
        try:
            endpoint = self.issuer.metadata().end_session_endpoint
        except SignOnError:
            return None
        if not is_safe(endpoint):
            return None
        query = {"client_id": self.provider.client, "post_logout_redirect_uri": back}
        if id_token is not None:
            query["id_token_hint"] = id_token
        return _with_query(endpoint, query)


def _with_query(url: str, query: Mapping[str, str]) -> str:
    sign = "&" if urlsplit(url).query else "?"
    return f"{url}{sign}{urlencode(query)}"
