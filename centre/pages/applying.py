"""The page on which a customer applies for a first certificate, or for one after an end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the annotations

from renewal.db.rows import Renewal
from renewal.lifecycle.applications import why_not
from schema.reasons import RefusalReason
from web.errors import PageError

if TYPE_CHECKING:
    from centre.pages.site import Site
    from schema.policy import Policy

Product = Annotated[str, Form(max_length=40)]


@dataclass(frozen=True)
class Applying:
    """From its beginning on an application has the pages of a renewal."""

    site: Site

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/apply", self.page, methods=["GET"])
        router.add_api_route("/apply", self.begin, methods=["POST"])
        return router

    def page(self, request: Request, product: str) -> Response:
        """A look at this address changes nothing: the page asks for a press of its button."""
        session, customer = self.site.reader(request)
        under_way = self.site.application(customer, product)
        if under_way is not None:
            return self.site.kit.see(f"/renew/{under_way}")
        policy = self._policy(product)
        with self.site.store.snapshot() as look:
            why = why_not(
                look, customer, product, self.site.policies, asked_by=self.site.role(session)
            )
        return self.site.kit.page(
            request, "centre/apply.html", policy=policy,
            seen=self.site.overview(customer),
            problem=None if why is None else self.site.problem(
                request, self.site.error_of(why.why())
            ),
        )  # fmt: skip

    def begin(self, request: Request, product: Product) -> Response:
        session, customer = self.site.reader(request)
        self._policy(product)
        answer = self.site.centre.apply(customer, product, asked_by=self.site.role(session))
        if isinstance(answer, Renewal):
            self.site.kit.keep(request, session, agreed=None, code=None)
            return self.site.kit.see(f"/renew/{answer.id}")
        under_way = self.site.application(customer, product)
        if answer is RefusalReason.UNDER_WAY and under_way is not None:  # pressed twice
            return self.site.kit.see(f"/renew/{under_way}")
        self.site.remember(request, session, self.site.error_of(answer.why()))
        return self.site.kit.see("/")

    def _policy(self, product: str) -> Policy:
        if product not in self.site.policies.by_product:
            raise PageError("E9404")
        return self.site.policies.of(product)
