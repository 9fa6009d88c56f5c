"""The rows of the tables as frozen values, field for column and in their order."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - msgspec reads the annotations

import msgspec


class Row(msgspec.Struct, frozen=True):
    pass


class Customer(Row, frozen=True):
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


class Enrolment(Row, frozen=True):
    customer: int
    product: str
    customer_class: int
    operator: str
    branch: str | None
    account_sealed: bytes | None
    version: int


class Certificate(Row, frozen=True):
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


class Renewal(Row, frozen=True):
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


class Challenge(Row, frozen=True):
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


class Message(Row, frozen=True):
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


class Payment(Row, frozen=True):
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
