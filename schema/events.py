"""The events on the log."""

from __future__ import annotations

import hashlib
from datetime import datetime  # noqa: TC003 - msgspec reads the annotations
from enum import StrEnum
from typing import ClassVar

import msgspec

MAX_KEY = 48  #: characters, as the log's table holds; what begins alike then is one order


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
    def topic_name(self) -> str:
        """The name of the topic that the event goes to."""
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
        """Two events with one identity are one fact told twice."""
        return f"{type(self).__struct_config__.tag}:{self.key}"


# --- certificates: keyed by certificate ---------------------------------------------------------


class CertificateEvent(Event, frozen=True, kw_only=True):
    topic: ClassVar[Topic] = Topic.CERTIFICATES
    certificate: int

    @property
    def key(self) -> str:
        return str(self.certificate)


class RenewalDue(CertificateEvent, frozen=True, kw_only=True, tag="renewal-due.v1"):
    """A certificate has entered its renewal window."""

    customer: int | None
    product: str
    not_after: datetime


class RenewalWindowLeft(CertificateEvent, frozen=True, kw_only=True, tag="renewal-window-left.v1"):
    """A certificate's renewal window has closed, and it was not renewed."""

    customer: int | None
    product: str
    not_after: datetime


class Change(StrEnum):
    SUSPEND = "suspend"
    RESUME = "resume"
    REVOKE = "revoke"


class RevocationReason(StrEnum):
    """Why a certificate is revoked (RFC 5280, 5.3.1)."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "keyCompromise"
    AFFILIATION_CHANGED = "affiliationChanged"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessationOfOperation"
    PRIVILEGE_WITHDRAWN = "privilegeWithdrawn"


class ChangeEvent(CertificateEvent, frozen=True, kw_only=True):
    change: Change
    number: int  #: counts the changes of this certificate

    @property
    def identity(self) -> str:
        return f"{type(self).__struct_config__.tag}:{self.certificate}:{self.number}"


class ChangeRequested(ChangeEvent, frozen=True, kw_only=True, tag="change-requested.v2"):
    """A person has asked for a certificate to be suspended, resumed or revoked."""

    reason: RevocationReason | None = None  #: of a revocation


class ChangeRequestedV1(ChangeEvent, frozen=True, kw_only=True, tag="change-requested.v1"):
    """The same without a reason. It is told no more, and may still lie on the log."""


class CertificateChanged(ChangeEvent, frozen=True, kw_only=True, tag="certificate-changed.v2"):
    """The CA has suspended, resumed or revoked a certificate as a person had asked."""

    changed: datetime


class CertificateChangedV1(ChangeEvent, frozen=True, kw_only=True, tag="certificate-changed.v1"):
    """The same without its time. It is told no more, and may still lie on the log."""


class TokenMoved(Event, frozen=True, kw_only=True, tag="token-moved.v1"):
    """A person has said what has become of a token; its certificates follow by their own events."""

    topic: ClassVar[Topic] = Topic.CERTIFICATES
    token_serial: str
    state: str
    number: int  #: counts the moves of this token

    @property
    def key(self) -> str:
        return f"token-{self.token_serial}"[:MAX_KEY]

    @property
    def identity(self) -> str:
        return f"token-moved.v1:{self.token_serial}:{self.number}"


# --- reminders: keyed by customer, or message -----------------------------------------------------


class ReminderDue(Event, frozen=True, kw_only=True, tag="reminder-due.v1"):
    """A threshold of a certificate's ladder has passed, or a deferred reminder's time has come."""

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


class CustomersRenewal(Event, frozen=True, kw_only=True):
    """Something of a renewal that its customer is to be told, once."""

    topic: ClassVar[Topic] = Topic.REMINDERS
    renewal: str
    customer: int

    @property
    def key(self) -> str:
        return f"customer-{self.customer}"

    @property
    def identity(self) -> str:
        return f"{type(self).__struct_config__.tag}:{self.renewal}"


class NotCollectedDue(CustomersRenewal, frozen=True, kw_only=True, tag="not-collected-due.v1"):
    """A new certificate was issued, and its customer has not collected it for so many days."""

    step: int

    @property
    def identity(self) -> str:
        return f"not-collected-due.v1:{self.renewal}:{self.step}"


class CustomerInvited(CustomersRenewal, frozen=True, kw_only=True, tag="customer-invited.v1"):
    """A bulk run has begun a renewal that its customer is to go on with."""


class TokenJobExpired(CustomersRenewal, frozen=True, kw_only=True, tag="token-job-expired.v1"):
    """A renewal that waited at a branch for its token was given up: nobody came."""


class AddressReplaced(Event, frozen=True, kw_only=True, tag="address-replaced.v1"):
    """A customer's telephone number or mail address was changed or taken away."""

    topic: ClassVar[Topic] = Topic.REMINDERS
    customer: int
    contact_version: int  #: counts the changes of this customer's addresses
    channel: str  #: which one: sms | mail

    @property
    def key(self) -> str:  # one that cannot be reached any more keeps no reminder waiting
        return f"address-{self.customer}-{self.contact_version}-{self.channel}"[:MAX_KEY]


class MessageFailed(Event, frozen=True, kw_only=True, tag="message-failed.v1"):
    """A message did not reach its customer, or nothing was heard of it for too long."""

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
    """A customer has asked for a one-time code. The code itself is nowhere on the log."""

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
    """The customer has confirmed, and the request for the new key's certificate is on record."""


class FeeSecured(RenewalEvent, frozen=True, kw_only=True, tag="fee-secured.v1"):
    """The fee is held, or was paid before, or there is none."""

    how: str  #: none | hold | prepaid


class RenewalRefused(RenewalEvent, frozen=True, kw_only=True, tag="renewal-refused.v1"):
    why: str


class CertificateIssued(RenewalEvent, frozen=True, kw_only=True, tag="certificate-issued.v1"):
    certificate: int  #: the new one


class CertificateActivated(RenewalEvent, frozen=True, kw_only=True, tag="certificate-activated.v1"):
    """The new certificate is proven and in force; the old one is superseded."""

    old: int
    new: int


class OldCertificateSettled(
    RenewalEvent, frozen=True, kw_only=True, tag="old-certificate-settled.v1"
):
    revoked: bool  #: else it is kept until it expires


class FeeSettled(RenewalEvent, frozen=True, kw_only=True, tag="fee-settled.v1"):
    how: str  #: captured | voided | consumed | none


class RenewalAbandoned(RenewalEvent, frozen=True, kw_only=True, tag="renewal-abandoned.v1"):
    """A renewal has ended without effect: declined by the customer, or not finished in time."""

    why: str


class RenewalDone(RenewalEvent, frozen=True, kw_only=True, tag="renewal-done.v1"):
    pass


class RecordingDue(RenewalEvent, frozen=True, kw_only=True, tag="recording-due.v1"):
    """The new certificate is in force; transfers wait until the branch has recorded it."""

    due: datetime


class RecordingOverdue(RenewalEvent, frozen=True, kw_only=True, tag="recording-overdue.v1"):
    """The branch has not recorded the renewal in time: somebody above it is to look."""


class RenewalRecorded(RenewalEvent, frozen=True, kw_only=True, tag="renewal-recorded.v1"):
    """The branch has recorded the renewal: transfers are usable."""


# --- payments: keyed by payment -----------------------------------------------------------------


class PaymentEvent(Event, frozen=True, kw_only=True):
    topic: ClassVar[Topic] = Topic.PAYMENTS
    payment: str

    @property
    def key(self) -> str:
        return self.payment


class PaymentRequested(PaymentEvent, frozen=True, kw_only=True, tag="payment-requested.v1"):
    """A customer has asked to pay the fee of a renewal to come."""


class FeePaid(PaymentEvent, frozen=True, kw_only=True, tag="fee-paid.v1"):
    pass


class PaymentRefused(PaymentEvent, frozen=True, kw_only=True, tag="payment-refused.v1"):
    why: str


class RefundRequested(PaymentEvent, frozen=True, kw_only=True, tag="refund-requested.v1"):
    """What was paid has not been used and can no longer be."""

    why: str


class FeeRefunded(PaymentEvent, frozen=True, kw_only=True, tag="fee-refunded.v1"):
    pass


# --- dead letters: keyed by consumer ------------------------------------------------------------


class EventDeadLettered(Event, frozen=True, kw_only=True, tag="event-buried.v1"):
    """A consumer has given an event up. Its body, which may hold anything, is not repeated here."""

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
    """For the station of one branch."""

    topic: ClassVar[Topic] = Topic.STATIONS
    branch: str
    renewal: str

    @property
    def topic_name(self) -> str:
        return f"{self.topic.value}.{self.branch}"

    @property
    def key(self) -> str:
        return self.renewal


class TokenJob(StationEvent, frozen=True, kw_only=True):
    token_serial: str
    old_certificate_sha256: (
        str  #: of the certificate in force, by which the station finds its place
    )
    keep_sha256: tuple[str, ...]  #: of every certificate that must stay on the token
    algorithm: str
    challenge: str  #: what the new key must sign, in base64


class SignedTokenJob(TokenJob, frozen=True, kw_only=True):
    """One that the centre has not signed is read, and believed by no station."""

    write_key: str  #: the token's own management key, encrypted for the branch, in base64
    centre_signature: str = ""  #: Ed25519 over every other field, by each key; base64, by commas

    @property
    def identity(self) -> str:  # a forged one, or one of before, is no reason not to say it
        tag = type(self).__struct_config__.tag
        return f"{tag}:{self.renewal}:{_digest(self.centre_signature)}"


class TokenJobRequested(SignedTokenJob, frozen=True, kw_only=True, tag="token-job-requested.v3"):
    """A token is to be renewed. Whatever else is on it and is not ours stays there."""

    replace_sha256: tuple[str, ...]  #: of our certificates on the token that may go
    replace_keys_sha256: tuple[str, ...]  #: of keys (SPKI) that renewals before have made on it


class TokenJobRequestedV2(TokenJob, frozen=True, kw_only=True, tag="token-job-requested.v2"):
    """The same without key and signature. It is told no more, and may still lie on the log."""

    replace_sha256: tuple[str, ...]
    replace_keys_sha256: tuple[str, ...]


class TokenJobRequestedV1(TokenJob, frozen=True, kw_only=True, tag="token-job-requested.v1"):
    """The same without what may go. It is told no more, and may still lie on the log."""


class TokenEnrolmentRequested(
    SignedTokenJob, frozen=True, kw_only=True, tag="token-enrolment-requested.v1"
):
    """
    A blank token is to become a customer's: it has no certificate, so that none is named.

    ``token_serial``: what it tells, or is to be given where it tells none.
    """


class TokenCertificateReady(
    StationEvent, frozen=True, kw_only=True, tag="token-certificate-ready.v1"
):
    sealed: str  #: the certificate, encrypted for the branch, in base64: its subject is personal


class TokenJobEnded(StationEvent, frozen=True, kw_only=True, tag="token-job-ended.v1"):
    """The renewal is over for the station: done, refused or abandoned."""

    why: str


class TokenEvent(Event, frozen=True, kw_only=True):
    """
    A station's statement: signed with the station's own key over every other field.

    One that is not signed is read, and believed by nobody.
    """

    topic: ClassVar[Topic] = Topic.TOKENS
    renewal: str
    branch: str = ""
    station: str = ""  #: the number of the key that has signed
    token_serial: str = ""
    said_at: datetime | None = None
    station_signature: str = ""  #: Ed25519, base64

    @property
    def key(self) -> str:
        return self.renewal

    @property
    def identity(self) -> str:  # a forged one must not make the true one a fact told twice
        tag = type(self).__struct_config__.tag
        return f"{tag}:{self.renewal}:{_digest(*self._stated())}"

    def _stated(self) -> tuple[str, ...]:
        return (self.station, self.station_signature)


class TokenRequestSigned(TokenEvent, frozen=True, kw_only=True, tag="token-request-signed.v2"):
    """
    The new key is on the token; the old key, still in force, has signed for its request.
    """

    csr: str  #: PKCS#10 with an empty subject, DER in base64
    #: CMS SignedData by the old key over the confirmation, without certificates, DER in base64
    proof: str

    def _stated(self) -> tuple[str, ...]:
        return (self.csr, self.proof, self.station_signature)


class TokenWritten(TokenEvent, frozen=True, kw_only=True, tag="token-written.v2"):
    """
    The certificate was written, read back and compared; the new key has signed the challenge.
    """

    certificate_sha256: str
    signature: str  #: of the challenge, by the new key; base64

    def _stated(self) -> tuple[str, ...]:
        return (self.signature, self.station_signature)


class TokenDeclined(TokenEvent, frozen=True, kw_only=True, tag="token-declined.v2"):
    """
    The station cannot or may not go on: the customer left, the PIN is blocked, no place is free.
    """

    why: str


class StationDeed(TokenEvent, frozen=True, kw_only=True, tag="station-deed.v1"):
    """
    A line of a station's own audit trail, for the trail of the centre: what one of its clerks did.
    """

    number: int  #: of the line
    who: str  #: the clerk's account
    what: str
    note: str
    chain: str  #: of the line, as the station's file has it

    @property
    def key(self) -> str:
        return f"station-{self.station}"

    @property
    def identity(self) -> str:
        return f"station-deed.v1:{self.station}:{self.number}:{_digest(*self._stated())}"


class StationEnrolled(Event, frozen=True, kw_only=True, tag="station-enrolled.v1"):
    """
    A station has enrolled itself by its branch's code; its reader looks it up, it proves nothing.
    """

    topic: ClassVar[Topic] = Topic.TOKENS
    station: str  #: the number of its key
    enrolled_at: datetime

    @property
    def key(self) -> str:
        return f"station-{self.station}"

    @property
    def identity(self) -> str:  # with the moment: a forged one must not go before the true one
        return f"station-enrolled.v1:{self.station}:{self.enrolled_at.isoformat()}"


class TokenJobDoubted(TokenEvent, frozen=True, kw_only=True, tag="token-job-doubted.v1"):
    """
    A station has got a job that it does not believe: a false one, or one of before without a
    signature, which the centre says again if it is its own.
    """

    signed: bool  #: it had a signature, and that was not the centre's


class UnsignedTokenEvent(Event, frozen=True, kw_only=True):
    """
    What a station of before said, without its signature. It may still lie on the log.
    """

    topic: ClassVar[Topic] = Topic.TOKENS
    renewal: str

    @property
    def key(self) -> str:
        return self.renewal


class TokenRequestSignedV1(
    UnsignedTokenEvent, frozen=True, kw_only=True, tag="token-request-signed.v1"
):
    """
    The same without the station's signature; its proof covers the request alone.
    """

    token_serial: str
    csr: str  #: PKCS#10 with an empty subject, DER in base64
    proof: str  #: CMS SignedData by the old key over the CSR, without certificates, DER in base64

    @property
    def identity(self) -> str:
        return f"token-request-signed.v1:{self.renewal}:{_digest(self.csr, self.proof)}"


class TokenWrittenV1(UnsignedTokenEvent, frozen=True, kw_only=True, tag="token-written.v1"):
    """
    The same without the station's signature.
    """

    certificate_sha256: str
    signature: str  #: base64

    @property
    def identity(self) -> str:
        return f"token-written.v1:{self.renewal}:{_digest(self.signature)}"


class TokenDeclinedV1(UnsignedTokenEvent, frozen=True, kw_only=True, tag="token-declined.v1"):
    """
    The same without the station's signature.
    """

    why: str


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _leaves(kind: type[Event]) -> list[type[Event]]:
    found = [leaf for child in kind.__subclasses__() for leaf in _leaves(child)]
    return [*found, kind] if kind.__struct_config__.tag is not None and not found else found


#: Every kind of event there is.
KINDS: tuple[type[Event], ...] = tuple(_leaves(Event))
