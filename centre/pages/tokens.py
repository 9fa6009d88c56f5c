"""The pages of certificates on tokens and cards: what is on them, and the steps of a renewal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cryptography import x509
from fastapi import APIRouter, Form
from fastapi.responses import JSONResponse
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the annotations

from centre import payments
from centre import terms as terms_of_products
from centre.at_branch import AtBranch
from centre.pages.keypad import shuffled
from centre.release import ReleasePasswords, ReleaseRefusedError
from renewal.db.rows import Renewal
from renewal.rules import mask
from renewal.rules.validity import new_validity
from schema.policy import Storage
from web.errors import PageError
from web.language import locale_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from centre.overview import Line
    from centre.pages.site import Site
    from renewal.db.rows import Certificate
    from web.sessions import Session

Typed = Annotated[str, Form(max_length=20)]
#: How far a renewal that a station writes has come, as its page lists the stages.
STAGES: Mapping[str, int] = {
    "requested": 1, "confirmed": 2, "fee held": 2, "sent to CA": 2, "issued": 3, "delivered": 4,
    "proven": 4, "activated": 5, "done": 5,
}  # fmt: skip
OVER = frozenset({"activated", "done", "refused", "abandoned"})


@dataclass(frozen=True)
class TokenPages:
    site: Site

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/token", self.content, methods=["GET"])
        router.add_api_route("/token/renew", self.confirm_page, methods=["GET"])
        router.add_api_route("/token/terms", self.terms_page, methods=["GET"])
        router.add_api_route("/token/renew", self.request, methods=["POST"])
        router.add_api_route("/token/renewals/{renewal}", self.job, methods=["GET"])
        router.add_api_route("/token/renewals/{renewal}/state", self.state, methods=["GET"])
        return router

    # --- what is on them ------------------------------------------------------------------------

    def content(self, request: Request) -> Response:
        """Both rows of each token: a renewed certificate, and the one before it."""
        session, customer = self.site.reader(request)
        return self.site.kit.page(
            request, "centre/token.html", lines=self._lines(customer),
            problem=self.site.remembered(request, session),
        )  # fmt: skip

    def _lines(self, customer: int) -> Sequence[Line]:
        seen = self.site.overview(customer)
        lines = [one for one in (*seen.lines, *seen.older) if one.token_serial]
        return sorted(lines, key=lambda one: (one.token_serial or "", one.not_after))

    # --- a renewal, step by step ----------------------------------------------------------------

    def confirm_page(self, request: Request, certificate: int | None = None) -> Response:
        """Choose from the list, then confirm the data. A look changes nothing."""
        session, customer = self.site.reader(request)
        problem = self.site.remembered(request, session)
        if certificate is None:
            due = [one for one in self._lines(customer) if one.do in {"renew", "go on", "pay"}]
            return self.site.kit.page(
                request, "centre/token-choose.html", lines=due, problem=problem
            )
        line = self._on_token(customer, certificate)
        if line.renewal is not None:
            return self.site.kit.see(f"/token/renewals/{line.renewal}")
        return self.site.kit.page(
            request, "centre/token-confirm.html", line=line, problem=problem,
            **self._data(line),
        )  # fmt: skip

    def _data(self, line: Line) -> dict[str, Any]:
        """What the customer confirms."""
        policy = self.site.policies.of(line.product)
        with self.site.store.snapshot() as look:
            row = look.certificates.get(line.certificate)
            der = look.cipher.open(row.der_sealed, "certificates.der", row.id)
            quote = payments.quote(look, row, self.site.policies)
            fee = payments.held(look, row, self.site.policies)
        _, end = new_validity(policy, self.site.kit.clock.now(), row.not_after)
        return {
            "common_name": _common_name(der),
            "new_end": end,
            "branch": AtBranch(self.site.store, self.site.policies).branch_of(row.id),
            "quote": quote,
            "held": fee,
        }

    def terms_page(self, request: Request, certificate: int) -> Response:
        session, customer = self.site.reader(request)
        line = self._on_token(customer, certificate)
        if line.renewal is not None:
            return self.site.kit.see(f"/token/renewals/{line.renewal}")
        wanted = self.site.policies.of(line.product).confirm.release_password
        is_set = ReleasePasswords(self.site.store).is_set(customer, _user_code(session))
        if wanted and not is_set:
            return self.site.kit.see(f"/release?certificate={certificate}")
        return self.site.kit.page(
            request, "centre/token-terms.html", line=line, release=wanted, digits=shuffled(),
            terms=terms_of_products.terms_of(line.product, locale_of(request)),
            problem=self.site.remembered(request, session),
        )  # fmt: skip

    def request(
        self,
        request: Request,
        certificate: Annotated[int, Form()],
        agree: Typed = "",
        release: Typed = "",
    ) -> Response:
        """Ask for the renewal: from here on the branch's station takes over."""
        session, customer = self.site.reader(request)
        line = self._on_token(customer, certificate)
        if line.renewal is not None:  # sent twice: it shows where it stands
            return self.site.kit.see(f"/token/renewals/{line.renewal}")
        answer = self._asked(request, session, line, agree=agree, release=release)
        if isinstance(answer, Renewal):
            return self.site.kit.see(f"/token/renewals/{answer.id}")
        self.site.remember(request, session, answer)
        return self.site.kit.see(f"/token/terms?certificate={line.certificate}")

    def _asked(
        self, request: Request, session: Session, line: Line, *, agree: str, release: str
    ) -> Renewal | str:
        """The renewal, or the error."""
        if not agree:
            return "E4207"
        if self.site.policies.of(line.product).confirm.release_password:
            passwords = ReleasePasswords(self.site.store)
            try:
                passwords.check(int(session.subject), _user_code(session), release)
            except ReleaseRefusedError as error:
                return error.code
        answer = AtBranch(self.site.store, self.site.policies).request(
            line.certificate,
            terms=terms_of_products.terms_of(line.product, locale_of(request)),
            session=session.id,
            asked_by=self.site.role(session),
        )
        return answer if isinstance(answer, Renewal) else self.site.error_of(answer.why())

    def _on_token(self, customer: int, certificate: int) -> Line:
        line = self.site.line(customer, certificate)
        if line.storage is Storage.BROWSER:
            raise PageError("E9404")
        return line

    # --- how it stands --------------------------------------------------------------------------

    def job(self, request: Request, renewal: str) -> Response:
        """Submitted, then followed until the new certificate is on the token."""
        session, customer = self.site.reader(request)
        row = self._renewal(customer, renewal)
        line = self.site.line(customer, row.certificate)
        with self.site.store.snapshot() as look:
            new = look.certificates.find(row.new_certificate)
            issued = (
                _issued(look.cipher.open(new.der_sealed, "certificates.der", new.id))
                if new
                else None
            )
        return self.site.kit.page(
            request, "centre/token-job.html", row=row, line=line, new=_new_of(new),
            issued=issued, stage=STAGES.get(row.state, 0), over=row.state in OVER,
            problem=self.site.remembered(request, session),
        )  # fmt: skip

    def state(self, request: Request, renewal: str) -> Response:
        """For the page's script, which follows it."""
        _, customer = self.site.reader(request)
        row = self._renewal(customer, renewal)
        return JSONResponse({"stage": STAGES.get(row.state, 0), "over": row.state in OVER})

    def _renewal(self, customer: int, renewal: str) -> Renewal:
        row = self.site.renewal(customer, renewal)
        if self.site.policies.of(row.product).storage is Storage.BROWSER:
            raise PageError("E9404")
        return row


def _user_code(session: Session) -> str:
    return str(session.body["user_code"])


def _new_of(new: Certificate | None) -> dict[str, Any] | None:
    if new is None:
        return None
    return {"serial": new.serial[-8:].upper(), "from": new.not_before, "to": new.not_after}


def _common_name(der: bytes) -> str:
    """The certificate's id, masked: it begins with the ID number."""
    return _masked(x509.load_der_x509_certificate(der).subject)


def _masked(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    number, dash, rest = (str(found[0].value) if found else "").partition("-")
    return f"{mask.id_number(number)}{dash}{rest}"


def _issued(der: bytes) -> dict[str, Any]:
    """Issuer and subject, one line for each part; the subject's number masked."""
    read = x509.load_der_x509_certificate(der)
    subject = [part for part in read.subject if part.oid != x509.NameOID.COMMON_NAME]
    return {
        "issuer": [part.rfc4514_string() for part in read.issuer],
        "subject": [
            *(part.rfc4514_string() for part in subject),
            f"CN={_masked(read.subject)}",
        ],
        "id": _masked(read.subject),
    }
