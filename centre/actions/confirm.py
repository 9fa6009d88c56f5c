"""Confirms a renewal with a code, and takes the request for the new key's certificate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from centre.actions.in_browser import in_browser
from renewal.errors import NotNowError
from renewal.lifecycle import renewals, request_checks
from renewal.rules import csr as csr_rules
from renewal.rules.proof import confirmation, verify_renewal_proof
from schema.policy import Purpose
from schema.reasons import RefusalReason
from schema.states import RenewalState

if TYPE_CHECKING:
    from collections.abc import Callable

    from centre.actions.enter_code import Entry
    from centre.actions.replies import CodeAnswer
    from renewal.db.rows import Renewal
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies


@dataclass(frozen=True, kw_only=True)
class HandedIn:
    """
    ``approval``: CMS by which the present key has signed the renewal, its challenge and the
    request (``renewal.rules.proof.confirmation``): it is for nothing else. ``and_do``: what is
    kept in the same transaction.
    """

    renewal: str
    csr: bytes
    terms: bytes
    approval: bytes | None = None
    and_do: Callable[[UnitOfWork], None] | None = None


def confirm(
    entry: Entry, asked: HandedIn, *, challenge: str, code: str, session: str
) -> CodeAnswer:
    """
    Raises:
        BadRequestError, NotNowError, ProofError: the code was not used up.
    """
    policies, request = entry.policies, csr_rules.in_der(asked.csr)

    def confirmed(work: UnitOfWork) -> None:
        row = in_browser(work, policies, asked.renewal)
        key = _key_to_confirm(work, policies, row, request)
        proof, terms = asked.approval, asked.terms
        renewals.confirm(work, row, csr=request, key=key, proof=proof, terms=terms)
        if asked.and_do is not None:
            asked.and_do(work)

    with entry.store.snapshot() as look:  # before a try is spent
        row = in_browser(look, policies, asked.renewal)
        _key_to_confirm(look, policies, row, request)
        _check_approval(look, policies, row, request, asked.approval)
    return entry.enter(
        challenge,
        code,
        session=session,
        action=Purpose.APPLY if renewals.is_application(row) else Purpose.RENEW,
        certificate=row.certificate,
        then=confirmed,
    )


def _check_approval(
    look: UnitOfWork, policies: Policies, row: Renewal, request: bytes, approval: bytes | None
) -> None:
    """
    Raises:
        NotNowError: the product wants the present key's approval, and there is none.
        ProofError: it is not the present key's, or for something else.
    """
    old = renewals.replaced(look, row)
    if old is None:
        return
    if approval is None:
        if policies.of(row.product).confirm.present_key:
            raise NotNowError(RefusalReason.NO_CERTIFICATE_HERE, row.id)
        return
    content = confirmation(row.id, row.challenge, request)
    der = look.cipher.open(old.der_sealed, "certificates.der", old.id)
    verify_renewal_proof(approval, content, der)


def _key_to_confirm(work: UnitOfWork, policies: Policies, row: Renewal, request: bytes) -> bytes:
    """
    Return the request's key if the CA will certify it: whatever it will refuse is refused here.

    Raises:
        BadRequestError, NotNowError
    """
    renewals.expect(row, RenewalState.REQUESTED)
    stopped = renewals.why_stopped(work, row)
    if stopped is not None:
        raise NotNowError(stopped, row.id)
    accepted = policies.accepts(row.product)
    key = csr_rules.check_request(request, accepted)
    request_checks.check_named(work, row, accepted)
    request_checks.check_unused(work, key)
    return key
