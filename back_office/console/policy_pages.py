"""The page of the policies: what holds, how it differs from the sample, who has applied it."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import unified_diff
from typing import TYPE_CHECKING

import msgspec
from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotations
from starlette.responses import Response  # noqa: TC002 - FastAPI reads the annotations

from renewal.store import console as queries
from schema.policy import load_policies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from back_office.console.site import ConsoleSite
    from schema.policy import Policy

APPLIED = "apply policies"  #: as the audit trail has it


@dataclass(frozen=True)
class PolicyPages:
    site: ConsoleSite

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/policies", self.page, methods=["GET"])
        return router

    def page(self, request: Request) -> Response:
        reader = self.site.reader(request)
        shipped = load_policies(None)
        shown = [
            (product, policy, as_lines(policy), difference(shipped.get(product), policy))
            for product, policy in sorted(self.site.policies.by_product.items())
        ]
        with self.site.store.snapshot() as look:
            applied = queries.audit_page(look, who=None, did=APPLIED, before=None, at_most=20)
        return self.site.kit.page(
            request, "console/policies.html", me=reader, here="policies", shown=shown,
            applied=applied, notice=None,
        )  # fmt: skip


def as_lines(policy: Policy) -> Sequence[str]:
    """Each value on a line, by its name."""
    return list(_flat("", msgspec.to_builtins(policy)))


def _flat(name: str, value: object) -> list[str]:
    if isinstance(value, dict):
        return [line for key, one in value.items() for line in _flat(f"{name}.{key}", one)]
    return [f"{name.removeprefix('.')} = {msgspec.json.encode(value).decode()}"]


def difference(before: Policy | None, after: Policy) -> Sequence[str]:
    """How it differs from the sample that the program brings; empty for a product of its own."""
    if before is None:
        return []
    lines = unified_diff(as_lines(before), as_lines(after), "", "", lineterm="", n=0)
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]
