"""Takes down what stations say, passes certificates on to them, and closes renewals."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from renewal import cycle
from renewal.outcome import Done, Outcome, Reject, Retry
from renewal.rules.proof import ProofError, verify_renewal_proof
from renewal.sealing import branch_key, sealed_for
from renewal.store import renewals as queries
from schema.events import (
    CertificateChanged,
    CertificateChangedV1,
    CertificateIssued,
    Change,
    ChangeEvent,
    Event,
    FeeSettled,
    OldCertificateSettled,
    RenewalAbandoned,
    RenewalDone,
    RenewalRefused,
    RenewalWindowLeft,
    TokenCertificateReady,
    TokenDeclined,
    TokenJobEnded,
    TokenRequestSigned,
    TokenWritten,
    Topic,
)
from schema.policy import Storage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from renewal.cycle import Policies
    from renewal.secret import Secret
    from renewal.store.rows import Certificate, Renewal
    from renewal.store.work import Work

SETTLED_FEES = ("none", "captured", "consumed", "voided")
SETTLED_OLD = ("revoked", "kept")
#: While the bank or the CA is asked, a renewal is not ended: what they did would be forgotten.
BEING_FOUND_OUT = ("confirmed", "fee held", "sent to CA")
LOOK_AGAIN = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Records:
    """
    All its work is in the store: it never acts upon the world outside.
    """

    group: ClassVar[str] = "records"
    topics: ClassVar[tuple[str, ...]] = (
        Topic.RENEWALS.value,
        Topic.TOKENS.value,
        Topic.CERTIFICATES.value,
    )
    kinds: ClassVar[tuple[type[Event], ...]] = (
        CertificateIssued,
        FeeSettled,
        OldCertificateSettled,
        RenewalRefused,
        RenewalAbandoned,
        RenewalWindowLeft,
        CertificateChanged,
        CertificateChangedV1,
        TokenRequestSigned,
        TokenWritten,
        TokenDeclined,
    )

    policies: Policies
    stations_key: Secret

    def preload(self, events: Sequence[Event], work: Work) -> None:
        keys = [event.renewal for event in events if hasattr(event, "renewal")]
        work.renewals.load(keys)
        known = [renewal for renewal in map(work.renewals.find, keys) if renewal]
        at_stations = [renewal for renewal in known if renewal.branch is not None]
        work.certificates.load(renewal.certificate for renewal in at_stations)
        work.certificates.load(renewal.new_certificate for renewal in at_stations)

    def prepare(self, event: Event, work: Work, *, again: bool) -> Outcome:
        del again
        match event:
            case RenewalWindowLeft():
                return self._paid_back(event.certificate, "not renewed in time", work)
            case ChangeEvent(change=Change.REVOKE):
                return self._paid_back(event.certificate, "the certificate was revoked", work)
            case ChangeEvent():
                return Done()
            case TokenRequestSigned() | TokenWritten() | TokenDeclined():
                return self._said(event, work.renewals.get(event.renewal), work)
            case _:
                return self._of_renewal(event, work.renewals.get(event.key), work)

    def _of_renewal(self, event: Event, renewal: Renewal, work: Work) -> Outcome:
        match event:
            case CertificateIssued():
                return self._issued(renewal, work)
            case FeeSettled() | OldCertificateSettled():
                return self._closed(renewal, work)
            case RenewalRefused() | RenewalAbandoned():
                return Done(emit=self._job_ended(renewal, event.why))
            case _:
                return Reject(f"{type(event).__name__} is not for records")

    # --- what stations say ----------------------------------------------------------------------

    def _said(
        self,
        event: TokenRequestSigned | TokenWritten | TokenDeclined,
        renewal: Renewal,
        work: Work,
    ) -> Outcome:
        if self.policies.of(renewal.product).storage is Storage.BROWSER:
            return Reject("a station speaks of a certificate that is on no token")
        match event:
            case TokenRequestSigned():
                return self._signed(event, renewal, work)
            case TokenWritten():
                return self._written(event, renewal, work)
            case TokenDeclined():
                return self._declined(event, renewal, work)

    def _signed(self, event: TokenRequestSigned, renewal: Renewal, work: Work) -> Outcome:
        """
        The token in force has asked for its successor: that is the customer's confirmation.
        """
        old = work.certificates.get(renewal.certificate)
        if renewal.state != "requested":
            return Done()
        try:
            csr, proof, key = _checked(event, old, work)
            cycle.check_unused(work, renewal, key)
        except (ProofError, cycle.BadRequestError) as error:
            work.decide(old.id, "token", "refused", str(error), renewal=renewal.id)
            return Done(emit=cycle.refuse(work, renewal, str(error), self.policies))
        work.decide(old.id, "token", "request signed", renewal=renewal.id)
        return Done(emit=cycle.confirm(work, renewal, csr=csr, key=key, proof=proof))

    def _written(self, event: TokenWritten, renewal: Renewal, work: Work) -> Outcome:
        if renewal.state not in {"issued", "delivered"}:
            return Done()
        new = work.certificates.get(renewal.new_certificate)
        if event.certificate_sha256 != new.certificate_sha256.hex():
            return Reject("the station wrote another certificate than the one that was issued")
        try:
            emit = cycle.activate(work, renewal, _bytes(event.signature), self.policies)
        except ProofError as error:
            work.decide(renewal.certificate, "token", "not proven", str(error), renewal=renewal.id)
            return Reject(str(error))
        work.decide(renewal.certificate, "token", "written, read back", renewal=renewal.id)
        return Done(emit=emit)

    def _declined(self, event: TokenDeclined, renewal: Renewal, work: Work) -> Outcome:
        if renewal.state in BEING_FOUND_OUT:
            return Retry(LOOK_AGAIN, f"declined while {renewal.state}", spends_a_try=False)
        if renewal.state not in cycle.WAITS_FOR_CUSTOMER:
            return Done()
        work.decide(renewal.certificate, "token", "declined", event.why, renewal=renewal.id)
        return Done(emit=cycle.abandon(work, renewal, event.why, self.policies))

    # --- what goes to stations ------------------------------------------------------------------

    def _issued(self, renewal: Renewal, work: Work) -> Outcome:
        if self.policies.of(renewal.product).storage is Storage.BROWSER or renewal.branch is None:
            return Done()
        new = work.certificates.get(renewal.new_certificate)
        der = work.vault.open(new.der_sealed, "certificates.der")
        sealed = sealed_for(branch_key(self.stations_key, renewal.branch), der, renewal.id)
        ready = TokenCertificateReady(branch=renewal.branch, renewal=renewal.id, sealed=sealed)
        return Done(emit=(ready,))

    def _job_ended(self, renewal: Renewal, why: str) -> tuple[Event, ...]:
        if renewal.branch is None:
            return ()
        return (TokenJobEnded(branch=renewal.branch, renewal=renewal.id, why=why),)

    # --- the end --------------------------------------------------------------------------------

    def _closed(self, renewal: Renewal, work: Work) -> Outcome:
        if renewal.state != "activated":
            return Done()
        if renewal.fee_state not in SETTLED_FEES or renewal.old_state not in SETTLED_OLD:
            return Done()  # the other half is still to come
        work.renewals.change(renewal, state="done", moved_at=work.at)
        work.decide(renewal.certificate, "renewal", "done", renewal=renewal.id)
        return Done(emit=(RenewalDone(renewal=renewal.id), *self._job_ended(renewal, "done")))

    def _paid_back(self, certificate: int, why: str, work: Work) -> Outcome:
        """
        What was paid for a renewal that can no longer be is paid back.
        """
        payment = queries.payment_of(work, certificate, "paid")
        return Done() if payment is None else Done(emit=cycle.refund(work, payment, why))


def _checked(event: TokenRequestSigned, old: Certificate, work: Work) -> tuple[bytes, bytes, bytes]:
    """
    Return the request, the old key's proof and the new key's SHA-256, if all of it holds.

    Raises:
        ProofError, BadRequestError
    """
    csr, proof = _bytes(event.csr), _bytes(event.proof)
    key = cycle.check_request(csr)
    if event.token_serial != old.token_serial:
        raise ProofError("the request comes from another token")
    if old.state != "active":
        raise ProofError(f"the old certificate is {old.state}")
    verify_renewal_proof(proof, csr, work.vault.open(old.der_sealed, "certificates.der"))
    return csr, proof, key


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProofError("what the station sent is not base64") from error
