"""A one-time code as a page shows it: asked for, sent and running out, wrong."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from centre.actions import CodeNotSent
from renewal.rules.code import rules_for
from renewal.store.subjects import product_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from centre.pages.site import Site
    from schema.policy import Purpose
    from web.sessions import Session


@dataclass(frozen=True, kw_only=True)
class CodeShown:
    """``left``: seconds, as the server counts them; none left: it is to be asked for again."""

    sent: bool
    to: tuple[str, ...]
    left: int
    of: int
    digits: int
    tries: int


def code_seconds(purpose: Purpose) -> timedelta:
    rules = rules_for(None, purpose)
    return timedelta(seconds=rules.seconds if rules else 0)


def ask(
    site: Site, request: Request, session: Session, *, certificate: int, purpose: Purpose
) -> None:
    """Have a code sent, and let the session remember which."""
    sent = site.centre_for(request).send_code(certificate, action=purpose.value, session=session.id)
    if isinstance(sent, CodeNotSent):
        site.remember(request, session, site.error_of(sent.why))
        return
    site.kit.keep(
        request,
        session,
        code={
            "challenge": sent.challenge,
            "purpose": purpose.value,
            "certificate": certificate,
            "to": list(sent.to),
            "seconds": sent.seconds,
            "until": (site.kit.clock.now() + timedelta(seconds=sent.seconds)).isoformat(),
        },
    )


def shown(site: Site, session: Session, *, certificate: int, purpose: Purpose) -> CodeShown:
    """How the code of this session stands; one for something else counts as none."""
    with site.store.snapshot() as look:
        product = product_of(look, certificate)
    rules = rules_for(site.policies.of(product) if product else None, purpose)
    digits, tries = (rules.digits, rules.tries) if rules else (0, 0)
    seconds = rules.seconds if rules else 0
    code = session.body.get("code")
    if code is None or (code["purpose"], code["certificate"]) != (purpose.value, certificate):
        return CodeShown(sent=False, to=(), left=0, of=seconds, digits=digits, tries=tries)
    left = datetime.fromisoformat(code["until"]) - site.kit.clock.now()
    return CodeShown(
        sent=True,
        to=tuple(code["to"]),
        left=max(0, int(left.total_seconds())),
        of=seconds,
        digits=digits,
        tries=site.tries_left(code["challenge"], tries),
    )


def base64_of(value: bytes) -> str:
    return base64.b64encode(value).decode()
