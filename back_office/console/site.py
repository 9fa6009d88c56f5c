"""What the pages of the console share: who reads them, what they may do, the menu."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from renewal.errors import XuqiError
from renewal.store import console as counts
from schema.reasons import DecisionKind, Reason
from schema.states import (
    CertificateState,
    FeeState,
    MessageState,
    PaymentState,
    RenewalState,
    RunState,
)
from schema.stored_reasons import read_reason
from templates.codes import message_name, text
from web.app import ref_of
from web.errors import PageError, error_texts
from web.language import locale_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from back_office.actions import BackOffice
    from back_office.messaging import Messaging
    from back_office.reconciling import Reconciling
    from back_office.runs.actions import RunActions
    from back_office.runs.plan import Planner
    from back_office.settling import Settling
    from back_office.staff import Staff, StaffRole
    from renewal.db.engine import Store
    from renewal.rules.policies import Policies
    from schema.state_machine import State
    from templates.bank import BankDetails
    from templates.rendering import MessageRenderer
    from web.app import Kit
    from web.sessions import Session

FRAME = "frames/console.j2"  #: of its error pages, too


@dataclass(frozen=True, kw_only=True)
class ConsoleReader:
    """Who reads, and the roles that the session has."""

    name: str
    roles: frozenset[str]

    def may(self, *roles: StaffRole) -> bool:
        return not self.roles.isdisjoint(roles)


@dataclass(frozen=True, kw_only=True)
class ConsoleSite:
    """The parts that every page uses."""

    kit: Kit
    store: Store
    policies: Policies
    staff: Staff
    back_office: BackOffice
    planner: Planner
    runs: RunActions
    renderer: MessageRenderer
    settling: Settling
    messaging: Messaging
    reconciling: Reconciling

    def reader(self, request: Request, *roles: StaffRole) -> ConsoleReader:
        """
        Who reads, if they have one of these roles.

        Raises:
            PageError: nobody is signed in, the first password is not changed, or the role is
                missing.
        """
        session = self.kit.signed_in(request)
        reader = reader_of(session)
        if session.body.get("must_change"):
            raise PageError("E4812")
        if roles and not reader.may(*roles):
            raise PageError("E4813")
        return reader

    def acted(
        self, request: Request, act: Callable[[], object], where: str, confirmation: tuple[str, str]
    ) -> Response:
        """
        Do something and lead back to its page, which says what came of it.

        ``said``: what was done, in zh-TW and English.
        """
        session = self.kit.signed_in(request)
        try:
            act()
        except XuqiError as refused:
            self.kit.keep(request, session, notice={"kind": "warn", "words": words_of(refused)})
        else:
            self.kit.keep(request, session, notice={"kind": "ok", "words": list(confirmation)})
        return self.kit.see(where)

    def notice(self, request: Request) -> dict[str, Any] | None:
        """What the last form came to, once."""
        session = self.kit.signed_in(request)
        notice: dict[str, Any] | None = session.body.get("notice")
        if notice is not None:
            self.kit.keep(request, session, notice=None)
        return notice

    def problem(self, request: Request, code: str) -> dict[str, Any]:
        """What ``x.problem`` shows."""
        now = self.kit.clock.now()
        return {
            "error": error_texts()[code], "code": code, "ref": ref_of(request, code, now),
            "more": "",
        }  # fmt: skip


def words_of(error: XuqiError) -> list[str]:
    """Why something was not done, in zh-TW and English where it is a code."""
    reason = getattr(error, "reason", None)
    if not isinstance(reason, Reason):
        return [str(error), str(error)]
    return [text(reason, language) for language in ("zh-TW", "en")]


def reader_of(session: Session) -> ConsoleReader:
    return ConsoleReader(name=session.subject, roles=frozenset(session.body.get("roles", ())))


def frame(
    store: Store, bank: BankDetails
) -> Callable[[Request, Session | None], Mapping[str, Any]]:
    """What the frame of each page needs: who reads, and how much waits for people."""

    def values(request: Request, session: Session | None) -> Mapping[str, Any]:
        if session is None or not session.subject:
            return {"frame": FRAME, "bank": bank, "reader": None, "waiting": {}}
        with store.snapshot() as look:
            waiting = counts.waiting_for_people(look)
        words = words_in(locale_of(request))
        reader = reader_of(session)
        return {"frame": FRAME, "bank": bank, "reader": reader, "waiting": waiting, **words}

    return values


def words_in(language: str) -> Mapping[str, Callable[..., str]]:
    """What templates say of states and decisions, by the names that they use."""

    def of(states: type[State]) -> Callable[[str], str]:
        return lambda value: text(states(value), language)

    return {
        "word": lambda state: text(state, language),
        "word_of_run": of(RunState),
        "word_of_certificate": of(CertificateState),
        "word_of_renewal": of(RenewalState),
        "word_of_fee": of(FeeState),
        "word_of_payment": of(PaymentState),
        "word_of_message": of(MessageState),
        "message_name": lambda message: message_name(message, language),
        "decision": lambda row: said_of(row, language),
    }


def said_of(row: Mapping[str, Any], language: str) -> str:
    """One stored decision in words; one that no catalogue knows is shown as it is stored."""
    try:
        words = text(DecisionKind(f"{row['about']}/{row['what']}"), language)
    except ValueError:
        words = f"{row['about']}: {row['what']}"
    if row["why"]:
        why = text(read_reason(row["why"], row.get("why_parameters")), language)
        words += ("：" if language != "en" else ": ") + why
    notes = [str(row[name]) for name in ("renewal", "message") if row[name]]
    return f"{words} ({', '.join(notes)})" if notes else words
