"""The rows of the tables as frozen values, one field for each column in order."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - msgspec reads the annotations
from typing import ClassVar

import msgspec
import sqlalchemy as sa  # noqa: TC002 - msgspec reads the annotations

from schema.states import CertificateState
from schema.tables.books import payments
from schema.tables.people import certificates, customers, enrolments, replaced_addresses
from schema.tables.renewals import challenges, messages, renewals
from schema.tables.runs import run_items, runs
from schema.tables.tasks import tasks
from schema.tables.tokens import recordings, tokens


class Row(msgspec.Struct, frozen=True):
    table: ClassVar[sa.Table]

    def written_last(self) -> bool:
        """
        Whether it takes a unique slot that another row of the same flush may have to free first.
        """
        return True


class Customer(Row, frozen=True):
    table: ClassVar[sa.Table] = customers

    id: int
    reference_hash: bytes
    id_number_sealed: bytes
    id_number_hash: bytes
    name_sealed: bytes
    mobile_sealed: bytes | None
    mobile_hash: bytes | None
    mail_sealed: bytes | None
    mail_hash: bytes | None
    mobile_bad: str | None
    mail_bad: str | None
    locale: str
    opted_out: bool
    contact_version: int
    version: int
    mobile_bad_until: datetime | None = None
    mail_bad_until: datetime | None = None
    codes_bad: str | None = None
    codes_bad_until: datetime | None = None
    reference_sealed: bytes | None = None


class ReplacedAddress(Row, frozen=True):
    table: ClassVar[sa.Table] = replaced_addresses

    customer: int
    contact_version: int
    channel: str
    address_sealed: bytes
    address_hash: bytes
    replaced_at: datetime

    @property
    def sealed_row(self) -> str:
        """What its sealed value is bound to."""
        return f"{self.customer}/{self.contact_version}/{self.channel}"


class Enrolment(Row, frozen=True):
    table: ClassVar[sa.Table] = enrolments

    customer: int
    product: str
    customer_class: int
    operator: str
    branch: str | None
    account_sealed: bytes | None
    version: int

    @property
    def sealed_row(self) -> str:
        """What its sealed value is bound to."""
        return f"{self.customer}/{self.product}"


class Certificate(Row, frozen=True):
    table: ClassVar[sa.Table] = certificates

    id: int
    customer: int | None
    product: str
    slot: str
    token_serial: str | None
    issuer_hash: bytes
    serial: str
    spki_sha256: bytes
    certificate_sha256: bytes
    not_before: datetime
    not_after: datetime
    state: str
    renewal: str | None
    der_sealed: bytes
    announced_at: datetime | None
    left_at: datetime | None
    told: int | None
    remind_at: datetime | None
    changes: int
    version: int
    verified: bool | None = None

    def written_last(self) -> bool:
        return self.state in {CertificateState.ACTIVE, CertificateState.SUSPENDED}


class Renewal(Row, frozen=True):
    table: ClassVar[sa.Table] = renewals

    id: str
    certificate: int
    customer: int
    product: str
    slot: str
    state: str
    branch: str | None
    requested_at: datetime
    moved_at: datetime
    terms_sha256: bytes | None
    csr: bytes | None
    spki_sha256: bytes | None
    proof: bytes | None
    challenge: bytes
    new_certificate: int | None
    not_before: datetime | None
    not_after: datetime | None
    fee_amount: int
    fee_state: str
    fee_account_sealed: bytes | None
    old_state: str
    why: str | None
    collected_told: int | None
    version: int
    blank_token: str | None = None


class Challenge(Row, frozen=True):
    table: ClassVar[sa.Table] = challenges

    id: str
    customer: int
    action: str
    certificate: int
    session_hash: bytes
    contact_version: int
    mobile_hash: bytes | None
    fingerprint: bytes
    issued_at: datetime
    expires_at: datetime
    tries: int
    most_tries: int
    used_at: datetime | None
    superseded_at: datetime | None
    secret_sealed: bytes | None = None
    issued_boot: str | None = None
    issued_ran: int | None = None  #: microseconds


class Message(Row, frozen=True):
    table: ClassVar[sa.Table] = messages

    id: str
    kind: str
    customer: int
    channel: str
    state: str
    owed_at: datetime
    claimed_at: datetime | None
    handed_at: datetime | None
    ended_at: datetime | None
    carrier_id: str | None
    code: str
    text_hash: bytes
    instead_of: str | None
    renewal: str | None
    version: int
    address_hash: bytes | None = None
    about: bytes | None = None


class Payment(Row, frozen=True):
    table: ClassVar[sa.Table] = payments

    id: str
    customer: int
    certificate: int
    amount: int
    pays_for: str
    state: str
    renewal: str | None
    asked_at: datetime
    version: int
    account_sealed: bytes | None = None


class Run(Row, frozen=True):
    table: ClassVar[sa.Table] = runs

    id: int
    name: str
    state: str
    source: str
    source_sha256: bytes | None
    made_by: str
    made_at: datetime
    refused_rows: int
    submitted_by: str | None
    submitted_at: datetime | None
    manifest_sha256: bytes | None
    approved_by: str | None
    seconded_by: str | None
    approved_at: datetime | None
    started_at: datetime | None
    advanced_at: datetime | None
    ended_at: datetime | None
    per_minute: int
    begins_at: str
    ends_at: str
    canary: int
    canary_passed: bool
    why: str | None
    why_parameters: str | None
    version: int


class RunItem(Row, frozen=True):
    table: ClassVar[sa.Table] = run_items

    run: int
    number: int
    certificate: int
    branch: str | None
    state: str
    renewal: str | None
    why: str | None
    why_parameters: str | None
    moved_at: datetime
    version: int


class Task(Row, frozen=True):
    table: ClassVar[sa.Table] = tasks

    id: int
    certificate: int
    change: str
    number: int
    renewal: str | None
    state: str
    opened_at: datetime
    ended_at: datetime | None
    ended_by: str | None
    why: str | None
    version: int


class Token(Row, frozen=True):
    table: ClassVar[sa.Table] = tokens

    serial: str
    customer: int | None
    branch: str | None
    state: str
    moves: int
    moved_at: datetime
    version: int


class Recording(Row, frozen=True):
    table: ClassVar[sa.Table] = recordings

    renewal: str
    certificate: int
    branch: str | None
    state: str
    opened_at: datetime
    due_at: datetime
    recorded_at: datetime | None
    recorded_by: str | None
    codes_sealed: bytes | None
    version: int
