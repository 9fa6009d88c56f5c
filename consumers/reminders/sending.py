"""Carries a reminder to its carrier, if it still matters and has not gone before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from consumers.outbound import (
    CARRIER_AWAY,
    Carriers,
    HandedOver,
    SendFailed,
    Withheld,
    find_sent,
    send,
    withheld,
)
from consumers.reminders.orders import ReminderMoot, SendReminder
from renewal.errors import GatewayUnavailableError
from renewal.gateways.sms.port import GatewayMisconfiguredError
from renewal.outcome import Retry, why_away
from renewal.store import renewals as renewal_queries
from schema.reasons import OutcomeReason, SuppressionReason
from schema.states import CertificateState

if TYPE_CHECKING:
    from consumers.reminders.channels import ChannelSelector, Fallback
    from consumers.reminders.due import DueReminders
    from renewal.db.engine import Store

#: A carrier that is away so long, a week-end say, is waited for as long as there is time; then
#: the reminder takes another channel or, where there is none, each try counts.
MAX_OUTAGE = timedelta(days=3)
MAX_OUTAGE_RETRY = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class ReminderSender:
    carriers: Carriers
    store: Store
    due: DueReminders
    channels: ChannelSelector

    def carry_out(
        self, order: SendReminder
    ) -> HandedOver | SendFailed | ReminderMoot | Withheld | Retry:
        try:
            return self._carried_out(order)
        except GatewayMisconfiguredError as error:
            return withheld(error)

    def _carried_out(self, order: SendReminder) -> HandedOver | SendFailed | ReminderMoot | Retry:
        wanted, now = self._wanted(order)  # asked again just before sending
        if len(wanted) < len(order.certificates) or order.moot:
            before = find_sent(self.carriers, order.out)
            if before is None and wanted:
                return Retry(timedelta(0), OutcomeReason.PARTLY_MOOT.why(), spends_a_try=False)
            return before or ReminderMoot(order.moot or SuppressionReason.RENEWED_MEANWHILE)
        try:
            before = find_sent(self.carriers, order.out)
        except GatewayUnavailableError as error:  # it may have been handed over: no other channel
            return self._away(order, error, now, None)
        if before is not None:
            return before
        try:
            return send(self.carriers, replace(order.out, inquire_first=False))
        except GatewayUnavailableError as error:  # it was not, neither now nor before
            return self._away(order, error, now, order.fallback)

    def _away(
        self,
        order: SendReminder,
        error: GatewayUnavailableError,
        now: datetime,
        way_out: Fallback | None,
    ) -> SendFailed | Retry:
        """
        Retry the carrier as long as there is time, and then use another one.

        Raises:
            GatewayUnavailableError: there is no other; from now on it spends tries.
        """
        waited = now - order.claimed_at
        after = min(max(error.retry_after, waited / 4), MAX_OUTAGE_RETRY)
        patient = waited <= MAX_OUTAGE or not error.spends_a_try
        if self.channels.should_switch(way_out, now, now + after, patient=patient):
            return SendFailed(CARRIER_AWAY)
        if patient and error.spends_a_try:
            return Retry(after, why_away(error), spends_a_try=False)
        raise error

    def _wanted(self, order: SendReminder) -> tuple[set[int], datetime]:
        with self.store.snapshot() as work:
            work.certificates.load(order.certificates)
            found = [work.certificates.get(key) for key in order.certificates]
            busy = renewal_queries.taken_up(work, order.certificates)
            if any(self.due.is_prepaid(one) for one in found):
                busy |= renewal_queries.paid_for(work, order.certificates)
        return {one.id for one in found if one.state == CertificateState.ACTIVE} - busy, work.at
