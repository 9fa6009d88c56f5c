"""The pages of dead letters: what a consumer gave up, why, and what a person does about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from difflib import unified_diff
from typing import TYPE_CHECKING, Annotated

import msgspec
from fastapi import APIRouter, Form
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the annotations

from back_office.console.lists import list_values
from back_office.replaying import Replaying
from back_office.staff import StaffRole
from renewal.delivery import dead_letters
from renewal.delivery.dead_letters import LetterFilter
from schema.stored_reasons import read_reason
from templates.codes import text
from web.errors import PageError
from web.language import locale_of

if TYPE_CHECKING:
    from back_office.console.site import ConsoleSite

PAGE = 50
Words = Annotated[str, Form(max_length=300)]
Part = Annotated[str, Form(max_length=100)]
Body = Annotated[str, Form(max_length=20_000)]
Digest = Annotated[str, Form(max_length=64)]
Picked = Annotated[list[int] | None, Form()]


@dataclass(frozen=True)
class DeadLetterPages:
    site: ConsoleSite

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        add = router.add_api_route
        add("/dead-letters", self.page, methods=["GET"])
        add("/dead-letters/replay", self.replay, methods=["POST"])
        add("/dead-letters/{number}", self.one, methods=["GET"])
        add("/dead-letters/{number}/close", self.close, methods=["POST"])
        add("/dead-letters/{number}/edit", self.edit, methods=["POST"])
        add("/dead-letters/{number}/send", self.send, methods=["POST"])
        add("/dead-letters/{number}/reject", self.reject, methods=["POST"])
        return router

    def page(
        self, request: Request, consumer: str = "", kind: str = "", why: str = "", after: int = 0
    ) -> Response:
        reader = self.site.reader(request)
        chosen = LetterFilter(consumer=consumer[:48], kind=kind[:48], why=why[:100])
        with self.site.store.snapshot() as look:
            found = dead_letters.list_open(look, after=after, at_most=PAGE + 1, chosen=chosen)
            matching = dead_letters.count(look, chosen)
            causes = dead_letters.causes(look)
        return self.site.kit.page(
            request, "console/dead-letters.html", me=reader, here="dead-letters",
            letters=found[:PAGE], more=found[PAGE - 1].id if found[PAGE:] else None,
            reason=lambda why: text(read_reason(why), locale_of(request)),
            chosen=chosen, matching=matching, causes=causes,
            **list_values(self.site, reader.name, "dead-letters", **asdict(chosen)),
            notice=self.site.notice(request), may_act=reader.may(StaffRole.OPERATOR),
            filtered=any(asdict(chosen).values()),
        )  # fmt: skip

    def replay(  # noqa: PLR0917 - the fields of one form
        self,
        request: Request,
        why: Words,
        letter: Picked = None,
        consumer: Part = "",
        kind: Part = "",
        cause: Part = "",
        all_of: Annotated[int, Form(ge=0)] = 0,
    ) -> Response:
        """
        Send the picked ones again, or all that a filter takes if their number was confirmed; say
        of how many it was done and of how many not.
        """
        who = self.site.reader(request, StaffRole.OPERATOR).name
        chosen = LetterFilter(consumer=consumer, kind=kind, why=cause)
        if not why.strip():
            raise PageError("E9400")
        if all_of and (there := self._count(chosen)) != all_of:
            words = [f"現在符合的有 {there} 則，不是 {all_of} 則：未重送。",
                     f"{there} match now, and not {all_of}: none was sent."]  # fmt: skip
            return self._noticed(request, "warn", words)
        replaying = Replaying(self.site.store)
        if all_of:
            found = replaying.matching(chosen, who=who, why=why)
        else:
            found = replaying.picked(letter or [], who=who, why=why)
        done, skipped = found.done, found.skipped
        words = [f"已重送 {done} 則，略過 {skipped} 則（已有人處理）。",
                 f"{done} sent again, {skipped} skipped (somebody else did)."]  # fmt: skip
        return self._noticed(request, "ok" if done and not skipped else "warn", words)

    def _count(self, chosen: LetterFilter) -> int:
        with self.site.store.snapshot() as look:
            return dead_letters.count(look, chosen)

    def _noticed(self, request: Request, kind: str, words: list[str]) -> Response:
        session = self.site.kit.signed_in(request)
        self.site.kit.keep(request, session, notice={"kind": kind, "words": words})
        return self.site.kit.see("/dead-letters")

    # --- one ------------------------------------------------------------------------------------

    def one(self, request: Request, number: int) -> Response:
        reader = self.site.reader(request)
        with self.site.store.snapshot() as look:
            letter = dead_letters.find(look, number)
            edit = dead_letters.edit_of(look, number)
        if letter is None:
            raise PageError("E9404")
        body = pretty(letter.body)
        mended = pretty(edit.body) if edit is not None else ""
        difference = list(unified_diff(body.splitlines(), mended.splitlines(), "", "", lineterm=""))
        return self.site.kit.page(
            request, "console/dead-letter.html", me=reader, here="dead-letters", letter=letter,
            reason=lambda why: text(read_reason(why), locale_of(request)),
            body=body, edit=edit, difference=difference[2:] if edit else [],
            notice=self.site.notice(request), may_act=reader.may(StaffRole.OPERATOR),
            may_send=edit is not None
            and reader.may(StaffRole.OPERATOR, StaffRole.CHECKER)
            and reader.name != edit.made_by,
        )  # fmt: skip

    def close(self, request: Request, number: int, why: Words) -> Response:
        who = self.site.reader(request, StaffRole.OPERATOR).name
        return self.site.acted(
            request, lambda: self.site.settling.dead_letter(number, who=who, why=why),
            f"/dead-letters/{number}", ("已結案，不會再送。", "Closed; it is not sent again."),
        )  # fmt: skip

    def edit(self, request: Request, number: int, body: Body, why: Words) -> Response:
        who = self.site.reader(request, StaffRole.OPERATOR).name
        sent = body.strip().encode()
        return self.site.acted(
            request, lambda: self.site.settling.propose_edit(number, sent, who=who, why=why),
            f"/dead-letters/{number}",
            ("已存，等另一個人送出。", "Kept; another person is to send it."),
        )  # fmt: skip

    def send(self, request: Request, number: int, why: Words, seen: Digest = "") -> Response:
        """``seen``: what the page showed; an edit that came after it is not sent unseen."""
        who = self.site.reader(request, StaffRole.OPERATOR, StaffRole.CHECKER).name
        decide = self.site.settling.decide_edit
        return self.site.acted(
            request, lambda: decide(number, send=True, who=who, why=why, seen=seen),
            f"/dead-letters/{number}", ("已送出。", "Sent."),
        )  # fmt: skip

    def reject(self, request: Request, number: int, why: Words) -> Response:
        who = self.site.reader(request, StaffRole.OPERATOR, StaffRole.CHECKER).name
        decide = self.site.settling.decide_edit
        return self.site.acted(
            request, lambda: decide(number, send=False, who=who, why=why),
            f"/dead-letters/{number}", ("已退回。", "Thrown away."),
        )  # fmt: skip


def pretty(body: bytes) -> str:
    """The body of an event in lines; one that is no JSON as it is. None holds personal data."""
    try:
        return msgspec.json.format(body, indent=2).decode()
    except msgspec.DecodeError:
        return body.decode(errors="replace")
