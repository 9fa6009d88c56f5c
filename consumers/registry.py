"""The one list of consumers: by it they are made, served, measured and published."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from renewal.store import reports
from schema.codec import kind_name

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from consumers.outbound import Carriers
    from renewal.db.engine import Store
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.delivery import Consumer
    from renewal.gateways.bank.port import CoreBanking
    from renewal.gateways.ca.port import CertificationAuthority
    from renewal.keys import Keys
    from renewal.rules.contact_hours import Calendar
    from renewal.rules.first_days import FirstDays
    from renewal.rules.policies import Policies
    from renewal.store.reports import ConsumerStatus
    from templates.rendering import MessageRenderer

#: Where each consumer's class stands, by its group; in the order in which they are started, for
#: codes are in a hurry.
CONSUMERS: Mapping[str, str] = {
    "otp": "consumers.otp:OneTimeCodes",
    "billing": "consumers.billing:Billing",
    "issuance": "consumers.issuance:Issuance",
    "records": "consumers.records:Records",
    "runs": "consumers.runs:Runs",
    "revocation": "consumers.revocation:Revocation",
    "reminders": "consumers.reminders.consumer:Reminders",
    "notices": "consumers.notices:Notices",
}


class Outside(Protocol):
    """The outside systems that consumers use; each is opened on first use."""

    @property
    def ca(self) -> CertificationAuthority: ...

    @property
    def bank(self) -> CoreBanking: ...


class Installation(Protocol):
    """What a consumer is built from."""

    @property
    def store(self) -> Store: ...

    @property
    def keys(self) -> Keys: ...

    @property
    def policies(self) -> Policies: ...

    @property
    def renderer(self) -> MessageRenderer: ...

    @property
    def calendar(self) -> Calendar: ...

    @property
    def first_days(self) -> FirstDays: ...

    @property
    def carriers(self) -> Carriers: ...

    @property
    def gateways(self) -> Outside: ...


def consumer_type(group: str) -> type[Consumer]:
    """The consumer's class; its module is imported only then."""
    module, _, name = CONSUMERS[group].partition(":")
    return cast("type[Consumer]", getattr(import_module(module), name))


def consumer_types() -> tuple[type[Consumer], ...]:
    return tuple(map(consumer_type, CONSUMERS))


def standing(
    look: UnitOfWork, behind: Mapping[str, int] | None = None
) -> dict[str, ConsumerStatus]:
    """How each consumer stands. ``behind``: what the log says of them, where it is not embedded."""
    return {
        it.group: reports.consumer_status(
            look,
            it.group,
            it.topics,
            [kind_name(kind) for kind in it.kinds],
            behind=None if behind is None else behind.get(it.group, 0),
        )
        for it in consumer_types()
    }


def make_consumers(
    installation: Installation, groups: Collection[str] = CONSUMERS.keys()
) -> tuple[Consumer, ...]:
    """
    The consumers in the order in which they are started.

    Raises:
        XuqiError: an outside system of one of them cannot be opened.
    """
    kinds: list[Any] = [consumer_type(group) for group in CONSUMERS if group in groups]
    return tuple(kind.of(installation) for kind in kinds)
