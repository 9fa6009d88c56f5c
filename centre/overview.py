"""What a customer has: each certificate with its window and exactly one thing to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from renewal.lifecycle import applications
from renewal.lifecycle.renewals import is_application
from renewal.rules import mask
from renewal.rules.window import Phase, closes_at, opens_at, phase_at
from renewal.store import certificates as certificate_queries
from renewal.store import key_copies, people
from renewal.store import renewals as renewal_queries
from schema.policy import FeeHow, Storage

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from renewal.db.rows import Certificate, Payment, Renewal
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies
    from renewal.store.key_copies import KeyCopy
    from schema.policy import Policy

SHOWN_OF_SERIAL = 8  #: hex digits, as the lists have them


class LineState(StrEnum):
    DUE = "due"
    UNDER_WAY = "under way"
    NORMAL = "normal"
    SUSPENDED = "suspended"
    EXPIRED = "expired"
    REVOKED = "revoked"
    PENDING = "pending"


class Do(StrEnum):
    """The one action of a row."""

    RENEW = "renew"
    GO_ON = "go on"
    BACK_UP = "back up"
    PAY = "pay"
    REVOKE = "revoke"
    SUSPEND = "suspend"
    APPLY = "apply"
    BRANCH = "branch"  #: nothing can be done online


@dataclass(frozen=True, kw_only=True)
class Line:
    """A certificate as its customer sees it."""

    certificate: int
    product: str
    product_zh: str
    product_en: str
    storage: Storage
    serial: str
    format: str
    spki: str  #: SHA-256, hex: by it a browser knows its own
    token_serial: str | None
    not_before: datetime
    not_after: datetime
    opens_at: datetime
    closes_at: datetime
    state: LineState
    do: Do
    days_left: int
    renewal: str | None  #: the one under way
    is_paid: bool
    in_force: bool


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A product that the customer has an account for, and no certificate of."""

    product: str
    product_zh: str
    product_en: str
    storage: Storage
    do: Do  #: apply, go on or branch
    application: str | None  #: the one under way


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A key in a browser, and the certificate that belongs to it."""

    id: str
    device: str
    spki: str
    line: Line | None
    backed_up: bool


@dataclass(frozen=True, kw_only=True)
class Overview:
    name: str  #: masked
    id_number: str  #: masked
    mobile: str  #: masked
    lines: Sequence[Line]  #: one for each slot
    older: Sequence[Line]  #: what else the slots have held
    offers: Sequence[Offer]
    copies: Sequence[Copy]


def overview(look: UnitOfWork, customer: int, policies: Policies) -> Overview:
    """Everything of one customer, as it stands at this moment."""
    person = look.customers.get(customer)
    theirs = certificate_queries.of_customers(look, [customer])
    copies = key_copies.of_customer(look, customer)
    unsafe = {copy.spki_sha256 for copy in copies if copy.backed_up_at is None}
    chosen = _newest_of_each_slot(theirs)
    held = {one.product for one in theirs if one.id in chosen}
    lines = [
        line_of(
            look,
            one,
            policies,
            is_unsafe=one.spki_sha256 in unsafe,
            is_newest=one.id in chosen,
        )
        for one in theirs
    ]
    mobile = look.cipher.open_text(person.mobile_sealed, "customers.mobile", person.id) if (
        person.mobile_sealed
    ) else ""  # fmt: skip
    return Overview(
        name=mask.name(look.cipher.open_text(person.name_sealed, "customers.name", person.id)),
        id_number=mask.id_number(
            look.cipher.open_text(person.id_number_sealed, "customers.id_number", person.id)
        ),
        mobile=mask.phone(mobile) if mobile else "",
        lines=[line for line in lines if line.certificate in chosen],
        older=[line for line in lines if line.certificate not in chosen],
        copies=[_copy(copy, lines) for copy in copies],
        offers=_offers(look, customer, policies, held),
    )


def _offers(
    look: UnitOfWork, customer: int, policies: Policies, held: Collection[str]
) -> Sequence[Offer]:
    enrolled = people.enrolments_of(look, customer)
    return [
        _offer(look, customer, policies.of(one.product))
        for one in enrolled
        if one.product not in held and one.product in policies.by_product
    ]


def _offer(look: UnitOfWork, customer: int, policy: Policy) -> Offer:
    under_way = applications.under_way(look, customer, policy.product)
    online = Do.BRANCH if policy.apply is None else Do.APPLY
    return Offer(
        product=policy.product,
        product_zh=policy.title.zh,
        product_en=policy.title.en,
        storage=policy.storage,
        do=online if under_way is None else Do.GO_ON,
        application=under_way.id if under_way else None,
    )


def _newest_of_each_slot(certificates: Sequence[Certificate]) -> set[int]:
    """The one in force in each slot, else the one that ends last."""
    best: dict[str, Certificate] = {}
    for one in certificates:
        if one.state == "pending":
            continue
        known = best.get(one.slot)
        if known is None or _weight(one) > _weight(known):
            best[one.slot] = one
    return {one.id for one in best.values()}


def _weight(certificate: Certificate) -> tuple[bool, datetime]:
    return certificate.state in {"active", "suspended"}, certificate.not_after


def _copy(copy: KeyCopy, lines: Sequence[Line]) -> Copy:
    spki = copy.spki_sha256.hex()
    return Copy(
        id=copy.id,
        device=copy.device,
        spki=spki,
        line=next((line for line in lines if line.spki == spki), None),
        backed_up=copy.backed_up_at is not None,
    )


def line_of(
    look: UnitOfWork,
    certificate: Certificate,
    policies: Policies,
    *,
    is_unsafe: bool = False,
    is_newest: bool = True,
) -> Line:
    """
    ``is_unsafe``: its key is in a browser that may lose it, and nowhere else. ``is_newest``: of
    its slot; where it has ended, another is applied for.
    """
    policy = policies.of(certificate.product)
    phase = phase_at(look.at, certificate.not_after, policy.window)
    under_way = renewal_queries.open_in_slot(look, certificate.slot)
    applied = _applied_instead(under_way, certificate, is_newest=is_newest)
    if under_way is not None and (
        under_way.certificate != certificate.id or is_application(under_way)
    ):
        under_way = None
    payment = renewal_queries.payment_of(look, certificate.id, "asked", "paid", "reserved")
    state = state_of(certificate.state, phase, is_under_way=under_way is not None)
    return Line(
        certificate=certificate.id,
        product=certificate.product,
        product_zh=policy.title.zh,
        product_en=policy.title.en,
        storage=policy.storage,
        serial=certificate.serial[-SHOWN_OF_SERIAL:].upper(),
        format=format_of(
            look.cipher.open(certificate.der_sealed, "certificates.der", certificate.id)
        ),
        spki=certificate.spki_sha256.hex(),
        token_serial=certificate.token_serial,
        not_before=certificate.not_before,
        not_after=certificate.not_after,
        opens_at=opens_at(certificate.not_after, policy.window),
        closes_at=closes_at(certificate.not_after, policy.window),
        state=state,
        do=Do.BACK_UP
        if is_unsafe and certificate.state == "active"
        else action_of(state, policy, under_way or applied, payment, is_newest=is_newest),
        days_left=(certificate.not_after - look.at).days,
        renewal=next((one.id for one in (under_way, applied) if one), None),
        is_paid=payment is not None,
        in_force=certificate.state == "active" and certificate.not_after >= look.at,
    )


def _applied_instead(
    under_way: Renewal | None, certificate: Certificate, *, is_newest: bool
) -> Renewal | None:
    """The application for this certificate, or for one after it has ended."""
    if under_way is None or not is_application(under_way) or certificate.state == "active":
        return None
    return under_way if is_newest or under_way.certificate == certificate.id else None


def state_of(state: str, phase: Phase, *, is_under_way: bool) -> LineState:
    """What a customer is told of a certificate's state."""
    pending = {
        "pending": LineState.PENDING,
        "suspended": LineState.SUSPENDED,
        "superseded": LineState.REVOKED,
        "revoked": LineState.REVOKED,
    }.get(state)
    if pending is not None:
        return pending
    if is_under_way:
        return LineState.UNDER_WAY
    return {Phase.BEFORE: LineState.NORMAL, Phase.OPEN: LineState.DUE}.get(phase, LineState.EXPIRED)


def action_of(
    state: LineState,
    policy: Policy,
    under_way: Renewal | None,
    payment: Payment | None,
    *,
    is_newest: bool = True,
) -> Do:
    """The one thing to do about a certificate now."""
    if under_way is not None:
        return Do.GO_ON
    if state is LineState.DUE:
        unpaid = policy.fee.how is FeeHow.PREPAID and payment is None
        return Do.PAY if unpaid else Do.RENEW
    if state is LineState.NORMAL:
        return Do.REVOKE if policy.storage is Storage.BROWSER else Do.SUSPEND
    over = is_newest and state in {LineState.EXPIRED, LineState.REVOKED}
    return Do.APPLY if over and policy.apply is not None else Do.BRANCH


def format_of(der: bytes) -> str:
    """How lists name the kind of key: EC+ or RSA."""
    key = x509.load_der_x509_certificate(der).public_key()
    return "EC+" if isinstance(key, ec.EllipticCurvePublicKey) else "RSA"
