"""The pages of messages: what went out, what goes out by tomorrow, and whom to call."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Form
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the annotations

from back_office.calling import Calling
from back_office.console.finding import person_of
from back_office.console.lists import list_values
from back_office.forecast import planned_reminders
from back_office.staff import StaffRole
from renewal.contacts import Address, why_resting
from renewal.errors import XuqiError
from renewal.rules import reminder_schedule
from renewal.store import console as queries
from renewal.store import people, reports
from schema.reasons import CallReason
from schema.states import MessageState
from schema.stored_reasons import read_reason
from schema.taipei import day_of, end_of
from templates.codes import text
from templates.contexts import MESSAGES
from web.language import locale_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from back_office.console.site import ConsoleSite
    from renewal.db.unit_of_work import UnitOfWork

PAGE = 50
Words = Annotated[str, Form(max_length=300)]


@dataclass(frozen=True)
class MessagePages:
    site: ConsoleSite

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        add = router.add_api_route
        add("/messages", self.page, methods=["GET"])
        add("/messages/{message}/settle", self.settle, methods=["POST"])
        add("/tomorrow", self.tomorrow, methods=["GET"])
        add("/calls", self.calls, methods=["GET"])
        add("/calls", self.calls_in_full, methods=["POST"])
        add("/calls/{certificate}", self.note_call, methods=["POST"])
        add("/contacts", self.contacts, methods=["GET"])
        add("/contacts/{customer}/{address}/open", self.open_contact, methods=["POST"])
        return router

    def page(self, request: Request, state: str = "", kind: str = "", before: str = "") -> Response:
        reader = self.site.reader(request)
        with self.site.store.snapshot() as look:
            found = queries.messages_page(
                look, state=state or None, kind=kind or None, before=before, at_most=PAGE + 1
            )
        return self.site.kit.page(
            request, "console/messages.html", me=reader, here="messages", rows=found[:PAGE],
            more=queries.place_of(found[PAGE - 1]) if found[PAGE:] else None,
            states=list(MessageState), state=state, kind=kind, kinds=MESSAGE_KINDS,
            notice=self.site.notice(request), may_act=reader.may(StaffRole.OPERATOR),
            **list_values(self.site, reader.name, "messages", state=state, kind=kind),
        )  # fmt: skip

    def settle(self, request: Request, message: str, to: Words, why: Words) -> Response:
        """Say what has become of a message, as a person has found it out at the carrier."""
        who = self.site.reader(request, StaffRole.OPERATOR).name

        def settled() -> None:
            if to not in set(MessageState):
                raise XuqiError(f"a message is never {to[:20]!r}")
            self.site.settling.message(message, MessageState(to), who=who, why=why)

        confirmation = ("已記錄。", "It is on record.")
        return self.site.acted(request, settled, "/messages", confirmation)

    def tomorrow(self, request: Request, after: int = 0) -> Response:
        """What will go out until the end of tomorrow, as things stand."""
        reader = self.site.reader(request)
        with self.site.store.snapshot() as look:
            until = end_of(day_of(look.at) + timedelta(days=1))
            found, more = planned_reminders(
                look, self.site.policies, self.site.renderer, until=until, after=after,
                at_most=PAGE,
            )  # fmt: skip
        language = locale_of(request)
        return self.site.kit.page(
            request, "console/tomorrow.html", me=reader, here="tomorrow", rows=found, more=more,
            until=until, why=lambda reason: text(reason, language), notice=None,
        )  # fmt: skip

    # --- calls ----------------------------------------------------------------------------------

    def calls(self, request: Request, after: int = 0) -> Response:
        self.site.reader(request)
        return self._calls(request, after, in_full=False)

    def calls_in_full(
        self, request: Request, why: Words, after: Annotated[int, Form()] = 0
    ) -> Response:
        """With names and numbers; who has read them, and why, is in the trail."""
        reader = self.site.reader(request, StaffRole.OPERATOR)
        self.site.messaging.read_people("the branches' call list", who=reader.name, why=why)
        return self._calls(request, after, in_full=True)

    def note_call(self, request: Request, certificate: int, result: Words, note: Words) -> Response:
        """What came of a call; a number that is not the customer's becomes a task."""
        who = self.site.reader(request, StaffRole.OPERATOR).name

        def noted() -> None:
            if result not in set(CallReason):
                raise XuqiError(f"a call never comes to {result[:20]!r}")
            Calling(self.site.store).note(certificate, CallReason(result), note, who=who)

        return self.site.acted(request, noted, "/calls", ("已登錄。", "It is noted."))

    def _calls(self, request: Request, after: int, *, in_full: bool) -> Response:
        reader, language = self.site.reader(request), locale_of(request)
        with self.site.store.snapshot() as look:
            found = reports.branch_calls(look, after=after, at_most=PAGE + 1)
            rows = [_call(look, row, in_full=in_full) for row in found[:PAGE]]
        return self.site.kit.page(
            request, "console/calls.html", me=reader, here="calls", rows=rows,
            more=found[PAGE - 1]["certificate"] if found[PAGE:] else None, after=after,
            in_full=in_full, may_read=reader.may(StaffRole.OPERATOR),
            notice=self.site.notice(request), results=list(CallReason),
            words=lambda why: text(read_reason(why), language) if why else "–",
        )  # fmt: skip

    # --- addresses that rest --------------------------------------------------------------------

    def contacts(self, request: Request, after: int = 0) -> Response:
        reader = self.site.reader(request)
        with self.site.store.snapshot() as look:
            found = people.with_resting_address(look, after=after, at_most=PAGE + 1)
            rows = [
                {
                    "customer": customer.id, "address": address, "code": code,
                    "until": getattr(customer, f"{address}_bad_until"),
                    "person": person_of(look, customer.id, open_=False),
                }
                for customer in found[:PAGE]
                for address in Address
                if (code := why_resting(customer, address, look.at))
            ]  # fmt: skip
        return self.site.kit.page(
            request, "console/contacts.html", me=reader, here="contacts", rows=rows,
            more=found[PAGE - 1].id if found[PAGE:] else None,
            notice=self.site.notice(request), may_act=reader.may(StaffRole.OPERATOR),
        )  # fmt: skip

    def open_contact(
        self, request: Request, customer: int, address: Address, why: Words
    ) -> Response:
        who = self.site.reader(request, StaffRole.OPERATOR).name
        return self.site.acted(
            request,
            lambda: self.site.messaging.open_contact(customer, address, who=who, why=why),
            "/contacts", ("恢復使用。", "It is used again."),
        )  # fmt: skip


MESSAGE_KINDS: Sequence[str] = tuple(one.message for one in MESSAGES)


def _call(look: UnitOfWork, row: Mapping[str, Any], *, in_full: bool) -> Mapping[str, object]:
    customer = row["customer"]
    enrolled = look.enrolments.find((customer, row["product"]))
    return {
        **row,
        "branch": enrolled.branch if enrolled else None,
        "person": person_of(look, customer, open_=in_full),
        "days_left": reminder_schedule.days_left(look.at, row["not_after"]),
    }
