"""Tells a branch's station which token to renew: signed, with that token's key and no other."""

from __future__ import annotations

import base64
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import rsa

from renewal.outcome import Done, Outcome, Reject
from renewal.rules import x509 as certificate_reader
from renewal.rules.serials import token_serial
from renewal.rules.station_link import centre_key, signed_job
from renewal.rules.token_keys import key_of_token
from renewal.sealing import sealed_for_branch, write_key_of
from renewal.store import certificates as certificate_queries
from renewal.store import renewals as queries
from schema.events import SignedTokenJob, TokenEnrolmentRequested, TokenJobRequested
from schema.policy import Storage
from schema.reasons import OutcomeReason
from schema.states import CertificateState, RenewalState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from renewal.db.rows import Certificate, Renewal
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies
    from renewal.secret import Secret
    from schema.events import TokenJobDoubted

log = logging.getLogger(__name__)

#: A token's old certificates are kept on it while they may still be needed.
_NEEDED = {CertificateState.ACTIVE, CertificateState.SUSPENDED, CertificateState.SUPERSEDED}


@dataclass(frozen=True, kw_only=True)
class TokenJobs:
    policies: Policies
    stations_keys: Callable[[], Mapping[int, Secret]]  #: the newest, and those of older files
    tokens_key: Callable[[], Secret]  #: each token's own key follows from it

    def requested(self, renewal: Renewal, work: UnitOfWork) -> Outcome:
        if not self._waits_for_station(renewal):
            return Done()
        return Done(emit=(self._job(renewal, work),))

    def doubted(self, event: TokenJobDoubted, renewal: Renewal | None, work: UnitOfWork) -> Outcome:
        """
        What a station does not believe is a false job, unless it is of before and waits indeed.
        """
        if event.signed or renewal is None or not self._waits_for_station(renewal):
            log.critical("a false job for a station", extra={"renewal": event.renewal})
            return Reject(OutcomeReason.FALSE_JOB.why(branch=event.branch))
        return self.requested(renewal, work)

    def _waits_for_station(self, renewal: Renewal) -> bool:
        in_browser = self.policies.of(renewal.product).storage is Storage.BROWSER
        return (
            not in_browser
            and renewal.branch is not None
            and renewal.state == RenewalState.REQUESTED
        )

    def _job(self, renewal: Renewal, work: UnitOfWork) -> SignedTokenJob:
        certificate = work.certificates.get(renewal.certificate)
        keys = self.stations_keys().values()
        serial = token_serial(renewal.blank_token or certificate.token_serial or "")
        own = key_of_token(self.tokens_key().value, serial)
        sealed = sealed_for_branch(keys, renewal.branch or "", own, write_key_of(renewal.id))
        job = _job_of(work, certificate, renewal, sealed)
        return signed_job(job, [centre_key(key) for key in keys])


def _job_of(
    work: UnitOfWork, certificate: Certificate, renewal: Renewal, write_key: str
) -> SignedTokenJob:
    if renewal.blank_token is not None:
        return TokenEnrolmentRequested(
            branch=renewal.branch or "",
            renewal=renewal.id,
            token_serial=renewal.blank_token,
            old_certificate_sha256="",
            keep_sha256=(),
            algorithm=_algorithm_on_token(work, certificate),
            challenge=base64.b64encode(renewal.challenge).decode(),
            write_key=write_key,
        )
    # Whatever the product: a token may hold certificates of two.
    theirs = certificate_queries.of_customers(work, [renewal.customer])
    mine = token_serial(certificate.token_serial or "")
    on_token = [other for other in theirs if token_serial(other.token_serial or "") == mine]
    needed = {
        other.certificate_sha256.hex()
        for other in (*certificate_queries.in_slot(work, certificate.slot), *on_token)
        if other.not_after > work.at and other.state in _NEEDED
    } | {certificate.certificate_sha256.hex()}
    ours = {other.certificate_sha256.hex() for other in on_token}
    made = {
        before.spki_sha256.hex()
        for other in on_token
        for before in queries.of_certificate(work, other.id)
        if before.spki_sha256 is not None
    }
    return TokenJobRequested(
        branch=renewal.branch or "",
        renewal=renewal.id,
        token_serial=certificate.token_serial or "",
        old_certificate_sha256=certificate.certificate_sha256.hex(),
        keep_sha256=tuple(sorted(needed)),
        replace_sha256=tuple(sorted(ours - needed)),
        replace_keys_sha256=tuple(sorted(made)),
        algorithm=_algorithm_on_token(work, certificate),
        challenge=base64.b64encode(renewal.challenge).decode(),
        write_key=write_key,
    )


def _algorithm_on_token(work: UnitOfWork, certificate: Certificate) -> str:
    """The kind of key that the token has shown it can make: a card may know RSA alone."""
    der = work.cipher.open(certificate.der_sealed, "certificates.der", certificate.id)
    try:
        key = certificate_reader.read(der).public_key
    except certificate_reader.UnreadableCertificateError:
        key = None
    return "RSA-2048" if isinstance(key, rsa.RSAPublicKey) else "P-256"
