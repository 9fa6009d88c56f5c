"""The facts that travel on the log."""

from __future__ import annotations

import hashlib
from datetime import datetime  # noqa: TC003 - msgspec reads the annotations
from enum import StrEnum
from typing import ClassVar

import msgspec


class Topic(StrEnum):
    CERTIFICATES = "certificates"
    REMINDERS = "reminders"
    CODES = "codes"
    RENEWALS = "renewals"
    PAYMENTS = "payments"
    TOKENS = "tokens"  #: what stations say
    DEAD_LETTERS = "dead-letters"  #: what was given up; the letters themselves lie in the database
    STATIONS = "stations"  #: what stations are asked; one topic for each branch: stations.<branch>


class Event(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", forbid_unknown_fields=True
):
    """
    A fact in the past tense. No personal data and no secret is ever in one.

    ``kind`` is versioned and never used again: a changed shape is a new kind.
    """

    topic: ClassVar[Topic]

    @property
    def place(self) -> str:
        """
        The name of the topic that the event goes to.
        """
        return str(self.topic)

    @property
    def key(self) -> str:
        """
        Events with one key stay in order; what waits keeps later ones of its key waiting, whatever
        their topic. So the keys of different kinds of thing never look alike.
        """
        raise NotImplementedError

    @property
    def identity(self) -> str:
        """
        Two events with one identity are one fact told twice.
        """
        return f"{type(self).__struct_config__.tag}:{self.key}"


# --- certificates: keyed by certificate ---------------------------------------------------------


class CertificateEvent(Event, frozen=True, kw_only=True):
    topic: ClassVar[Topic] = Topic.CERTIFICATES
    certificate: int

    @property
    def key(self) -> str:
        return str(self.certificate)


class RenewalDue(CertificateEvent, frozen=True, kw_only=True, tag="renewal-due.v1"):
    """
    A certificate has entered its renewal window.
    """

    customer: int | None
    product: str
    not_after: datetime


class RenewalWindowLeft(CertificateEvent, frozen=True, kw_only=True, tag="renewal-window-left.v1"):
    """
    A certificate's renewal window has closed, and it was not renewed.
    """

    customer: int | None
    product: str
    not_after: datetime


class Change(StrEnum):
    SUSPEND = "suspend"
    RESUME = "resume"
    REVOKE = "revoke"


class ChangeEvent(CertificateEvent, frozen=True, kw_only=True):
    change: Change
    number: int  #: counts the changes of this certificate

    @property
    def identity(self) -> str:
        return f"{type(self).__struct_config__.tag}:{self.certificate}:{self.number}"


class ChangeRequested(ChangeEvent, frozen=True, kw_only=True, tag="change-requested.v1"):
    """
    A person has asked for a certificate to be suspended, resumed or revoked.
    """


class CertificateChanged(ChangeEvent, frozen=True, kw_only=True, tag="certificate-changed.v2"):
    """
    The CA has suspended, resumed or revoked a certificate as a person had asked.
    """

    changed: datetime


class CertificateChangedV1(ChangeEvent, frozen=True, kw_only=True, tag="certificate-changed.v1"):
    """
    The same without its time. It is told no more, and may still lie on the log.
    """


# --- reminders: keyed by customer, or message -----------------------------------------------------


class ReminderDue(Event, frozen=True, kw_only=True, tag="reminder-due.v1"):
    """
    A threshold of a certificate's ladder has passed, or a deferred reminder's time has come.
    """

    topic: ClassVar[Topic] = Topic.REMINDERS
    certificate: int
    customer: int
    planned: datetime

    @property
    def key(self) -> str:
        return f"customer-{self.customer}"

    @property
    def identity(self) -> str:
        return f"reminder-due.v1:{self.certificate}:{self.planned.isoformat()}"


class NotCollectedDue(Event, frozen=True, kw_only=True, tag="not-collected-due.v1"):
    """
    A new certificate was issued, and its customer has not collected it for so many days.
    """

    topic: ClassVar[Topic] = Topic.REMINDERS
    renewal: str
    customer: int
    step: int

    @property
    def key(self) -> str:
        return f"customer-{self.customer}"

    @property
    def identity(self) -> str:
        return f"not-collected-due.v1:{self.renewal}:{self.step}"


class MessageFailed(Event, frozen=True, kw_only=True, tag="message-failed.v1"):
    """
    A message did not reach its customer, or nothing was heard of it for too long.
    """

    topic: ClassVar[Topic] = Topic.REMINDERS
    message: str
    customer: int
    code: str

    @property
    def key(self) -> str:  # it may wait for days, and keeps no other reminder waiting
        return self.message

    @property
    def identity(self) -> str:
        return f"message-failed.v1:{self.message}"


# --- codes: keyed by challenge ------------------------------------------------------------------


class CodeRequested(Event, frozen=True, kw_only=True, tag="code-requested.v1"):
    """
    A customer has asked for a one-time code. The code itself is nowhere on the log.
    """

    topic: ClassVar[Topic] = Topic.CODES
    challenge: str
    send_number: int

    @property
    def key(self) -> str:
        return self.challenge

    @property
    def identity(self) -> str:
        return f"code-requested.v1:{self.challenge}:{self.send_number}"


# --- renewals: keyed by renewal -----------------------------------------------------------------


class RenewalEvent(Event, frozen=True, kw_only=True):
    topic: ClassVar[Topic] = Topic.RENEWALS
    renewal: str

    @property
    def key(self) -> str:
        return self.renewal


class RenewalRequested(RenewalEvent, frozen=True, kw_only=True, tag="renewal-requested.v1"):
    certificate: int
    product: str
    branch: str | None


class RenewalConfirmed(RenewalEvent, frozen=True, kw_only=True, tag="renewal-confirmed.v1"):
    """
    The customer has confirmed, and the request for the new key's certificate is on record.
    """


class FeeSecured(RenewalEvent, frozen=True, kw_only=True, tag="fee-secured.v1"):
    """
    The fee is held, or was paid before, or there is none.
    """

    how: str  #: none | hold | prepaid


class RenewalRefused(RenewalEvent, frozen=True, kw_only=True, tag="renewal-refused.v1"):
    why: str


class CertificateIssued(RenewalEvent, frozen=True, kw_only=True, tag="certificate-issued.v1"):
    certificate: int  #: the new one


class CertificateActivated(RenewalEvent, frozen=True, kw_only=True, tag="certificate-activated.v1"):
    """
    The new certificate is proven and in force; the old one is superseded.
    """

    old: int
    new: int


class OldCertificateSettled(
    RenewalEvent, frozen=True, kw_only=True, tag="old-certificate-settled.v1"
):
    revoked: bool  #: else it is kept until it expires


class FeeSettled(RenewalEvent, frozen=True, kw_only=True, tag="fee-settled.v1"):
    how: str  #: captured | voided | consumed | none


class RenewalAbandoned(RenewalEvent, frozen=True, kw_only=True, tag="renewal-abandoned.v1"):
    """
    A renewal has ended without effect: declined by the customer, or not finished in time.
    """

    why: str


class RenewalDone(RenewalEvent, frozen=True, kw_only=True, tag="renewal-done.v1"):
    pass


# --- payments: keyed by payment -----------------------------------------------------------------


class PaymentEvent(Event, frozen=True, kw_only=True):
    topic: ClassVar[Topic] = Topic.PAYMENTS
    payment: str

    @property
    def key(self) -> str:
        return self.payment


class PaymentRequested(PaymentEvent, frozen=True, kw_only=True, tag="payment-requested.v1"):
    """
    A customer has asked to pay the fee of a renewal to come.
    """


class FeePaid(PaymentEvent, frozen=True, kw_only=True, tag="fee-paid.v1"):
    pass


class PaymentRefused(PaymentEvent, frozen=True, kw_only=True, tag="payment-refused.v1"):
    why: str


class RefundRequested(PaymentEvent, frozen=True, kw_only=True, tag="refund-requested.v1"):
    """
    What was paid has not been used and can no longer be.
    """

    why: str


class FeeRefunded(PaymentEvent, frozen=True, kw_only=True, tag="fee-refunded.v1"):
    pass


# --- dead letters: keyed by consumer ------------------------------------------------------------


class EventBuried(Event, frozen=True, kw_only=True, tag="event-buried.v1"):
    """
    A consumer has given an event up. Its body, which may hold anything, is not repeated here.
    """

    topic: ClassVar[Topic] = Topic.DEAD_LETTERS
    consumer: str
    event: str  #: the identity of what was given up
    origin: str  #: the topic that it lay on
    why: str
    buried: datetime  #: a dead letter that was sent again may die again

    @property
    def key(self) -> str:
        return self.consumer

    @property
    def identity(self) -> str:
        which = hashlib.sha256(f"{self.event}@{self.buried.isoformat()}".encode()).hexdigest()
        return f"event-buried.v1:{self.consumer}:{which[:32]}"


# --- stations: keyed by renewal -----------------------------------------------------------------


class StationEvent(Event, frozen=True, kw_only=True):
    """
    For the station of one branch.
    """

    topic: ClassVar[Topic] = Topic.STATIONS
    branch: str
    renewal: str

    @property
    def place(self) -> str:
        return f"{self.topic.value}.{self.branch}"

    @property
    def key(self) -> str:
        return self.renewal


class TokenJobRequested(StationEvent, frozen=True, kw_only=True, tag="token-job-requested.v1"):
    token_serial: str
    old_certificate_sha256: (
        str  #: of the certificate in force, by which the station finds its place
    )
    keep_sha256: tuple[str, ...]  #: of every certificate that must stay on the token
    algorithm: str
    challenge: str  #: what the new key must sign, in base64


class TokenCertificateReady(
    StationEvent, frozen=True, kw_only=True, tag="token-certificate-ready.v1"
):
    sealed: str  #: the certificate, encrypted for the branch, in base64: its subject is personal


class TokenJobEnded(StationEvent, frozen=True, kw_only=True, tag="token-job-ended.v1"):
    """
    The renewal is over for the station: done, refused or abandoned.
    """

    why: str


class TokenEvent(Event, frozen=True, kw_only=True):
    """
    From a station.
    """

    topic: ClassVar[Topic] = Topic.TOKENS
    renewal: str

    @property
    def key(self) -> str:
        return self.renewal


class TokenRequestSigned(TokenEvent, frozen=True, kw_only=True, tag="token-request-signed.v1"):
    """
    The new key is on the token; the old key, still in force, has signed the request for it.
    """

    token_serial: str
    csr: str  #: PKCS#10 with an empty subject, DER in base64
    proof: str  #: CMS SignedData by the old key over the CSR, without certificates, DER in base64

    @property
    def identity(self) -> str:  # a forged one must not make the true one a fact told twice
        return f"token-request-signed.v1:{self.renewal}:{_digest(self.csr, self.proof)}"


class TokenWritten(TokenEvent, frozen=True, kw_only=True, tag="token-written.v1"):
    """
    The certificate was written, read back and compared; the new key has signed the challenge.
    """

    certificate_sha256: str
    signature: str  #: base64

    @property
    def identity(self) -> str:  # as above
        return f"token-written.v1:{self.renewal}:{_digest(self.signature)}"


class TokenDeclined(TokenEvent, frozen=True, kw_only=True, tag="token-declined.v1"):
    """
    The station cannot or may not go on: the customer left, the PIN is blocked, no place is free.
    """

    why: str


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _leaves(kind: type[Event]) -> list[type[Event]]:
    found = [leaf for child in kind.__subclasses__() for leaf in _leaves(child)]
    return [*found, kind] if kind.__struct_config__.tag is not None and not found else found


#: Every kind of event there is.
KINDS: tuple[type[Event], ...] = tuple(_leaves(Event))
