"""The pages by which a member of staff logs in and out, and changes the first password."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Form
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the annotations

from back_office.staff import StaffRefusedError
from renewal.errors import XuqiError
from web.typed import digits_of

if TYPE_CHECKING:
    from back_office.console.site import ConsoleSite
    from web.oidc.pages import BankLogIn

Typed = Annotated[str, Form(max_length=128)]


@dataclass(frozen=True)
class LogInPages:
    """``bank``: the bank's own log-in, where there is one."""

    site: ConsoleSite
    bank: BankLogIn | None = None

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/login", self.page, methods=["GET"])
        router.add_api_route("/login", self.log_in, methods=["POST"])
        router.add_api_route("/log-out", self.log_out, methods=["POST"])
        router.add_api_route("/password", self.password_page, methods=["GET"])
        router.add_api_route("/password", self.set_password, methods=["POST"])
        return router

    def page(self, request: Request, ended: int = 0) -> Response:
        return self._page(request, ended=ended)

    def _page(self, request: Request, **values: Any) -> Response:  # noqa: ANN401 - Kit.page takes a status among them
        shown = {"ended": 0, "problem": None, "account": "", "by_bank": self.bank is not None}
        return self.site.kit.page(request, "console/login.html", **{**shown, **values})

    def log_in(self, request: Request, name: Typed, password: Typed, code: Typed = "") -> Response:
        kit, address = self.site.kit, request.client.host if request.client else ""
        try:
            member = self.site.staff.log_in(
                name.strip(), password, address=address, code=digits_of(code)
            )
        except StaffRefusedError as error:
            problem = self.site.problem(request, error.code)
            return self._page(request, status=401, account=name, problem=problem)
        session = kit.sessions.rotate(kit.sessions.start(kit.face), subject=member.name)
        session = kit.sessions.keep(
            session, roles=member.roles.split(","), must_change=member.must_change or None
        )
        before = kit.session_of(request)
        if before is not None:
            kit.sessions.end(before)
        where = "/password" if member.must_change else "/"
        return kit.give_cookie(request, kit.see(where), session)

    def log_out(self, request: Request) -> Response:
        kit = self.site.kit
        session = kit.session_of(request)
        if session is None:
            return kit.take_cookie(request, kit.see("/login"))
        kit.sessions.end(session)
        on = self.bank.leave(request, session) if self.bank else None
        return kit.take_cookie(request, on or kit.see("/login"))

    def password_page(self, request: Request) -> Response:
        self.site.kit.signed_in(request)
        return self.site.kit.page(request, "console/password.html", problem=None)

    def set_password(self, request: Request, password: Typed, again: Typed) -> Response:
        kit = self.site.kit
        session = kit.signed_in(request)
        code = "" if password == again else "E4814"
        if not code:
            try:
                self.site.staff.set_password(session.subject, password, session=session.id)
            except XuqiError:
                code = "E4815"
        if code:
            problem = self.site.problem(request, code)
            return kit.page(request, "console/password.html", status=422, problem=problem)
        kit.keep(request, session, must_change=None)
        return kit.see("/")
