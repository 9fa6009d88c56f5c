"""The pages of a renewal whose key lives in the browser: code and consent, making, proof, done."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Body, Form
from fastapi.responses import JSONResponse
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the annotations

from centre import terms as terms_of_products
from centre.actions import CodeResult
from centre.pages import codes
from centre.pages.log_in import ERROR_OF_CODE
from renewal.db.rows import Renewal
from renewal.errors import NotNowError
from renewal.lifecycle.renewals import is_application, replaced
from renewal.rules.csr import BadRequestError
from renewal.rules.proof import ProofError
from renewal.store import key_copies
from schema.policy import Purpose
from web.errors import PageError
from web.language import locale_of
from web.typed import digits_of

if TYPE_CHECKING:
    from centre.overview import Line
    from centre.pages.site import Site
    from centre.terms import Terms
    from renewal.db.unit_of_work import UnitOfWork
    from web.sessions import Session

LONGEST = 16_000  #: characters of a request in base64: RSA of 4096 bits needs 2,000
Typed = Annotated[str, Form(max_length=LONGEST)]
#: How far the making of a certificate is, as the page lists its stages.
STAGES = {"confirmed": 2, "fee held": 2, "sent to CA": 2, "issued": 2, "delivered": 3}
READY = ("issued", "delivered")
PROVEN = ("activated", "done")


def unbase64(text: str) -> bytes:
    """
    Raises:
        PageError: it is no base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise PageError("E4111") from error


@dataclass(frozen=True)
class Renewing:
    site: Site

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/renew", self.begin_page, methods=["GET"])
        router.add_api_route("/renew", self.begin, methods=["POST"])
        router.add_api_route("/renew/{renewal}", self.page, methods=["GET"])
        router.add_api_route("/renew/{renewal}/code", self.send_code, methods=["POST"])
        router.add_api_route("/renew/{renewal}/confirm", self.confirm, methods=["POST"])
        router.add_api_route("/renew/{renewal}/decline", self.decline, methods=["POST"])
        router.add_api_route("/renew/{renewal}/state", self.state, methods=["GET"])
        router.add_api_route("/renew/{renewal}/certificate", self.certificate, methods=["POST"])
        router.add_api_route("/renew/{renewal}/proof", self.prove, methods=["POST"])
        return router

    # --- beginning ------------------------------------------------------------------------------

    def begin_page(self, request: Request, certificate: int) -> Response:
        """A look at this address changes nothing: the page asks for a press of its button."""
        _, customer = self.site.reader(request)
        line = self.site.line(customer, certificate)
        if line.renewal is not None:
            return self.site.kit.see(f"/renew/{line.renewal}")
        return self.site.kit.page(request, "centre/renew-begin.html", line=line)

    def begin(self, request: Request, certificate: Annotated[int, Form()]) -> Response:
        session, customer = self.site.reader(request)
        line = self.site.line(customer, certificate)
        if line.renewal is not None:
            return self.site.kit.see(f"/renew/{line.renewal}")
        answer = self.site.centre.request(certificate, asked_by=self.site.role(session))
        if not isinstance(answer, Renewal):
            self.site.remember(request, session, self.site.error_of(answer.why()))
            return self.site.kit.see("/")
        self.site.kit.keep(request, session, agreed=None, code=None)
        return self.site.kit.see(f"/renew/{answer.id}")

    def page(self, request: Request, renewal: str) -> Response:
        """Whatever the state: where it stands, and the next step."""
        session, customer = self.site.reader(request)
        row = self.site.renewal(customer, renewal)
        if row.state == "requested":
            return self._code_page(request, session, row)
        if row.state in STAGES:
            return self.site.kit.page(
                request,
                "centre/renew-make.html",
                row=row,
                stage=STAGES[row.state],
                applies=is_application(row),
            )
        return self._end_page(request, row)

    def _code_page(self, request: Request, session: Session, row: Renewal) -> Response:
        code = codes.shown(self.site, session, certificate=row.certificate, purpose=_purpose(row))
        policy = self.site.policies.of(row.product)
        applies = is_application(row)
        line = None if applies else self.site.line(row.customer, row.certificate)
        return self.site.kit.page(
            request,
            "centre/renew-code.html",
            row=row,
            line=line,
            mobile=self.site.overview(row.customer).mobile,
            onetime=code,
            terms=terms_of_products.terms_of(row.product, locale_of(request)),
            agreed=session.body.get("agreed") == row.id,
            applies=applies,
            kind=self._kind(row.product, line),
            present_key=policy.confirm.present_key and not applies,
            challenge=codes.base64_of(row.challenge),
            problem=self.site.remembered(request, session),
        )

    def _kind(self, product: str, line: Line | None) -> str:
        """Of the key to make: as the old one's, else the first that the CA certifies."""
        if line is not None:
            return "EC" if line.format == "EC+" else "RSA"
        return "EC" if "P-256" in self.site.policies.accepts(product).keys else "RSA"

    def _end_page(self, request: Request, row: Renewal) -> Response:
        with self.site.store.snapshot() as look:
            new = look.certificates.find(row.new_certificate)
            old = replaced(look, row)
            copies = key_copies.of_customer(look, row.customer)
        others = [one.device for one in copies if old and one.spki_sha256 == old.spki_sha256]
        return self.site.kit.page(
            request,
            "centre/renew-done.html" if row.state in PROVEN else "centre/renew-ended.html",
            row=row, old=old, new=new, others=others, applies=is_application(row),
            next_opens=self.site.line(row.customer, new.id).opens_at if new else None,
        )  # fmt: skip

    # --- code and consent -----------------------------------------------------------------------

    def send_code(self, request: Request, renewal: str, agree: Typed = "") -> Response:
        """What was ticked stays ticked: a new code costs nobody the form."""
        session, customer = self.site.reader(request)
        row = self.site.renewal(customer, renewal)
        session = self.site.kit.keep(request, session, agreed=row.id if agree else None)
        codes.ask(self.site, request, session, certificate=row.certificate, purpose=_purpose(row))
        return self.site.kit.see(f"/renew/{row.id}")

    def confirm(  # noqa: PLR0917 - the fields of the form
        self,
        request: Request,
        renewal: str,
        code: Typed = "",
        agree: Typed = "",
        csr: Typed = "",
        approval: Typed = "",
        key_copy: Typed = "",
        device: Typed = "",
        opener: Typed = "",
    ) -> Response:
        session, customer = self.site.reader(request)
        row = self.site.renewal(customer, renewal)
        here = self.site.kit.see(f"/renew/{row.id}")
        if row.state != "requested":  # sent twice, or from another tab: it shows where it stands
            return here
        session = self.site.kit.keep(request, session, agreed=row.id if agree else None)
        error = self._why_not_yet(session, row, agree=agree, csr=csr)
        if error is None:
            kept = _KeyInBrowser(copy=key_copy, device=device, opener=opener)
            error = self._confirmed(
                request, session, row, code=code, csr=csr, approval=approval, kept=kept
            )
        if error is not None:
            self.site.remember(request, session, error)
            return here
        return self.site.kit.rotate(request, here)

    def _why_not_yet(self, session: Session, row: Renewal, *, agree: str, csr: str) -> str | None:
        if not agree:
            return "E4207"
        code = session.body.get("code")
        if code is None or code["certificate"] != row.certificate:
            return "E4202"
        return None if csr else "E4305"

    def _confirmed(
        self,
        request: Request,
        session: Session,
        row: Renewal,
        *,
        code: str,
        csr: str,
        approval: str,
        kept: _KeyInBrowser,
    ) -> str | None:
        """Confirm, or answer the error."""
        terms = terms_of_products.terms_of(row.product, locale_of(request))
        request_der = unbase64(csr)
        try:
            answer = self.site.centre_for(request).confirm(
                row.id,
                challenge=session.body["code"]["challenge"],
                code=digits_of(code),
                session=session.id,
                csr=request_der,
                terms=terms.text.encode(),
                approval=unbase64(approval) if approval else None,
                and_do=lambda work: _keep(work, row.id, terms, session, kept),
            )
        except BadRequestError:
            return "E4111"
        except ProofError:
            return "E4112"
        except NotNowError as error:
            return self.site.error_of_state(error)
        if answer.result is not CodeResult.RIGHT:
            return ERROR_OF_CODE[answer.result]
        self.site.kit.keep(request, session, code=None, agreed=None)
        return None

    def decline(self, request: Request, renewal: str) -> Response:
        session, customer = self.site.reader(request)
        row = self.site.renewal(customer, renewal)
        try:
            self.site.centre.decline(row.id)
        except NotNowError:
            self.site.remember(request, session, "E4110")
        return self.site.kit.see("/")

    # --- for the page's script ------------------------------------------------------------------

    def state(self, request: Request, renewal: str) -> Response:
        _, customer = self.site.reader(request)
        row = self.site.renewal(customer, renewal)
        return JSONResponse(
            {
                "stage": 5 if row.state in PROVEN else STAGES.get(row.state, 0),
                "ready": row.state in READY,
                "ended": row.state in {"refused", "abandoned"},
            }
        )

    def certificate(self, request: Request, renewal: str) -> Response:
        _, customer = self.site.reader(request)
        row = self.site.renewal(customer, renewal)
        der = self.site.centre.collect(row.id)
        if der is None:
            raise PageError("E4110")
        return JSONResponse(
            {
                "certificate": base64.b64encode(der).decode(),
                "challenge": base64.b64encode(row.challenge).decode(),
            }
        )

    def prove(
        self, request: Request, renewal: str, signature: Annotated[str, Body(embed=True)]
    ) -> Response:
        session, customer = self.site.reader(request)
        row = self.site.renewal(customer, renewal)
        try:
            self.site.centre.prove(row.id, unbase64(signature))
        except ProofError as error:
            raise PageError("E4304") from error
        except NotNowError as error:
            raise PageError("E4110") from error
        self.site.kit.keep(request, session, backup=row.id, released=self._released())
        return JSONResponse({"next": "/backup"})

    def _released(self) -> str:
        """The code of this renewal has just shown who it is: the new key may be backed up now."""
        return self.site.kit.clock.now().isoformat()


def _purpose(row: Renewal) -> Purpose:
    return Purpose.APPLY if is_application(row) else Purpose.RENEW


@dataclass(frozen=True, kw_only=True)
class _KeyInBrowser:
    """What a browser says of the key that it has made."""

    copy: str
    device: str
    opener: str


def _keep(
    work: UnitOfWork, renewal: str, terms: Terms, session: Session, kept: _KeyInBrowser
) -> None:
    row = work.renewals.get(renewal)
    terms_of_products.agree(work, terms, customer=row.customer, session=session.id, renewal=row.id)
    if not kept.copy or not kept.opener or row.spki_sha256 is None:
        return
    key_copies.put(
        work,
        key_copies.KeyCopy(
            id=kept.copy[:32],
            customer=row.customer,
            spki_sha256=row.spki_sha256,
            device=kept.device[:80],
            opener_sealed=work.cipher.seal(
                unbase64(kept.opener), key_copies.COLUMN, f"{row.customer}/{kept.copy[:32]}"
            ),
            stored_at=work.at,
        ),
    )
