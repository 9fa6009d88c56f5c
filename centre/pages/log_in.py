"""The pages by which a customer logs in and out, and sets the password by a one-time code."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Form
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the annotations

from centre.accounts import LogInRefusedError, is_allowed, plain
from centre.actions import CodeNotSent, CodeResult
from centre.pages.codes import code_seconds
from renewal.store import certificates as certificate_queries
from renewal.store import people
from schema.policy import Purpose
from web.typed import digits_of

if TYPE_CHECKING:
    from centre.accounts import SignedIn
    from centre.pages.site import Site
    from web.oidc.pages import BankLogIn

Typed = Annotated[str, Form(max_length=128)]
#: Seconds: longer than it takes to have a code sent, so that the time does not say whether one was.
ANSWERED_AFTER = 0.3


@dataclass(frozen=True)
class LogIn:
    """``bank``: the bank's own log-in, where there is one."""

    site: Site
    bank: BankLogIn | None = None

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/login", self.page, methods=["GET"])
        router.add_api_route("/log-out", self.log_out, methods=["POST"])
        if not self.site.accounts.are_open:
            return router
        router.add_api_route("/login", self.log_in, methods=["POST"])
        router.add_api_route("/password", self.who_page, methods=["GET"])
        router.add_api_route("/password", self.send, methods=["POST"])
        router.add_api_route("/password/new", self.new_page, methods=["GET"])
        router.add_api_route("/password/new", self.set_new, methods=["POST"])
        return router

    def page(self, request: Request, ended: int = 0, done: int = 0) -> Response:
        return self._page(request, ended=ended, set_now=done)

    def _page(self, request: Request, **values: Any) -> Response:  # noqa: ANN401 - Kit.page takes a status among them
        shown = {"ended": 0, "set_now": 0, "problem": None, "id_number": "", "user_code": ""}
        return self.site.kit.page(
            request, "centre/login.html", by_bank=self.bank is not None,
            by_password=self.site.accounts.are_open, **{**shown, **values},
        )  # fmt: skip

    def log_in(
        self, request: Request, id_number: Typed, user_code: Typed, password: Typed
    ) -> Response:
        kit, address = self.site.kit, request.client.host if request.client else ""
        try:
            who = self.site.accounts.log_in(id_number, user_code, password, address=address)
        except LogInRefusedError as error:
            return self._page(
                request, status=401, problem=self.site.problem(request, error.code),
                id_number=id_number, user_code=user_code,
            )  # fmt: skip
        session = kit.sessions.start(kit.face)
        session = kit.sessions.rotate(session, subject=str(who.customer))
        session = kit.sessions.keep(session, **remembered_of(self.site, who))
        before = kit.session_of(request)
        if before is not None:
            kit.sessions.end(before)
        return kit.give_cookie(request, kit.see("/"), session)

    def log_out(self, request: Request) -> Response:
        kit = self.site.kit
        session = kit.session_of(request)
        if session is None:
            return kit.take_cookie(request, kit.see("/login"))
        kit.sessions.end(session)
        on = self.bank.leave(request, session) if self.bank else None
        return kit.take_cookie(request, on or kit.see("/login"))

    # --- the password ---------------------------------------------------------------------------

    def who_page(self, request: Request) -> Response:
        return self.site.kit.page(request, "centre/password.html")

    def send(self, request: Request, id_number: Typed, user_code: Typed) -> Response:
        """
        The answer is the same, after the same time, whether anybody is known by that number: a
        page for the code.
        """
        kit, until = self.site.kit, time.monotonic() + ANSWERED_AFTER
        known = self.site.accounts.known(id_number, user_code)
        session = kit.sessions.start(kit.face)
        challenge = ""
        if known is not None:
            sent = self.site.centre_for(request).send_code(
                known.certificate,
                action=Purpose.PASSWORD,
                session=session.id,
                customer=known.customer,
            )
            challenge = "" if isinstance(sent, CodeNotSent) else sent.challenge
        session = kit.sessions.keep(
            session,
            password={
                "customer": known.customer if known else 0,
                "certificate": known.certificate if known else 0,
                "user_code": plain(user_code),
                "challenge": challenge,
                "until": (kit.clock.now() + code_seconds(Purpose.PASSWORD)).isoformat(),
            },
        )
        # Known or not, the answer takes equally long: its time tells nothing of the customer.
        time.sleep(max(0.0, until - time.monotonic()))
        return kit.give_cookie(request, kit.see("/password/new"), session)

    def new_page(self, request: Request) -> Response:
        kit, session = self.site.kit, self.site.kit.session_of(request)
        if session is None or "password" not in session.body:
            return kit.see("/password")
        problem = self.site.remembered(request, session)
        return kit.page(request, "centre/password-new.html", problem=problem)

    def set_new(self, request: Request, code: Typed, first: Typed, again: Typed) -> Response:
        kit, session = self.site.kit, self.site.kit.session_of(request)
        if session is None or "password" not in session.body:
            return kit.see("/password")
        asked = session.body["password"]
        if not is_allowed(first, again, asked["user_code"]):
            self.site.remember(request, session, "E4803")
            return kit.see("/password/new")
        answer = self.site.centre_for(request).enter_code(
            asked["challenge"], digits_of(code), session=session.id,
            action=Purpose.PASSWORD, certificate=asked["certificate"],
        )  # fmt: skip
        if answer.result is not CodeResult.RIGHT:
            self.site.remember(request, session, ERROR_OF_CODE[answer.result])
            return kit.see("/password/new")
        self.site.accounts.set_password(asked["customer"], asked["user_code"], first)
        kit.sessions.end(session)
        return kit.take_cookie(request, kit.see("/login?done=1"))


def remembered_of(site: Site, who: SignedIn) -> dict[str, object]:
    """What the session of a customer remembers, whichever log-in it was."""
    with site.store.snapshot() as look:
        theirs = certificate_queries.of_customers(look, [who.customer])
        enrolled = people.enrolments_of(look, who.customer)
    return {
        "user_code": who.user_code,
        "customer_class": who.customer_class,
        "operator": who.operator,
        "products": sorted({one.product for one in theirs} | {one.product for one in enrolled}),
    }


ERROR_OF_CODE = {
    CodeResult.WRONG: "E4203",
    CodeResult.EXPIRED: "E4204",
    CodeResult.LOCKED: "E4205",
}
