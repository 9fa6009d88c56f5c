"""The centre's actions as a JSON API for a bank's own app or e-banking: `/api/v1`."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - FastAPI reads the annotations
from functools import partial
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import Response

from centre import payments
from centre import terms as terms_of_products
from centre.accounts import LogInRefusedError
from centre.actions import CodeNotSent, CodeResult
from centre.at_branch import AtBranch
from centre.pages.codes import base64_of
from centre.pages.log_in import ERROR_OF_CODE
from centre.pages.renewing import unbase64
from centre.release import ReleasePasswords, ReleaseRefusedError
from centre.timeline import stories
from renewal.db.rows import Renewal
from renewal.errors import NotNowError
from renewal.lifecycle.renewals import is_application
from renewal.rules.csr import BadRequestError
from renewal.rules.proof import ProofError
from renewal.rules.revocation import CustomersReason  # noqa: TC001 - FastAPI reads the annotations
from schema.events import RevocationReason
from schema.policy import Purpose, Storage
from web.api_routes import ApiRoutes
from web.errors import PageError
from web.sessions import IDLE
from web.typed import digits_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from centre.actions import CodeAnswer
    from centre.overview import Line
    from centre.pages.site import Site
    from centre.terms import Terms
    from schema.reasons import RefusalReason
    from web.sessions import Session

RenewalId = Annotated[str, Path(max_length=32, pattern=r"^R[0-9]{1,18}-[0-9]{1,6}$")]
PaymentId = Annotated[str, Path(max_length=32, pattern=r"^P[0-9]{1,18}-[0-9]{1,6}$")]
CertificateId = Annotated[int, Path(ge=1, le=2**53)]
Text = Annotated[str, Field(min_length=1, max_length=128)]
Encoded = Annotated[str, Field(min_length=4, max_length=16_000)]


class Value(BaseModel):
    """
    Answers are what is named here, and nothing else; an unknown field of a request is refused.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


class Problem(Value):
    code: str
    title: str
    trace: str


class LogInBody(Value):
    id_number: Text
    user_code: Text
    password: Text


class SessionStarted(Value):
    token: str
    idle_seconds: int


class CertificateShown(Value):
    certificate: int
    product: str
    serial: str
    format: str
    token_serial: str | None
    not_before: datetime
    not_after: datetime
    opens_at: datetime
    closes_at: datetime
    state: str
    do: str
    renewal: str | None


class RenewalAsked(Value):
    certificate: Annotated[int, Field(ge=1, le=2**53)]
    branch: Annotated[str, Field(max_length=16, pattern=r"^[0-9A-Za-z]+$")] | None = None
    #: for a certificate on a token or card
    terms_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    release_password: Text | None = None


class ApplicationAsked(Value):
    product: Annotated[str, Field(min_length=1, max_length=40)]


class OfferShown(Value):
    """A product that the customer has an account for, and no certificate of."""

    product: str
    do: str
    application: str | None


class RenewalShown(Value):
    """``is_application``: it replaces none, and its certificate is the one to come."""

    renewal: str
    is_application: bool
    certificate: int
    product: str
    state: str
    fee_state: str
    challenge: str
    new_certificate: int | None


class CodeAsked(Value):
    certificate: Annotated[int, Field(ge=1, le=2**53)]
    purpose: Purpose


class CodeSentBody(Value):
    challenge: str
    seconds: int
    to: list[str]


class CodeEntered(Value):
    challenge: Text
    code: Text


class RevocationEntered(CodeEntered):
    reason: CustomersReason = RevocationReason.CESSATION_OF_OPERATION


class Confirmation(CodeEntered):
    csr: Encoded
    approval: Encoded | None = None
    terms_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class CertificateBody(Value):
    certificate: str


class ProofBody(Value):
    signature: Encoded


class PaymentAsked(Value):
    certificate: Annotated[int, Field(ge=1, le=2**53)]


class PaymentShown(Value):
    payment: str
    certificate: int
    amount: int
    asked_at: datetime
    state: str


class TermsShown(Value):
    product: str
    version: str
    text: str
    sha256: str


class HappeningShown(Value):
    at: datetime
    what: str
    channel: str | None
    renewal: str | None


_REFUSALS = (400, 401, 403, 404, 405, 409, 413, 429, 503)


@dataclass(frozen=True)
class Api:
    site: Site

    def routes(self) -> APIRouter:
        api = ApiRoutes("centre", Problem, _REFUSALS)
        at = api.at

        at("POST", "/sessions", self.log_in, SessionStarted, 201)
        at("DELETE", "/sessions/current", self.log_out, None, 204)
        at("GET", "/certificates", self.certificates, list[CertificateShown])
        at("GET", "/certificates/{certificate}/timeline", self.timeline, list[HappeningShown])
        at("POST", "/certificates/{certificate}/revocation", self.revoke, None, 204)
        at("POST", "/certificates/{certificate}/suspension", self.suspend, None, 204)
        at("POST", "/codes", self.send_code, CodeSentBody, 201)
        at("GET", "/terms/{product}", self.terms, TermsShown)
        at("GET", "/offers", self.offers, list[OfferShown])
        at("POST", "/applications", self.apply, RenewalShown, 201)
        at("POST", "/renewals", self.request, RenewalShown, 201)
        at("GET", "/renewals/{renewal}", self.renewal, RenewalShown)
        at("POST", "/renewals/{renewal}/confirmation", self.confirm, RenewalShown)
        at("POST", "/renewals/{renewal}/certificate", self.collect, CertificateBody)
        at("POST", "/renewals/{renewal}/proof", self.prove, RenewalShown)
        at("POST", "/renewals/{renewal}/decline", self.decline, RenewalShown)
        at("POST", "/payments", self.pay, PaymentShown, 201)
        at("GET", "/payments", self.payments, list[PaymentShown])
        at("GET", "/payments/{payment}", self.payment, PaymentShown)
        return api.router

    # --- who ------------------------------------------------------------------------------------

    def log_in(self, request: Request, asked: LogInBody) -> SessionStarted:
        address = request.client.host if request.client else ""
        try:
            who = self.site.accounts.log_in(
                asked.id_number, asked.user_code, asked.password, address=address
            )
        except LogInRefusedError as error:
            raise PageError(error.code) from error
        kit = self.site.kit
        session = kit.sessions.rotate(kit.sessions.start(kit.face), subject=str(who.customer))
        session = kit.sessions.keep(
            session,
            user_code=who.user_code,
            customer_class=who.customer_class,
            operator=who.operator,
        )
        return SessionStarted(token=session.id, idle_seconds=int(IDLE.total_seconds()))

    def log_out(self, request: Request) -> Response:
        session, _ = self.site.reader(request)
        self.site.kit.sessions.end(session)
        return Response(status_code=204)

    # --- certificates ---------------------------------------------------------------------------

    def certificates(self, request: Request) -> list[CertificateShown]:
        _, customer = self.site.reader(request)
        seen = self.site.overview(customer)
        return [_shown(line) for line in (*seen.lines, *seen.older)]

    def timeline(self, request: Request, certificate: CertificateId) -> list[HappeningShown]:
        _, customer = self.site.reader(request)
        self.site.line(customer, certificate)
        with self.site.store.snapshot() as look:
            found = [one for one in stories(look, customer) if one.certificate == certificate]
        return [
            HappeningShown(at=one.at, what=one.what, channel=one.channel, renewal=one.renewal)
            for story in found
            for one in story.happenings
        ]

    def revoke(
        self, request: Request, certificate: CertificateId, entered: RevocationEntered
    ) -> Response:
        act = partial(self.site.centre_for(request).revoke, reason=entered.reason)
        return self._ended(request, certificate, entered, act)

    def suspend(
        self, request: Request, certificate: CertificateId, entered: CodeEntered
    ) -> Response:
        return self._ended(request, certificate, entered, self.site.centre_for(request).suspend)

    def _ended(
        self,
        request: Request,
        certificate: int,
        entered: CodeEntered,
        act: Callable[..., CodeAnswer | CodeNotSent],
    ) -> Response:
        session, customer = self.site.reader(request)
        line = self.site.line(customer, certificate)
        try:
            answer = act(
                line.certificate,
                challenge=entered.challenge,
                code=digits_of(entered.code),
                session=session.id,
            )
        except NotNowError as error:
            raise PageError("E4110") from error
        if isinstance(answer, CodeNotSent):
            raise PageError(self.site.error_of(answer.why))
        _right(answer.result)
        done = Response(status_code=204)
        self.site.kit.rotate_token(request, done)
        return done

    # --- codes and terms ------------------------------------------------------------------------

    def send_code(self, request: Request, asked: CodeAsked) -> CodeSentBody:
        session, customer = self.site.reader(request)
        self.site.owns(customer, asked.certificate)
        sent = self.site.centre_for(request).send_code(
            asked.certificate, action=asked.purpose.value, session=session.id
        )
        if isinstance(sent, CodeNotSent):
            raise PageError(self.site.error_of(sent.why))
        return CodeSentBody(challenge=sent.challenge, seconds=sent.seconds, to=list(sent.to))

    def terms(
        self, product: Annotated[str, Path(max_length=40)], language: str = "zh-TW"
    ) -> TermsShown:
        if product not in self.site.policies.by_product:
            raise PageError("E9404")
        found = terms_of_products.terms_of(product, "en" if language == "en" else "zh-TW")
        return TermsShown(
            product=product, version=found.version, text=found.text, sha256=found.sha256.hex()
        )

    # --- renewals -------------------------------------------------------------------------------

    def offers(self, request: Request) -> list[OfferShown]:
        """What the customer has an account for, and no certificate of."""
        _, customer = self.site.reader(request)
        return [
            OfferShown(product=one.product, do=one.do.value, application=one.application)
            for one in self.site.overview(customer).offers
        ]

    def apply(self, request: Request, asked: ApplicationAsked) -> RenewalShown:
        """From here on an application goes the way of a renewal, with a code to apply."""
        session, customer = self.site.reader(request)
        if asked.product not in self.site.policies.by_product:
            raise PageError("E9404")
        answer = self.site.centre.apply(customer, asked.product, asked_by=self.site.role(session))
        if not isinstance(answer, Renewal):
            raise PageError(self.site.error_of(answer.why()))
        return _renewal(answer)

    def request(self, request: Request, asked: RenewalAsked) -> RenewalShown:
        session, customer = self.site.reader(request)
        line = self.site.line(customer, asked.certificate)
        if line.storage is Storage.BROWSER:
            answer = self.site.centre.request(line.certificate, asked_by=self.site.role(session))
        else:
            answer = self._at_branch(session, line, asked)
        if not isinstance(answer, Renewal):
            raise PageError(self.site.error_of(answer.why()))
        return _renewal(answer)

    def _at_branch(
        self, session: Session, line: Line, asked: RenewalAsked
    ) -> Renewal | RefusalReason:
        agreed = _agreed(line.product, asked.terms_sha256)
        if self.site.policies.of(line.product).confirm.release_password:
            passwords = ReleasePasswords(self.site.store)
            customer, user_code = int(session.subject), str(session.body["user_code"])
            try:
                passwords.check(customer, user_code, asked.release_password or "")
            except ReleaseRefusedError as error:
                raise PageError(error.code) from error
        return AtBranch(self.site.store, self.site.policies).request(
            line.certificate, terms=agreed, session=session.id,
            asked_by=self.site.role(session), branch=asked.branch,
        )  # fmt: skip

    def renewal(self, request: Request, renewal: RenewalId) -> RenewalShown:
        _, customer = self.site.reader(request)
        return _renewal(self.site.renewal(customer, renewal))

    def confirm(
        self, request: Request, response: Response, renewal: RenewalId, asked: Confirmation
    ) -> RenewalShown:
        """A right code gives the session a new token (`Session-Token`); the old one is dead."""
        session, customer = self.site.reader(request)
        row = self.site.renewal(customer, renewal)
        self._confirmed(request, session, row, asked)
        self.site.kit.rotate_token(request, response)
        return _renewal(self.site.renewal(customer, renewal))

    def _confirmed(
        self, request: Request, session: Session, row: Renewal, asked: Confirmation
    ) -> None:
        agreed = _agreed(row.product, asked.terms_sha256)
        try:
            answer = self.site.centre_for(request).confirm(
                row.id,
                challenge=asked.challenge,
                code=digits_of(asked.code),
                session=session.id,
                csr=unbase64(asked.csr),
                terms=agreed.text.encode(),
                approval=unbase64(asked.approval) if asked.approval else None,
                and_do=lambda work: terms_of_products.agree(
                    work, agreed, customer=row.customer, session=session.id, renewal=row.id
                ),
            )
        except BadRequestError as error:
            raise PageError("E4111") from error
        except ProofError as error:
            raise PageError("E4112") from error
        except NotNowError as error:
            raise PageError(self.site.error_of_state(error)) from error
        _right(answer.result)

    def collect(self, request: Request, renewal: RenewalId) -> CertificateBody:
        _, customer = self.site.reader(request)
        row = self.site.renewal(customer, renewal)
        try:
            der = self.site.centre.collect(row.id)
        except NotNowError as error:
            raise PageError("E4110") from error
        if der is None:
            raise PageError("E4110")
        return CertificateBody(certificate=base64_of(der))

    def prove(self, request: Request, renewal: RenewalId, proof: ProofBody) -> RenewalShown:
        _, customer = self.site.reader(request)
        row = self.site.renewal(customer, renewal)
        try:
            self.site.centre.prove(row.id, unbase64(proof.signature))
        except ProofError as error:
            raise PageError("E4304") from error
        except NotNowError as error:
            raise PageError("E4110") from error
        return _renewal(self.site.renewal(customer, renewal))

    def decline(self, request: Request, renewal: RenewalId) -> RenewalShown:
        _, customer = self.site.reader(request)
        row = self.site.renewal(customer, renewal)
        try:
            self.site.centre.decline(row.id)
        except NotNowError as error:
            raise PageError("E4110") from error
        return _renewal(self.site.renewal(customer, renewal))

    # --- money ----------------------------------------------------------------------------------

    def pay(self, request: Request, asked: PaymentAsked) -> PaymentShown:
        _, customer = self.site.reader(request)
        line = self.site.line(customer, asked.certificate)
        answer = self.site.centre.pay(line.certificate)
        if isinstance(answer, CodeNotSent):
            raise PageError(self.site.error_of(answer.why))
        return PaymentShown(
            payment=answer.id,
            certificate=answer.certificate,
            amount=answer.amount,
            asked_at=answer.asked_at,
            state=answer.state,
        )

    def payments(self, request: Request) -> list[PaymentShown]:
        _, customer = self.site.reader(request)
        with self.site.store.snapshot() as look:
            found = payments.paid(look, customer)
        return [
            PaymentShown(
                payment=one.payment,
                certificate=one.certificate,
                amount=one.amount,
                asked_at=one.asked_at,
                state=one.state,
            )
            for one in found
        ]

    def payment(self, request: Request, payment: PaymentId) -> PaymentShown:
        """The receipt of one payment."""
        found = next((it for it in self.payments(request) if it.payment == payment), None)
        if found is None:
            raise PageError("E9404")
        return found


def _agreed(product: str, sha256: str | None) -> Terms:
    """
    The hash says which text was agreed to: of the terms in force, in either language.

    Raises:
        PageError: it is none of them.
    """
    texts = [terms_of_products.terms_of(product, it) for it in ("zh-TW", "en")]
    agreed = next((one for one in texts if one.sha256.hex() == sha256), None)
    if agreed is None:
        raise PageError("E4207")
    return agreed


def _right(verdict: CodeResult) -> None:
    """
    Raises:
        PageError: the code was not right.
    """
    if verdict is not CodeResult.RIGHT:
        raise PageError(ERROR_OF_CODE[verdict])


def _shown(line: Line) -> CertificateShown:
    return CertificateShown(
        certificate=line.certificate,
        product=line.product,
        serial=line.serial,
        format=line.format,
        token_serial=line.token_serial,
        not_before=line.not_before,
        not_after=line.not_after,
        opens_at=line.opens_at,
        closes_at=line.closes_at,
        state=line.state.value,
        do=line.do.value,
        renewal=line.renewal,
    )


def _renewal(row: Renewal) -> RenewalShown:
    return RenewalShown(
        renewal=row.id,
        is_application=is_application(row),
        certificate=row.certificate,
        product=row.product,
        state=row.state,
        fee_state=row.fee_state,
        challenge=base64.b64encode(row.challenge).decode(),
        new_certificate=row.new_certificate,
    )
