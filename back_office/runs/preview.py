"""Says what a planned run would do: counts, fees, exclusions and when it would end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from renewal.rules import fee
from renewal.rules.run_hours import last_begun_at
from renewal.store import runs as queries
from schema.policy import Channel, FeeHow, Storage
from schema.states import RunItemState
from schema.taipei import day_of, end_of
from templates.contexts import InvitedMessage
from templates.length import segments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from renewal.db.rows import Run
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies
    from renewal.store.runs import Reach
    from templates.rendering import MessageRenderer


@dataclass(frozen=True, kw_only=True)
class PlannedMessages:
    """The invitations that customers of one product get on one channel in one language."""

    product: str
    channel: str  #: mail, sms, or "" for those whom no message reaches
    locale: str
    count: int
    segments: int  #: of one text message; 0 for a mail
    text: str  #: the first of them, with an invented serial

    @property
    def all_segments(self) -> int:
        return self.count * self.segments


@dataclass(frozen=True, kw_only=True)
class PlannedFees:
    """What the customers of one product pay if all of their items are renewed."""

    product: str
    count: int
    each: int  #: whole New Taiwan dollars, at today's fee

    @property
    def total(self) -> int:
        return self.count * self.each


@dataclass(frozen=True, kw_only=True)
class Preview:
    """Every row of the file is counted once: to begin, excluded, or refused as a row."""

    run: Run
    by_product: Mapping[str, int]  #: items that would be begun
    excluded: Mapping[str, int]  #: certificates that are left out, by reason code
    refused_rows: Mapping[str, int]  #: rows that name no certificate, by reason code
    fees: Sequence[PlannedFees]
    ends_at: datetime | None  #: when the last item would be begun, if it were started now

    @property
    def fee_total(self) -> int:
        return sum(fees.total for fees in self.fees)

    @property
    def to_begin(self) -> int:
        return sum(self.by_product.values())

    @property
    def rows(self) -> int:
        return self.to_begin + sum(self.excluded.values()) + sum(self.refused_rows.values())


def preview(work: UnitOfWork, run: int, policies: Policies) -> Preview:
    row = work.runs.get(run)
    waiting = dict(queries.products_waiting(work, run))
    excluded: dict[str, int] = {}
    for bucket in queries.buckets(work, run):
        if bucket.state in {RunItemState.REFUSED, RunItemState.SKIPPED}:
            excluded[bucket.why or ""] = excluded.get(bucket.why or "", 0) + bucket.items
    return Preview(
        run=row,
        by_product=waiting,
        excluded=excluded,
        refused_rows=dict(queries.finding_counts(work, run)),
        fees=fees_of(work, run, policies),
        ends_at=last_begun_at(
            work.at,
            sum(waiting.values()),
            per_minute=row.per_minute,
            begins_at=row.begins_at,
            ends_at=row.ends_at,
        ),
    )


def fees_of(work: UnitOfWork, run: int, policies: Policies) -> Sequence[PlannedFees]:
    """What the waiting items would cost their customers today; what is prepaid costs no more."""
    return [
        PlannedFees(product=product, count=count, each=fee_of(work, product, policies))
        for product, count in queries.products_waiting(work, run)
    ]


def fee_of(work: UnitOfWork, product: str, policies: Policies) -> int:
    """Whole New Taiwan dollars that a customer of this product pays for a renewal today."""
    policy = policies.by_product.get(product)
    if policy is None or policy.fee.how is not FeeHow.HOLD:
        return 0
    return fee.amount_at(work.at, policy)


def messages_of(
    work: UnitOfWork, run: int, policies: Policies, renderer: MessageRenderer
) -> Sequence[PlannedMessages]:
    """The invitations that the waiting items would cause now, by product, channel and language."""
    counts: dict[tuple[str, str, str], int] = {}
    for reach in queries.reach_of_waiting(work, run):
        key = (reach.product, _channel(reach), reach.locale)
        counts[key] = counts.get(key, 0) + reach.items
    return [_planned(work, policies, renderer, key, count) for key, count in sorted(counts.items())]


def _channel(reach: Reach) -> str:
    """As the notices choose: mail first, and nothing to whom has opted out."""
    if reach.opted_out:
        return ""
    if reach.mail:
        return Channel.MAIL.value
    return Channel.SMS.value if reach.mobile else ""


def _planned(
    work: UnitOfWork,
    policies: Policies,
    renderer: MessageRenderer,
    key: tuple[str, str, str],
    count: int,
) -> PlannedMessages:
    product, channel, locale = key
    text = ""
    if channel:
        example = _example(work, product, policies, locale)
        is_mail = channel == Channel.MAIL
        text = renderer.mail(example, locale).text if is_mail else renderer.sms(example, locale)
    return PlannedMessages(
        product=product,
        channel=channel,
        locale=locale,
        count=count,
        segments=segments(text) if channel == Channel.SMS else 0,
        text=text,
    )


def _example(work: UnitOfWork, product: str, policies: Policies, locale: str) -> InvitedMessage:
    """Its days and serial are invented: they have the same length in every message."""
    policy = policies.by_product.get(product)
    title = policy.title if policy else None
    today = end_of(day_of(work.at))
    in_browser = policy is None or policy.storage is Storage.BROWSER
    return InvitedMessage(
        product=(title.en if locale == "en" else title.zh) if title else product,
        serial_tail="0a1b2c",
        not_after=today,
        has_ended=False,
        renew_by=today,
        amount=fee_of(work, product, policies),
        branch="" if in_browser else "001",
    )
