"""Records what stations report of tokens, and forwards certificates to them."""

from __future__ import annotations

import base64
import binascii
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from renewal.lifecycle import renewals, request_checks
from renewal.outcome import Done, Outcome, Reject, Retry
from renewal.rules import csr as csr_rules
from renewal.rules.proof import ProofError, confirmation, verify_renewal_proof
from renewal.rules.statements import FalseStatementError, check_bound, verify
from renewal.sealing import sealed_for_branch
from renewal.store import stations
from schema.events import (
    Event,
    TokenCertificateReady,
    TokenDeclined,
    TokenEvent,
    TokenJobEnded,
    TokenRequestSigned,
    TokenWritten,
)
from schema.policy import Storage
from schema.reasons import (
    DecisionKind,
    EndReason,
    OutcomeReason,
    ProofReason,
    StatementReason,
)
from schema.states import CertificateState, RenewalState
from schema.stored_reasons import read_reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from renewal.db.rows import Certificate, Renewal
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.csr import Accepted
    from renewal.rules.policies import Policies
    from renewal.secret import Secret
    from schema.reasons import Reason

log = logging.getLogger(__name__)

LOOK_AGAIN = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class TokenReports:
    """The half of the consumer `records` that speaks with stations, all of it in the store."""

    policies: Policies
    stations_keys: Callable[
        [], Mapping[int, Secret]
    ]  #: the newest, and those that stations may still hold

    def reported(
        self,
        event: TokenRequestSigned | TokenWritten | TokenDeclined,
        renewal: Renewal,
        work: UnitOfWork,
    ) -> Outcome:
        if self.policies.of(renewal.product).storage is Storage.BROWSER:
            return Reject(OutcomeReason.ON_NO_TOKEN.why())
        false = self.false_statement(event, renewal, work)
        if false is not None:
            return false
        match event:
            case TokenRequestSigned():
                return self._signed(event, renewal, work)
            case TokenWritten():
                return self._written(event, renewal, work)
            case TokenDeclined():
                return self._declined(event, renewal, work)

    def false_statement(
        self, event: TokenEvent, renewal: Renewal, work: UnitOfWork
    ) -> Reject | None:
        """Refuse what no station of the renewal's branch has signed; ``None``: it is true."""
        try:
            _check_statement(event, renewal, work)
        except FalseStatementError as error:
            # Whoever may write to the log is not therefore a station: the renewal goes on waiting.
            self._decide(work, renewal, DecisionKind.TOKEN_NOT_PROVEN, error.reason)
            log.critical("a false statement of a station", extra={"renewal": renewal.id})
            return Reject(OutcomeReason.FALSE_STATEMENT.why(detail=error.reason.stored()))
        return None

    def _signed(self, event: TokenRequestSigned, renewal: Renewal, work: UnitOfWork) -> Outcome:
        """The token in force has requested its successor: that is the customer's confirmation."""
        old = work.certificates.get(renewal.certificate)
        if renewal.state != RenewalState.REQUESTED:
            return Done()
        try:
            accepted = self.policies.accepts(old.product)
            csr, proof, key = _checked(event, renewal, old, work, accepted)
            request_checks.check_named(work, renewal, accepted)
            request_checks.check_unused(work, key)
        except ProofError as error:
            self._decide(work, renewal, DecisionKind.TOKEN_NOT_PROVEN, error.reason)
            return Reject(error.reason)
        except csr_rules.BadRequestError as error:
            why = EndReason.TOKEN_REFUSED.why(detail=error.reason.stored())
            self._decide(work, renewal, DecisionKind.TOKEN_REFUSED, error.reason)
            renewals.refuse(work, renewal, why, self.policies)
            return Done()
        work.record_decision(old.id, DecisionKind.TOKEN_REQUEST_SIGNED, renewal=renewal.id)
        renewals.confirm(work, renewal, csr=csr, key=key, proof=proof)
        return Done()

    def _written(self, event: TokenWritten, renewal: Renewal, work: UnitOfWork) -> Outcome:
        if renewal.state not in renewals.TO_PROVE:
            return Done()
        new = work.certificates.get(renewal.new_certificate)
        if event.certificate_sha256 != new.certificate_sha256.hex():
            return Reject(OutcomeReason.OTHER_CERTIFICATE.why())
        try:
            renewals.activate(work, renewal, _bytes(event.signature), self.policies)
        except ProofError as error:
            self._decide(work, renewal, DecisionKind.TOKEN_NOT_PROVEN, error.reason)
            return Reject(error.reason)
        self._decide(work, renewal, DecisionKind.TOKEN_WRITTEN)
        return Done()

    def _declined(self, event: TokenDeclined, renewal: Renewal, work: UnitOfWork) -> Outcome:
        if renewal.state in renewals.BEING_FOUND_OUT:
            why = OutcomeReason.BEING_FOUND_OUT.why(renewal_state=renewal.state)
            return Retry(LOOK_AGAIN, why, spends_a_try=False)
        if renewal.state not in renewals.WAITS_FOR_CUSTOMER:
            return Done()
        why = EndReason.TOKEN_DECLINED.why(detail=event.why)
        self._decide(work, renewal, DecisionKind.TOKEN_DECLINED, read_reason(event.why))
        renewals.abandon(work, renewal, why, self.policies)
        return Done()

    def _decide(
        self, work: UnitOfWork, renewal: Renewal, kind: DecisionKind, why: Reason | None = None
    ) -> None:
        work.record_decision(renewal.certificate, kind, why, renewal=renewal.id)

    def issued(self, renewal: Renewal, work: UnitOfWork) -> Outcome:
        if self.policies.of(renewal.product).storage is Storage.BROWSER or renewal.branch is None:
            return Done()
        new = work.certificates.get(renewal.new_certificate)
        der = work.cipher.open(new.der_sealed, "certificates.der", new.id)
        sealed = sealed_for_branch(self.stations_keys().values(), renewal.branch, der, renewal.id)
        ready = TokenCertificateReady(branch=renewal.branch, renewal=renewal.id, sealed=sealed)
        return Done(emit=(ready,))


def job_ended(renewal: Renewal, why: str) -> tuple[Event, ...]:
    if renewal.branch is None:
        return ()
    return (TokenJobEnded(branch=renewal.branch, renewal=renewal.id, why=why),)


def _check_statement(event: TokenEvent, renewal: Renewal, work: UnitOfWork) -> None:
    """
    Check that a station of the renewal's branch has said this, now and about its token.

    Raises:
        FalseStatementError
    """
    station = stations.find(work, event.station)
    if station is None or station.revoked_at is not None:
        raise FalseStatementError(StatementReason.UNKNOWN_KEY)
    if station.branch != event.branch:
        raise FalseStatementError(StatementReason.OTHER_BRANCH)
    verify(event, station.public_key)
    old = work.certificates.get(renewal.certificate)
    check_bound(
        event,
        branch=renewal.branch,
        token_serial=renewal.blank_token or old.token_serial,
        requested_at=renewal.requested_at,
        now=work.at,
    )


def _checked(
    event: TokenRequestSigned,
    renewal: Renewal,
    old: Certificate,
    work: UnitOfWork,
    accepted: Accepted,
) -> tuple[bytes, bytes | None, bytes]:
    """
    Return the request, the old key's proof where it must sign, and the new key's SHA-256, if all
    of it holds. The proof is judged first: what the key in force has not signed says nothing about
    the renewal.

    Raises:
        ProofError: the renewal goes on waiting.
        BadRequestError: the token has signed for a request that cannot be used.
    """
    csr, proof = _bytes(event.csr), _bytes(event.proof)
    if renewal.blank_token is not None:  # staff have ordered it: the old key may be lost
        return csr, None, csr_rules.check_request(csr, accepted)
    if old.state != CertificateState.ACTIVE:
        raise ProofError(ProofReason.OLD_STATE.why(certificate_state=old.state))
    if old.verified is False:
        raise ProofError(ProofReason.ISSUER_NOT_VERIFIED)
    content = confirmation(renewal.id, renewal.challenge, csr)
    verify_renewal_proof(
        proof, content, work.cipher.open(old.der_sealed, "certificates.der", old.id)
    )
    return csr, proof, csr_rules.check_request(csr, accepted)


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProofError(ProofReason.NOT_BASE64) from error
