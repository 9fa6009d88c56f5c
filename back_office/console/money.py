"""The page of money that no machine can settle: what the bank refused, and what a person says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Form
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the annotations

from back_office.settling import PAYMENTS
from back_office.staff import StaffRole
from renewal.delivery import dead_letters
from renewal.delivery.dead_letters import LetterFilter
from renewal.errors import XuqiError
from renewal.lifecycle.settling import may_become
from schema.states import PaymentState
from schema.stored_reasons import read_reason
from templates.codes import text
from web.language import locale_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from back_office.console.site import ConsoleSite
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.delivery.dead_letters import DeadLetter

PAGE = 50
BILLING = LetterFilter(consumer="billing")
Words = Annotated[str, Form(max_length=300)]


@dataclass(frozen=True)
class MoneyPages:
    site: ConsoleSite

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/money", self.page, methods=["GET"])
        router.add_api_route("/payments/{payment}/settle", self.settle, methods=["POST"])
        return router

    def page(self, request: Request, after: int = 0) -> Response:
        reader, language = self.site.reader(request), locale_of(request)
        with self.site.store.snapshot() as look:
            found = dead_letters.list_open(look, after=after, at_most=PAGE + 1, chosen=BILLING)
            rows = [_money(look, letter) for letter in found[:PAGE]]
        return self.site.kit.page(
            request, "console/money.html", me=reader, here="money",
            rows=[row for row in rows if row is not None],
            more=found[PAGE - 1].id if found[PAGE:] else None,
            reason=lambda why: text(read_reason(why), language),
            notice=self.site.notice(request), may_act=reader.may(StaffRole.OPERATOR),
        )  # fmt: skip

    def settle(self, request: Request, payment: str, to: Words, why: Words) -> Response:
        """Say what has become of a payment, as a person has found it out at the bank."""
        who = self.site.reader(request, StaffRole.OPERATOR).name

        def settled() -> None:
            if to not in set(PaymentState):
                raise XuqiError(f"a payment is never {to[:20]!r}")
            self.site.settling.payment(payment, PaymentState(to), who=who, why=why)

        confirmation = ("已結清並記帳。", "It is settled and booked.")
        return self.site.acted(request, settled, "/money", confirmation)


def _money(look: UnitOfWork, letter: DeadLetter) -> Mapping[str, Any] | None:
    """
    The fee or payment that a dead letter of billing is about, and what a person may say of it.
    """
    renewal = look.renewals.find(letter.key)
    if renewal is not None:
        return {
            "letter": letter, "renewal": renewal, "payment": None, "amount": renewal.fee_amount,
            "state": renewal.fee_state, "may": may_become(renewal),
            "certificate": look.certificates.find(renewal.certificate),
        }  # fmt: skip
    payment = look.payments.find(letter.key)
    if payment is None:
        return None
    return {
        "letter": letter, "renewal": None, "payment": payment, "amount": payment.amount,
        "state": payment.state, "may": PAYMENTS.get(PaymentState(payment.state), ()),
        "certificate": None,
    }  # fmt: skip
