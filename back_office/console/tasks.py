"""The pages of what people must do: tasks at another CA, and renewals that no machine can end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the annotations

from back_office.renewal_actions import RenewalActions
from back_office.staff import StaffRole
from renewal.errors import XuqiError
from renewal.store import tasks as queries
from schema.states import FeeState, OldState, TaskState
from web.errors import PageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from back_office.console.site import ConsoleSite

PAGE = 50
Words = Annotated[str, Form(max_length=300)]


@dataclass(frozen=True)
class TaskPages:
    site: ConsoleSite

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        add = router.add_api_route
        add("/tasks", self.page, methods=["GET"])
        add("/tasks/{task}/{how}", self.ended, methods=["POST"])
        add("/renewals/{renewal}/end", self.end, methods=["POST"])
        add("/renewals/{renewal}/move", self.move, methods=["POST"])
        add("/renewals/{renewal}/decline", self.decline, methods=["POST"])
        add("/renewals/{renewal}/settle-fee", self.settle_fee, methods=["POST"])
        add("/renewals/{renewal}/settle-old", self.settle_old, methods=["POST"])
        return router

    def page(self, request: Request, every: int = 0, after: int = 0) -> Response:
        reader = self.site.reader(request)
        state = None if every else TaskState.OPEN
        with self.site.store.snapshot() as look:
            found = queries.listed(look, state=state, after=after, at_most=PAGE + 1)
            look.certificates.load(task.certificate for task in found)
            serials = {
                one.certificate: look.certificates.get(one.certificate).serial for one in found
            }
        return self.site.kit.page(
            request, "console/tasks.html", me=reader, here="tasks", tasks=found[:PAGE],
            serials=serials, more=found[PAGE - 1].id if found[PAGE:] else None, every=every,
            notice=self.site.notice(request), may_act=reader.may(StaffRole.OPERATOR),
        )  # fmt: skip

    def ended(self, request: Request, task: int, how: str, why: Words) -> Response:
        """It was done at that CA, or need not be done."""
        if how not in {"done", "not-needed"}:
            raise PageError("E9404")
        who = self.site.reader(request, StaffRole.OPERATOR).name
        needed = how == "done"
        return self.site.acted(
            request,
            lambda: self.site.back_office.end_task(task, who=who, why=why, needed=needed),
            "/tasks", ("已結束。", "It is ended."),
        )  # fmt: skip

    # --- renewals -------------------------------------------------------------------------------

    def end(self, request: Request, renewal: str, why: Words) -> Response:
        who = self.site.reader(request, StaffRole.OPERATOR).name
        return self._settled(
            request, renewal, lambda: self.site.back_office.end(renewal, who=who, why=why)
        )

    def move(self, request: Request, renewal: str, branch: Words, why: Words) -> Response:
        who = self.site.reader(request, StaffRole.OPERATOR).name
        act = RenewalActions(self.site.back_office).move
        return self._settled(
            request, renewal, lambda: act(renewal, branch.strip(), who=who, why=why)
        )

    def decline(self, request: Request, renewal: str, why: Words) -> Response:
        who = self.site.reader(request, StaffRole.OPERATOR).name
        act = RenewalActions(self.site.back_office).decline
        return self._settled(request, renewal, lambda: act(renewal, who=who, why=why))

    def settle_fee(self, request: Request, renewal: str, to: Words, why: Words) -> Response:
        who = self.site.reader(request, StaffRole.OPERATOR).name

        def settled() -> None:
            if to not in set(FeeState):
                raise XuqiError(f"a fee is never {to[:20]!r}")
            self.site.back_office.settle_fee(renewal, FeeState(to), who=who, why=why)

        return self._settled(request, renewal, settled)

    def settle_old(self, request: Request, renewal: str, to: Words, why: Words) -> Response:
        who = self.site.reader(request, StaffRole.OPERATOR).name

        def settled() -> None:
            if to not in set(OldState):
                raise XuqiError(f"an old certificate is never {to[:20]!r}")
            self.site.back_office.settle_old(renewal, OldState(to), who=who, why=why)

        return self._settled(request, renewal, settled)

    def _settled(self, request: Request, renewal: str, act: Callable[[], object]) -> Response:
        with self.site.store.snapshot() as look:
            row = look.renewals.find(renewal)
            # The certificate of an application comes with its issue.
            there = row is not None and look.certificates.find(row.certificate) is not None
        if row is None:
            raise PageError("E9404")
        confirmation = ("已記錄，結果列在經過。", "It is on record, and in the history.")
        where = f"/certificates/{row.certificate}" if there else "/money"
        return self.site.acted(request, act, where, confirmation)
