"""An OpenID Connect issuer on loopback that logs in whom it is told to, and can be made to lie."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

CLIENT, SECRET = "xuqi", "a secret: with/odd signs"
RSA = RSAKey.generate_key(2048, {"kid": "rsa-1", "use": "sig", "alg": "RS256"})
EC = ECKey.generate_key("P-256", {"kid": "ec-1", "use": "sig", "alg": "ES256"})
FOREIGN = RSAKey.generate_key(2048, {"kid": "foreign"})


@dataclass
class LocalIssuer:
    """
    ``who``: the claims of whoever logs in next. The rest are its lies: what its documents, its
    answers and its tokens say otherwise.
    """

    now: Callable[[], datetime]
    url: str = ""
    who: dict[str, Any] = field(default_factory=lambda: {"sub": "4711"})
    says: dict[str, Any] = field(default_factory=dict)  #: claims that are changed; None: left out
    published: dict[str, Any] = field(default_factory=dict)  #: of the discovery document
    answers: dict[str, str] = field(default_factory=dict)  #: added to the answer's query
    alg: str = "RS256"
    key: Any = field(default_factory=lambda: RSA)
    keys: list[Any] = field(default_factory=lambda: [RSA, EC])
    unsigned: bool = False
    asked: list[str] = field(default_factory=list)
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def honest(self) -> None:
        """Forget every lie, and who was to log in."""
        kept = LocalIssuer(self.now, self.url)
        for name in ("who", "says", "published", "answers", "alg", "key", "keys", "unsigned"):
            setattr(self, name, getattr(kept, name))

    # --- what it answers ------------------------------------------------------------------------

    def document(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "end_session_endpoint": f"{self.url}/end",
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            "authorization_response_iss_parameter_supported": True,
            **self.published,
        }

    def key_set(self) -> dict[str, Any]:
        return {"keys": [key.as_dict(private=False) for key in self.keys]}

    def authorize(self, query: dict[str, str]) -> str:
        """Where the browser goes back to."""
        code = secrets.token_urlsafe(16)
        self._codes[code] = query
        answer = {"code": code, "state": query["state"], "iss": self.url, **self.answers}
        return f"{query['redirect_uri']}?{urlencode(answer)}"

    def token(self, form: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """The tokens for a code; ``None``: something of it is wrong. A code counts once."""
        asked = self._codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        pair = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        known = tuple(unquote(part) for part in pair.split(":")) == (CLIENT, SECRET)
        right = asked is not None and (
            asked["code_challenge"] == challenge and asked["redirect_uri"] == form["redirect_uri"]
        )
        if not known or not right or asked is None:
            return None
        access = secrets.token_urlsafe(16)
        return {
            "access_token": access,
            "token_type": "Bearer",
            "id_token": self._signed(self._claims(asked["nonce"], access)),
        }

    def _claims(self, nonce: str, access: str) -> dict[str, Any]:
        at = int(self.now().timestamp())
        half = hashlib.sha256(access.encode()).digest()[:16]
        claims = {
            "iss": self.url,
            "aud": CLIENT,
            "iat": at,
            "exp": at + 300,
            "nonce": nonce,
            "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
            **self.who,
            **self.says,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def _signed(self, claims: dict[str, Any]) -> str:
        if self.unsigned:
            head = base64.urlsafe_b64encode(b'{"alg":"none","kid":"rsa-1"}').rstrip(b"=")
            body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
            return f"{head.decode()}.{body.decode()}."
        header = {"alg": self.alg, "kid": getattr(self.key, "kid", None) or "rsa-1"}
        return jwt.encode(header, claims, self.key, algorithms=[self.alg])


@contextmanager
def local_issuer(now: Callable[[], datetime]) -> Iterator[LocalIssuer]:
    issuer = LocalIssuer(now)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"is_of": issuer}))
    issuer.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    is_of: LocalIssuer

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        self.is_of.asked.append(parts.path)
        match parts.path:
            case "/.well-known/openid-configuration":
                self._json(200, self.is_of.document())
            case "/jwks":
                self._json(200, self.is_of.key_set())
            case "/authorize":
                self._send(303, b"", Location=self.is_of.authorize(query))
            case "/end":
                hint = "with hint" if query.get("id_token_hint") else "without hint"
                page = f"<title>bye</title><p>logged out {hint} {query['client_id']}</p>"
                self._send(200, page.encode(), **{"Content-Type": "text/html"})
            case _:
                self._json(404, {})

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        form = dict(parse_qsl(self.rfile.read(length).decode()))
        found = self.is_of.token(form, self.headers.get("Authorization", ""))
        self._json(200 if found else 400, found or {"error": "invalid_grant"})

    def _json(self, status: int, value: dict[str, Any]) -> None:
        self._send(status, json.dumps(value).encode(), **{"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
