"""Makes the application of a face: its pages, with everything that all pages have."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from renewal.db.engine import StoreUnavailableError
from renewal.errors import NotFoundError, XuqiError
from web.errors import PageError, error_texts
from web.guard import LONGEST_BODY, LOOPBACK, Guard
from web.language import COOKIE, LOCALES, locale_of
from web.layout import STATIC, environment, roc_moment, version

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from jinja2 import Environment

    from renewal.clock import Clock
    from web.sessions import Session, Sessions

log = logging.getLogger(__name__)

TOKEN_HEADER = "Session-Token"  # noqa: S105 - the name of a header: a program goes on with it
A_YEAR = 31_536_000  #: seconds
SEE_OTHER = HTTPStatus.SEE_OTHER.value
ERROR_OF_STATUS = {404: "E9404", 405: "E9405", 413: "E9413", 400: "E9400", 422: "E9400"}


@dataclass(frozen=True, kw_only=True)
class Kit:
    """
    What the pages of one face share. ``frame``: values that each page of it needs besides its own.
    """

    face: str
    clock: Clock
    sessions: Sessions
    https: bool = False  #: as browsers see it, where a proxy ends TLS
    log_in_at: str = "/login"
    frame: Callable[[Request, Session | None], Mapping[str, Any]] = field(
        default=lambda _request, _session: {}
    )

    @cached_property
    def _environments(self) -> dict[str, Environment]:
        return {locale: environment(locale) for locale in LOCALES}

    # --- pages ----------------------------------------------------------------------------------

    def page(self, request: Request, name: str, *, status: int = 200, **values: object) -> Response:
        """Render ``templates/pages/<name>``."""
        return HTMLResponse(self.text(request, name, **values), status_code=status)

    def text(self, request: Request, name: str, **values: object) -> str:
        locale = locale_of(request)
        session = getattr(request.state, "session", None)
        shown = {
            "nonce": request.state.nonce,
            "trace": trace_of(request),
            "now": self.clock.now(),
            "path": request.url.path,
            "session": session,
            **self.frame(request, session),
            **values,
        }
        return self._environments[locale].get_template(name).render(shown)

    def see(self, where: str) -> Response:
        """The answer to every form: what a reload repeats is a look, never the deed."""
        return RedirectResponse(where, status_code=SEE_OTHER)

    def error(self, request: Request, error: str, **values: object) -> Response:
        """An error as a page, or as JSON for a program."""
        text = error_texts()[error]
        log.info("page error %s %s %s", error, request.method, trace_of(request))
        if wants_json(request):
            problem = {"code": error, "title": text.title.en, "trace": trace_of(request)}
            return JSONResponse(problem, status_code=text.status)
        return self.page(
            request, "error.html", status=text.status, code=error, error=text, about=values
        )

    # --- sessions -------------------------------------------------------------------------------

    def is_https(self, request: Request) -> bool:
        return self.https or request.url.scheme == "https"

    def cookie_of(self, request: Request) -> str:
        """
        ``__Host-`` ties a cookie to TLS and to this very host; on a loopback in the clear
        browsers would not take it.
        """
        return f"__Host-xuqi-{self.face}" if self.is_https(request) else f"xuqi-{self.face}"

    def session_of(self, request: Request) -> Session | None:
        """The session that comes with the request, by its cookie or a program's bearer token."""
        found = getattr(request.state, "session", None)
        if found is not None:
            return found  # type: ignore[no-any-return] # request.state is untyped
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        session_id = bearer if scheme == "Bearer" else request.cookies.get(self.cookie_of(request))
        request.state.session = self.sessions.find(session_id, self.face) if session_id else None
        return request.state.session  # type: ignore[no-any-return]

    def signed_in(self, request: Request) -> Session:
        """
        Raises:
            PageError: nobody is, or is any more.
        """
        session = self.session_of(request)
        if session is None or not session.subject:
            raise PageError("E9401")
        return session

    def keep(self, request: Request, session: Session, **changes: object) -> Session:
        request.state.session = kept = self.sessions.keep(session, **changes)
        return kept

    def give_cookie(self, request: Request, response: Response, session: Session) -> Response:
        response.set_cookie(
            self.cookie_of(request),
            session.id,
            path="/",
            secure=self.is_https(request),
            httponly=True,
            samesite="lax",
        )
        return response

    def rotate(self, request: Request, response: Response) -> Response:
        """Go on under a new id, which the response carries: call after a code was right."""
        session = self.signed_in(request)
        fresh = self.sessions.rotate(session, subject=session.subject)
        request.state.session = fresh
        return self.give_cookie(request, response, fresh)

    def rotate_token(self, request: Request, response: Response) -> None:
        """The same for a program, whose next token is in a header of the response."""
        session = self.signed_in(request)
        fresh = self.sessions.rotate(session, subject=session.subject)
        request.state.session = fresh
        response.headers[TOKEN_HEADER] = fresh.id

    def take_cookie(self, request: Request, response: Response) -> Response:
        response.delete_cookie(self.cookie_of(request), path="/", httponly=True, samesite="lax")
        return response


def trace_of(request: Request) -> str:
    """What a person reads to the help desk, and what stands in the log: 5d0a-91c2-77e0."""
    trace: str = request.state.trace
    return "-".join(trace[start : start + 4] for start in range(0, len(trace), 4))


def ref_of(request: Request, error: str, now: datetime) -> str:
    return f"{error} · {trace_of(request)} · {roc_moment(now)}"


def wants_json(request: Request) -> bool:
    return request.url.path.startswith("/api/") or "application/json" in request.headers.get(
        "accept", ""
    )


def make_app(
    kit: Kit,
    routers: Sequence[APIRouter],
    *,
    title: str,
    hosts: Collection[str] = LOOPBACK,
    with_api: bool = False,
    longest_body: int = LONGEST_BODY,
) -> FastAPI:
    """
    The application of a face. ``with_api``: its OpenAPI document is at ``/api/v1/openapi.json``.
    """
    app = FastAPI(
        title=title,
        version="1",
        openapi_url="/api/v1/openapi.json" if with_api else None,
        docs_url=None,  # its pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    for router in (*routers, _common(kit)):
        app.include_router(router)
    # Not the pages: what is secret on them could be told by how far they compress (BREACH).
    app.mount(f"/static/{version()}", GZipMiddleware(_Static(directory=STATIC), minimum_size=1024))
    _handle_errors(app, kit)
    app.add_middleware(
        Guard, refuse=kit.error, hosts=hosts, longest_body=longest_body, https=kit.https
    )
    return app


class _Static(StaticFiles):
    """Files of ours: their addresses carry their hash, so that browsers may keep them."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:  # noqa: ANN401 - starlette's
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = f"public, max-age={A_YEAR}, immutable"
        return response


def _common(kit: Kit) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    def language(request: Request, to: str, back: str = "/") -> Response:
        response = kit.see(_own(back))
        if to in LOCALES:
            secure = kit.is_https(request)
            response.set_cookie(COOKIE, to, max_age=A_YEAR, samesite="lax", secure=secure)
        return response

    router.add_api_route("/language", language, methods=["GET"])
    return router


def _own(where: str) -> str:
    """A place of this very site: else the link could lead anywhere."""
    parts = urlsplit(where)
    is_own = where.startswith("/") and not where.startswith(("//", "/\\")) and not parts.netloc
    return where if is_own else "/"


def _handle_errors(app: FastAPI, kit: Kit) -> None:
    def page_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, PageError)  # noqa: S101 - for the type alone
        if error.code == "E9401" and not wants_json(request):
            return kit.take_cookie(request, kit.see(f"{kit.log_in_at}?ended=1"))
        return kit.error(request, error.code, **error.values)

    def http_error(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 400
        return kit.error(request, ERROR_OF_STATUS.get(status, "E9400"))

    def no_store(request: Request, _error: Exception) -> Response:
        return kit.error(request, "E9503")

    def unknown(request: Request, _error: Exception) -> Response:
        return kit.error(request, "E9404")

    def unforeseen(request: Request, error: Exception) -> Response:
        log.error("page failed %s: %s", trace_of(request), type(error).__name__)
        return kit.error(request, "E9500")

    app.add_exception_handler(PageError, page_error)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(RequestValidationError, http_error)
    app.add_exception_handler(StoreUnavailableError, no_store)
    app.add_exception_handler(NotFoundError, unknown)
    app.add_exception_handler(XuqiError, unforeseen)
    app.add_exception_handler(Exception, unforeseen)
