"""The pages by which a browser goes to the bank's log-in and comes back."""

from __future__ import annotations

import base64
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import RedirectResponse, Response

from renewal.db.encryption import SealBrokenError
from web.app import SEE_OTHER
from web.errors import PageError
from web.oidc.provider import SignOnError, SignOnFault
from web.oidc.sign_on import Pending

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from renewal.db.encryption import FieldCipher
    from web.app import Kit
    from web.oidc.sign_on import SignOn
    from web.sessions import Session

log = logging.getLogger(__name__)

BEGIN, BACK = "/login/bank", "/login/bank/back"
SEALED_FOR = "sessions.id_token"


@dataclass(frozen=True, kw_only=True)
class Admitted:
    """Who is logged in to our side, and what the session remembers."""

    subject: str
    body: Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class BankLogIn:
    """
    The log-in with the bank for one face.

    ``admit`` says who on our side the claims name, or raises SignOnError.
    """

    kit: Kit
    sign_on: SignOn
    cipher: FieldCipher
    admit: Callable[[Mapping[str, Any]], Admitted]

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route(BEGIN, self.begin, methods=["GET"])
        router.add_api_route(BACK, self.back, methods=["GET"])
        return router

    def begin(self, request: Request) -> Response:
        try:
            where, pending = self.sign_on.begin(self._address(request, BACK))
        except SignOnError as error:
            raise _as_page(error) from error
        sessions = self.kit.sessions
        waiting = sessions.keep(sessions.start(self._waiting_face), **pending.as_body())
        response = RedirectResponse(where, status_code=SEE_OTHER)
        response.set_cookie(
            self._cookie(request), waiting.id, path="/", secure=self.kit.is_https(request),
            httponly=True, samesite="lax",
        )  # fmt: skip
        return response

    def back(self, request: Request) -> Response:
        try:
            signed = self.sign_on.finish(
                dict(request.query_params), self._taken(request), self._address(request, BACK)
            )
            admitted = self.admit(signed.claims)
        except SignOnError as error:
            raise _as_page(error) from error
        kit = self.kit
        before = kit.session_of(request)
        if before is not None:
            kit.sessions.end(before)
        session = kit.sessions.rotate(kit.sessions.start(kit.face), subject=admitted.subject)
        sealed = self.cipher.seal(signed.id_token.encode(), SEALED_FOR, admitted.subject)
        hint = base64.b64encode(sealed).decode()
        session = kit.sessions.keep(session, **admitted.body, id_token=hint)
        response = kit.give_cookie(request, kit.see("/"), session)
        response.delete_cookie(self._cookie(request), path="/", httponly=True, samesite="lax")
        return response

    def leave(self, request: Request, session: Session) -> Response | None:
        """The page that leads on to the bank's log-out; ``None``: it was not the bank's log-in."""
        sealed = session.body.get("id_token")
        if sealed is None:
            return None
        request.state.session = None  # it has ended: the page is nobody's
        hint = self._opened(sealed, session.subject)
        where = self.sign_on.log_out_at(hint, self._address(request, self.kit.log_in_at))
        if where is None:
            return None
        return self.kit.page(request, "signed-out.html", where=where, path=self.kit.log_in_at)

    def _opened(self, sealed: str, subject: str) -> str | None:
        """The ID token; ``None``: its key has been replaced since."""
        try:
            return self.cipher.open(base64.b64decode(sealed), SEALED_FOR, subject).decode()
        except SealBrokenError:
            return None

    def _taken(self, request: Request) -> Pending:
        """
        The log-in that this browser has begun: taken once, whoever comes with it first.

        Raises:
            SignOnError: there is none.
        """
        kit, found = self.kit, request.cookies.get(self._cookie(request))
        waiting = kit.sessions.find(found, self._waiting_face) if found else None
        if waiting is None or not kit.sessions.end(waiting):
            raise SignOnError(SignOnFault.NOT_OURS, "no log-in was begun")
        return Pending.of_body(waiting.body)

    @property
    def _waiting_face(self) -> str:
        """A face of its own, so that the cookie opens no page."""
        return f"{self.kit.face} oidc"

    def _cookie(self, request: Request) -> str:
        return f"{self.kit.cookie_of(request)}-oidc"

    def _address(self, request: Request, path: str) -> str:
        """An address of ours as the browser sees it; the guard has looked at the host's name."""
        scheme = "https" if self.kit.is_https(request) else "http"
        return f"{scheme}://{request.headers['host']}{path}"


def _as_page(error: SignOnError) -> PageError:
    log.warning("log-in with the bank failed: %s", error)
    return PageError(error.fault)
