"""What the pages of the certificate centre share: who reads them, the menu, problems."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from centre.overview import overview
from renewal.errors import XuqiError
from renewal.lifecycle import applications
from renewal.rules import mask
from renewal.store.subjects import subject_of
from schema.policy import Storage
from schema.reasons import ERROR_CODES, ReasonCode, RefusalReason
from web.app import ref_of
from web.errors import PageError, error_texts
from web.language import locale_of
from web.sessions import IDLE
from web.throttle import block_of, is_here

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from centre.accounts import Accounts
    from centre.actions import Centre
    from centre.overview import Line, Overview
    from renewal.db.engine import Store
    from renewal.db.rows import Renewal
    from renewal.errors import NotNowError
    from renewal.rules.policies import Policies
    from schema.reasons import Reason
    from templates.bank import BankDetails
    from web.app import Kit
    from web.sessions import Session


#: Errors that only the pages and the API number, beside those of ``schema.reasons``.
_OF_THE_PAGES: Mapping[ReasonCode, str] = {
    RefusalReason.NO_MOBILE: "E4208",
    RefusalReason.CODES_IN_TEN_MINUTES: "E4206",
    RefusalReason.CODES_TODAY: "E4206",
    RefusalReason.CODES_FROM_ADDRESSES: "E4206",
    RefusalReason.CODES_TO_RANGE: "E4206",
    RefusalReason.ALREADY_PAID: "E4604",
    RefusalReason.NOT_PREPAID: "E4605",
    RefusalReason.CERTIFICATE_STATE: "E4110",
    RefusalReason.NO_BRANCH: "E4110",
}


@dataclass(frozen=True, kw_only=True)
class Site:
    """The parts that every page uses."""

    kit: Kit
    store: Store
    centre: Centre
    accounts: Accounts
    policies: Policies

    # --- who reads ------------------------------------------------------------------------------

    def reader(self, request: Request) -> tuple[Session, int]:
        """
        The session and the customer's number.

        Raises:
            PageError: nobody is signed in.
        """
        session = self.kit.signed_in(request)
        return session, int(session.subject)

    def role(self, session: Session) -> tuple[str, str]:
        """Class and role of who is logged in: who may renew is decided by who asks."""
        return str(session.body["customer_class"]), str(session.body["operator"])

    def overview(self, customer: int) -> Overview:
        with self.store.snapshot() as look:
            return overview(look, customer, self.policies)

    def line(self, customer: int, certificate: int) -> Line:
        """
        Raises:
            PageError: there is no such certificate, or it is somebody else's: one answer for both.
        """
        seen = self.overview(customer)
        for line in (*seen.lines, *seen.older):
            if line.certificate == certificate:
                return line
        raise PageError("E9404")

    def renewal(self, customer: int, renewal: str) -> Renewal:
        """
        Raises:
            PageError: there is no such renewal, or it is somebody else's.
        """
        with self.store.snapshot() as look:
            row = look.renewals.find(renewal)
        if row is None or row.customer != customer:
            raise PageError("E9404")
        return row

    def application(self, customer: int, product: str) -> str | None:
        """The customer's application for that product that is under way."""
        with self.store.snapshot() as look:
            found = applications.under_way(look, customer, product)
        return found.id if found is not None else None

    def owns(self, customer: int, certificate: int) -> None:
        """
        Raises:
            PageError: it is no certificate of the customer's, nor one applied for.
        """
        with self.store.snapshot() as look:
            found = subject_of(look, certificate)
        if found is None or found.customer != customer:
            raise PageError("E9404")

    def tries_left(self, challenge: str, most: int) -> int:
        """How often a code may still be entered."""
        with self.store.snapshot() as look:
            row = look.challenges.find(challenge)
        return row.most_tries - row.tries if row is not None else most

    # --- problems -------------------------------------------------------------------------------

    def problem(self, request: Request, code: str, more: str = "") -> dict[str, Any]:
        """What ``x.problem`` shows."""
        now = self.kit.clock.now()
        return {"error": error_texts()[code], "code": code, "ref": ref_of(request, code, now),
                "more": more}  # fmt: skip

    def centre_for(self, request: Request) -> Centre:
        """
        The centre for who asks: codes are limited by the addresses that they come from.

        The machine's own address is a proxy that does not say for whom it asks, and would be
        everybody.
        """
        address = request.client.host if request.client else ""
        return self.centre.asked_from("" if is_here(address) else block_of(address))

    def error_of(self, why: Reason) -> str:
        return _OF_THE_PAGES.get(why.code) or ERROR_CODES.get(why.code, "E4201")

    def error_of_state(self, error: NotNowError) -> str:
        """What cannot be done now has one error, but for the key that is not here."""
        here = error.reason.code is not RefusalReason.NO_CERTIFICATE_HERE
        return "E4110" if here else "E4107"

    def remember(self, request: Request, session: Session, code: str, **more: object) -> None:
        """Show a problem on the page to which the answer leads."""
        self.kit.keep(request, session, problem={"code": code, **more})

    def remembered(self, request: Request, session: Session) -> dict[str, Any] | None:
        """The problem that the last form had, once."""
        kept = session.body.get("problem")
        if kept is None:
            return None
        self.kit.keep(request, session, problem=None)
        return {
            **self.problem(request, kept["code"]),
            **{k: v for k, v in kept.items() if k != "code"},
        }


def frame(store: Store, policies: Policies, bank: BankDetails) -> Any:  # noqa: ANN401 - as Kit.frame
    """What the frame of each page needs: the bank, who reads, the menu."""

    def values(request: Request, session: Session | None) -> Mapping[str, Any]:
        signed_in = session is not None and bool(session.subject)
        shown: dict[str, Any] = {
            "bank": bank, "who": "", "menu": [], "idle_seconds": int(IDLE.total_seconds()),
        }  # fmt: skip
        if session is None or not signed_in:
            return shown
        locale = locale_of(request)
        with store.snapshot() as look:
            customer = int(session.subject)
            try:
                person = look.customers.get(customer)
            except XuqiError:
                return shown
            name = look.cipher.open_text(person.name_sealed, "customers.name", person.id)
            number = look.cipher.open_text(
                person.id_number_sealed, "customers.id_number", person.id
            )
        storages = {policies.of(product).storage for product in session.body.get("products", ())}
        shown["who"] = f"{mask.name(name)}　{mask.id_number(number)}"
        stated = any(policies.of(product).statement for product in session.body.get("products", ()))
        shown["menu"] = menu(storages, english=locale == "en", stated=stated)
        return shown

    return values


#: address, icon, zh-TW, English, for whom: keys in the browser, on a token or card, or both
_MENU: tuple[tuple[str, str, str, str, frozenset[bool]], ...] = (
    ("/", "list", "憑證查詢及申請", "Query and apply", frozenset({True, False})),
    ("/import", "download", "憑證匯入", "Import", frozenset({True})),
    ("/export", "upload", "憑證匯出", "Export", frozenset({True})),
    ("/check", "badge-check", "檢查憑證", "Check", frozenset({True})),
    ("/revoke", "ban", "憑證註銷", "Revoke", frozenset({True})),
    ("/suspend", "ban", "憑證暫禁", "Suspend", frozenset({False})),
    ("/token/renew", "refresh-cw", "憑證更新", "Renew", frozenset({False})),
    ("/pay", "landmark", "憑證線上繳費", "Pay the fee", frozenset({False})),
    ("/payments", "receipt", "憑證繳費狀態查詢", "Payment status", frozenset({False})),
    ("/token", "usb", "憑證載具內容查詢", "Token content", frozenset({False})),
    ("/statement", "file-text", "憑證證明單列印", "Statement", frozenset({True, False})),
    ("/environment", "monitor", "電腦檢測", "Environment check", frozenset({True, False})),
    ("/history", "history", "更新紀錄", "Renewal history", frozenset({True, False})),
    ("/help", "circle-help", "操作說明", "Manual", frozenset({True, False})),
)


def menu(
    storages: set[Storage], *, english: bool, stated: bool = False
) -> list[tuple[str, str, str]]:
    """The functions that these products have; ``stated``: one of them has a printed statement."""
    kinds = {storage is Storage.BROWSER for storage in storages} or {True}
    return [
        (href, glyph, en if english else zh)
        for href, glyph, zh, en, whose in _MENU
        if whose & kinds and (stated or href != "/statement")
    ]
