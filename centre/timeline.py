"""What became of a certificate, as its customer may know it, from the stored decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from renewal.store import certificates as certificate_queries
from renewal.store import renewals as renewal_queries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from renewal.db.rows import Certificate
    from renewal.db.unit_of_work import UnitOfWork

#: What is said to a customer; what concerns our carriers, staff and CA alone is not.
TOLD = frozenset({
    "reminder/sent", "reminder/delivered", "renewal/applied for", "renewal/requested",
    "renewal/refused",
    "renewal/confirmed", "renewal/delivered", "renewal/activated", "renewal/done",
    "renewal/abandoned", "renewal/window left", "code/requested", "code/sent", "code/failed",
    "code/wrong", "code/used", "fee/payment asked", "fee/paid", "fee/payment declined",
    "fee/held", "fee/declined", "fee/captured", "fee/voided", "fee/consumed", "fee/to refund",
    "fee/refunded", "CA/issued", "CA/refused", "CA/kept", "CA/revoked", "CA/suspended",
    "CA/resumed", "CA/suspend asked", "CA/resume asked", "CA/revoke asked",
    "token/request signed", "token/refused", "token/written, read back", "token/not proven",
    "token/declined", "token/moved", "recording/due", "recording/recorded", "notice/sent",
    "statement/made",
})  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Happening:
    at: datetime
    what: str  #: about/what, as ``DecisionKind``
    channel: str | None
    renewal: str | None


@dataclass(frozen=True, kw_only=True)
class Story:
    """One certificate, the oldest happening first."""

    certificate: int
    serial: str
    product: str
    state: str
    happenings: Sequence[Happening]


def stories(look: UnitOfWork, customer: int) -> list[Story]:
    """Every certificate of the customer of which there is something to tell, the newest first."""
    theirs = certificate_queries.of_customers(look, [customer])
    shown = [_story(look, one) for one in theirs]
    return sorted(
        (story for story in shown if story.happenings),
        key=lambda story: story.happenings[-1].at,
        reverse=True,
    )


def _story(look: UnitOfWork, certificate: Certificate) -> Story:
    rows = renewal_queries.story_of(look, certificate.id)
    return Story(
        certificate=certificate.id,
        serial=certificate.serial[-8:].upper(),
        product=certificate.product,
        state=certificate.state,
        happenings=[
            Happening(
                at=row["at"],
                what=f"{row['about']}/{row['what']}",
                channel=row["channel"],
                renewal=row["renewal"],
            )
            for row in rows
            if f"{row['about']}/{row['what']}" in TOLD
        ],
    )
