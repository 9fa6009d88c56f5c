"""The pages of tokens' lives, and of the renewals that a branch has yet to record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the annotations

from back_office.staff import StaffRole
from back_office.tokens import MOVES, TokenActions
from renewal.errors import XuqiError
from renewal.lifecycle import recordings, tokens
from renewal.rules.serials import token_serial
from renewal.rules.user_codes import masked
from renewal.store import certificates as certificate_queries
from renewal.store import recordings as recording_queries
from renewal.store import tokens as queries
from schema.states import TOKEN, RecordingState, TokenState
from templates.codes import text
from web.errors import PageError
from web.language import locale_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from back_office.console.site import ConsoleSite

PAGE = 50
Words = Annotated[str, Form(max_length=300)]
Serial = Annotated[str, Form(max_length=64)]
#: How the list and the page mark a token's state.
KINDS = {
    TokenState.IN_STOCK: "off", TokenState.ASSIGNED: "wait", TokenState.ACTIVE: "ok",
    TokenState.ON_HOLD: "hold", TokenState.LOST: "bad", TokenState.DAMAGED: "bad",
    TokenState.RETURNED: "off", TokenState.DESTROYED: "off",
}  # fmt: skip


@dataclass(frozen=True)
class TokenLifePages:
    site: ConsoleSite

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        add = router.add_api_route
        add("/tokens", self.list_page, methods=["GET"])
        add("/tokens/find", self.find, methods=["POST"])
        add("/tokens/register", self.register, methods=["POST"])
        add("/tokens/{serial}", self.page, methods=["GET"])
        add("/tokens/{serial}/assign", self.assign, methods=["POST"])
        add("/tokens/{serial}/{did}", self.move, methods=["POST"])
        add("/recordings", self.recordings, methods=["GET"])
        add("/recordings/{renewal}", self.record, methods=["POST"])
        return router

    @property
    def _actions(self) -> TokenActions:
        return TokenActions(self.site.store, self.site.back_office.branches)

    def list_page(self, request: Request, state: str = "", after: str = "") -> Response:
        reader = self.site.reader(request)
        wanted = TokenState(state) if state in set(TokenState) else None
        with self.site.store.snapshot() as look:
            found = queries.listed(look, state=wanted, after=after, at_most=PAGE + 1)
        return self.site.kit.page(
            request, "console/tokens.html", me=reader, here="tokens", tokens=found[:PAGE],
            more=found[PAGE - 1].serial if found[PAGE:] else None, states=list(TokenState),
            state=state, kinds=KINDS, notice=self.site.notice(request),
            may_act=reader.may(StaffRole.OPERATOR), word_of_token=self._word(request),
        )  # fmt: skip

    def find(self, request: Request, serial: Serial) -> Response:
        self.site.reader(request)
        return self.site.kit.see(f"/tokens/{token_serial(serial)}" if serial else "/tokens")

    def register(self, request: Request, serial: Serial, branch: Words, why: Words) -> Response:
        who = self.site.reader(request, StaffRole.OPERATOR).name
        return self.site.acted(
            request, lambda: self._actions.register(serial, branch, who=who, why=why), "/tokens",
            ("已入庫。", "It is in stock."),
        )  # fmt: skip

    def page(self, request: Request, serial: str) -> Response:
        reader = self.site.reader(request)
        with self.site.store.snapshot() as look:
            try:
                token = tokens.known(look, serial)
            except XuqiError as error:
                raise PageError("E9404") from error
            held = certificate_queries.on_token(look, token.serial)
        return self.site.kit.page(
            request, "console/token.html", me=reader, here="tokens", token=token, held=held,
            kinds=KINDS, moves=_moves(token.state), notice=self.site.notice(request),
            may_act=reader.may(StaffRole.OPERATOR), word_of_token=self._word(request),
        )  # fmt: skip

    def assign(
        self, request: Request, serial: str, customer: Annotated[int, Form()], why: Words
    ) -> Response:
        who = self.site.reader(request, StaffRole.OPERATOR).name
        return self._acted(
            request, serial, lambda: self._actions.assign(serial, customer, who=who, why=why)
        )

    def move(self, request: Request, serial: str, did: str, why: Words) -> Response:
        who = self.site.reader(request, StaffRole.OPERATOR).name
        if did not in MOVES:
            raise PageError("E9404")
        return self._acted(
            request, serial, lambda: self._actions.move(serial, did, who=who, why=why)
        )

    def _acted(self, request: Request, serial: str, act: Callable[[], object]) -> Response:
        confirmation = (
            "已記錄；載具上的憑證隨之處理。",
            "It is on record, and its certificates follow.",
        )
        return self.site.acted(request, act, f"/tokens/{token_serial(serial)}", confirmation)

    def _word(self, request: Request) -> Callable[[str], str]:
        language = locale_of(request)
        return lambda state: text(TokenState(state), language)

    # --- recordings -----------------------------------------------------------------------------

    def recordings(
        self, request: Request, every: int = 0, branch: str = "", after: str = ""
    ) -> Response:
        reader = self.site.reader(request)
        with self.site.store.snapshot() as look:
            found = recording_queries.listed(
                look, every=bool(every), branch=branch or None, after=after, at_most=PAGE + 1
            )
            codes = {
                row.renewal: [masked(code) for code in recordings.codes_of(look, row)]
                for row in found
            }
        language = locale_of(request)
        return self.site.kit.page(
            request, "console/recordings.html", me=reader, here="recordings", rows=found[:PAGE],
            more=found[PAGE - 1].renewal if found[PAGE:] else None, every=every, branch=branch,
            codes=codes, notice=self.site.notice(request), may_act=reader.may(StaffRole.OPERATOR),
            word_of_recording=lambda state: text(RecordingState(state), language),
        )  # fmt: skip

    def record(self, request: Request, renewal: str, why: Words, codes: Words = "") -> Response:
        """The user codes come one in a line, or with commas between them."""
        who = self.site.reader(request, StaffRole.OPERATOR).name
        given = codes.replace("，", ",").replace("\n", ",").split(",")
        spelt = [code for code in given if code.strip()]
        return self.site.acted(
            request, lambda: self._actions.record(renewal, spelt, who=who, why=why), "/recordings",
            ("已補登，並通知客戶可以轉帳。", "Recorded, and its customer is told."),
        )  # fmt: skip


def _moves(state: str) -> list[str]:
    """What a person may do with a token in that state, by the words of ``MOVES``."""
    ways = {
        step.through.removeprefix("token ") for step in TOKEN.transitions if step.source == state
    }
    return [did for did in MOVES if did in ways]
