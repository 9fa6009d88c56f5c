"""Finds customers and certificates, and shows the whole story of one; each search is audited."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the annotations

from back_office.console.lists import list_values
from back_office.console.site import words_of
from back_office.contact_changes import ContactChanges, NewContact
from back_office.staff import StaffRole
from renewal.errors import NotNowError, XuqiError
from renewal.rules import mask
from renewal.rules.serials import certificate_serial, token_serial
from renewal.store import audit, contact_edits
from renewal.store import certificates as certificate_queries
from renewal.store import console as queries
from renewal.store import renewals as renewal_queries
from renewal.store import runs as run_queries
from schema.events import Change, RevocationReason
from schema.reasons import CaReason, RefusalReason
from schema.states import CertificateState, FeeState
from web.errors import PageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from back_office.console.site import ConsoleSite
    from renewal.db.unit_of_work import UnitOfWork

PAGE = 50
Words = Annotated[str, Form(max_length=300)]
Query = Annotated[str, Form(max_length=64)]
Address = Annotated[str, Form(max_length=254)]
NONE: list[str] = []  #: of a form without a tick


@dataclass(frozen=True)
class CertificatePages:
    site: ConsoleSite

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        add = router.add_api_route
        add("/certificates", self.list_page, methods=["GET"])
        add("/search", self.search, methods=["POST"])
        add("/certificates/{certificate}", self.page, methods=["GET"])
        add("/certificates/{certificate}/unmask", self.unmask, methods=["POST"])
        add("/customers/{customer}/contact", self.contact, methods=["GET"])
        add("/customers/{customer}/contact", self.change_contact, methods=["POST"])
        add("/customers/{customer}/contact/{how}", self.decide_contact, methods=["POST"])
        add("/certificates/{certificate}/{what}", self.change, methods=["POST"])
        return router

    def list_page(
        self,
        request: Request,
        product: str = "",
        state: str = "",
        customer: int = 0,
        after: int = 0,
    ) -> Response:
        reader = self.site.reader(request)
        with self.site.store.snapshot() as look:
            found = queries.certificates_page(
                look, product=product or None, state=state or None, customer=customer or None,
                until=None, after=after, at_most=PAGE + 1,
            )  # fmt: skip
        return self.site.kit.page(
            request, "console/certificates.html", me=reader, here="certificates",
            rows=found[:PAGE], more=found[PAGE - 1]["id"] if found[PAGE:] else None,
            products=sorted(self.site.policies.by_product), states=list(CertificateState),
            product=product, state=state, customer=customer, notice=self.site.notice(request),
            kinds=KINDS,
            **list_values(
                self.site, reader.name, "certificates", product=product, state=state,
                customer=customer,
            ),
        )  # fmt: skip

    def search(self, request: Request, q: Query) -> Response:
        """
        Find by certificate number or serial, token serial, customer number, ID number, telephone.

        A form and not an address: what is typed may be personal data.
        """
        who = self.site.reader(request).name
        with self.site.store.transaction() as work:
            audit.write(work, who=who, did="search", object_="customers", why="console")
            customers, certificates = _found(work, q)
        session = self.site.kit.signed_in(request)
        if len(certificates) == 1 and not customers:
            return self.site.kit.see(f"/certificates/{certificates[0]}")
        if len(customers) == 1:
            return self.site.kit.see(f"/certificates?customer={customers[0]}")
        words = [
            "沒有符合的；請用編號、序號、身分證字號、客戶編號或行動電話。",
            "Nothing found; give a number, a serial, an ID number or a mobile.",
        ]
        self.site.kit.keep(request, session, notice={"kind": "warn", "words": words})
        return self.site.kit.see("/certificates")

    def page(self, request: Request, certificate: int) -> Response:
        reader = self.site.reader(request)
        with self.site.store.snapshot() as look:
            row = look.certificates.find(certificate)
            if row is None:
                raise PageError("E9404")
            person = person_of(look, row.customer, open_=False)
            renewals = queries.renewals_of(look, certificate)
            payments = renewal_queries.payments_for(look, certificate, MAX_PAYMENTS)
            story = list(renewal_queries.story_of(look, certificate))
        return self.site.kit.page(
            request, "console/certificate.html", me=reader, here="certificates", row=row,
            person=person, renewals=renewals, payments=payments, story=story,
            state=CertificateState(row.state),
            notice=self.site.notice(request), may_act=reader.may(StaffRole.OPERATOR), kinds=KINDS,
            unmasked=None, fee_states=SETTLED_FEES, reasons=REASONS,
        )  # fmt: skip

    def contact(self, request: Request, customer: int) -> Response:
        """Where messages to this customer go, masked, and a form to change it."""
        reader = self.site.reader(request, StaffRole.OPERATOR, StaffRole.CHECKER)
        with self.site.store.snapshot() as look:
            row = look.customers.find(customer)
            if row is None:
                raise PageError("E9404")
            person = person_of(look, customer, open_=False)
            theirs = certificate_queries.of_customers(look, [customer])
            edit = contact_edits.of_customer(look, customer)
            number = mask.phone(contact_edits.mobile_of(look, edit)) if edit else ""
        return self.site.kit.page(
            request, "console/contact.html", me=reader, here="certificates", row=row,
            person=person, certificates=theirs, notice=self.site.notice(request),
            edit=edit, number=number, own=edit is not None and edit.made_by == reader.name,
        )  # fmt: skip

    def change_contact(
        self,
        request: Request,
        customer: int,
        *,
        why: Words,
        mobile: Address = "",
        mail: Address = "",
        remove: Annotated[list[str], Form()] = NONE,
        locale: Words = "",
        opted_out: Words = "",
    ) -> Response:
        """An empty field changes nothing; what is to be none any more is ticked."""
        who = self.site.reader(request, StaffRole.OPERATOR).name
        asked = NewContact(
            mobile="" if "mobile" in remove else mobile or None,
            mail="" if "mail" in remove else mail or None,
            opted_out={"yes": True, "no": False}.get(opted_out),
            locale=locale or None,
        )
        changes = ContactChanges(self.site.store)
        return self.site.acted(
            request, lambda: changes.change(customer, asked, who=who, why=why),
            f"/customers/{customer}/contact", (
                "聯絡方式已更改；若有新的行動電話，另一個人確認後才使用。",
                "The contact is changed; a new mobile is used once another person confirms it.",
            ),
        )  # fmt: skip

    def decide_contact(
        self, request: Request, customer: int, how: str, why: Words, seen: Words = ""
    ) -> Response:
        """Confirm a new number that another person has entered, or throw it away."""
        who = self.site.reader(request, StaffRole.OPERATOR, StaffRole.CHECKER).name
        changes = ContactChanges(self.site.store)
        acts = {"confirm": changes.confirm, "reject": changes.reject}
        if how not in acts:
            raise PageError("E9404")
        return self.site.acted(
            request, lambda: acts[how](customer, seen, who=who, why=why),
            f"/customers/{customer}/contact", ("已記錄。", "It is on record."),
        )  # fmt: skip

    def unmask(self, request: Request, certificate: int, why: Words) -> Response:
        """Show name, telephone and mail in full, once, with the reason in the trail."""
        reader = self.site.reader(request, StaffRole.OPERATOR, StaffRole.AUDITOR)
        with self.site.store.transaction() as work:
            audit.write(
                work, who=reader.name, did="unmask", object_=f"certificate {certificate}", why=why
            )
            row = work.certificates.get(certificate)
            person = person_of(work, row.customer, open_=True)
            renewals = queries.renewals_of(work, certificate)
            payments = renewal_queries.payments_for(work, certificate, MAX_PAYMENTS)
            story = list(renewal_queries.story_of(work, certificate))
        return self.site.kit.page(
            request, "console/certificate.html", me=reader, here="certificates", row=row,
            person=person, renewals=renewals, payments=payments, story=story,
            state=CertificateState(row.state),
            notice=None, may_act=reader.may(StaffRole.OPERATOR), kinds=KINDS, unmasked=why,
            fee_states=SETTLED_FEES, reasons=REASONS,
        )  # fmt: skip

    def change(
        self, request: Request, certificate: int, what: str, why: Words, *, branch: Words = "",
        reason: RevocationReason = RevocationReason.CESSATION_OF_OPERATION,
    ) -> Response:  # fmt: skip
        """Suspend, resume or revoke the certificate, start its renewal, or end the open one."""
        who = self.site.reader(request, StaffRole.OPERATOR).name
        office = self.site.back_office
        acts: Mapping[str, Callable[[], object]] = {
            **{
                change.value: partial(
                    office.ask_change,
                    certificate,
                    change,
                    reason if change is Change.REVOKE else None,
                    who=who,
                    why=why,
                )
                for change in Change
            },
            "renew": lambda: _started(
                office.start(certificate, who=who, why=why, branch=branch or None)
            ),
        }
        if what not in acts:
            raise PageError("E9404")
        session = self.site.kit.signed_in(request)
        try:
            acts[what]()
        except (NotNowError, XuqiError) as error:
            words = words_of(error)
            self.site.kit.keep(request, session, notice={"kind": "warn", "words": words})
            return self.site.kit.see(f"/certificates/{certificate}")
        words = ["已送出，結果列在經過。", "Asked for; what comes of it is in its history."]
        self.site.kit.keep(request, session, notice={"kind": "ok", "words": words})
        return self.site.kit.see(f"/certificates/{certificate}")


#: What a person may find out at the bank.
SETTLED_FEES = (
    FeeState.HELD, FeeState.CAPTURED, FeeState.VOIDED, FeeState.WAIVED, FeeState.CONSUMED,
    FeeState.DECLINED,
)  # fmt: skip
MAX_PAYMENTS = 50  #: of one certificate, shown
#: What the bank may have the CA publish; the usual one first.
REASONS = (
    CaReason.CESSATION_OF_OPERATION,
    *(CaReason(one.value) for one in RevocationReason
      if one is not RevocationReason.CESSATION_OF_OPERATION),
)  # fmt: skip
#: How each state of a certificate is shown: see ``tag`` in web/layout.py.
KINDS = {
    CertificateState.PENDING: "wait",
    CertificateState.ACTIVE: "ok",
    CertificateState.SUSPENDED: "warn",
    CertificateState.SUPERSEDED: "off",
    CertificateState.REVOKED: "bad",
    CertificateState.EXPIRED: "off",
}


def _started(answer: object) -> None:
    if isinstance(answer, RefusalReason):
        raise NotNowError(answer, "")


def _found(work: UnitOfWork, q: str) -> tuple[Sequence[int], Sequence[int]]:
    """Customers and certificates that what was typed may mean."""
    text = "".join(q.split())
    certificates: list[int] = []
    if text.isdecimal() and len(text) <= 18 and work.certificates.find(int(text)):  # noqa: PLR2004 - 64 bits
        certificates.append(int(text))
    serial = certificate_serial(text)
    for column, value in (("serial", serial), ("token_serial", token_serial(text))):
        named = run_queries.certificates_named(work, column, [value]) if value else {}
        certificates += [id_ for id_, _ in named.get(value, ())]
    mobile = f"+886{text[1:]}" if text.startswith("09") else text
    customers = {
        *queries.customers_with(work, "reference", text),
        *queries.customers_with(work, "id_number", text.upper()),
        *queries.customers_with(work, "mobile", mobile),
    }
    return sorted(customers), sorted(set(certificates))


def person_of(work: UnitOfWork, customer: int | None, *, open_: bool) -> dict[str, str] | None:
    """Name, telephone and mail: masked, but for a reader who has given a reason."""
    if customer is None:
        return None
    row = work.customers.get(customer)

    def read(sealed: bytes | None, column: str) -> str:
        return work.cipher.open_text(sealed, f"customers.{column}", row.id) if sealed else ""

    name, mobile = read(row.name_sealed, "name"), read(row.mobile_sealed, "mobile")
    mail = read(row.mail_sealed, "mail")
    if open_:
        return {"name": name, "mobile": mobile or "–", "mail": mail or "–"}
    return {
        "name": mask.name(name),
        "mobile": mask.phone(mobile) if mobile else "–",
        "mail": mask.mail(mail) if mail else "–",
    }
