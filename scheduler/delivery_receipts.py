"""Asks carriers for the missing delivery receipts of text messages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from producers import messages as producer
from renewal.db.retry import retry_on_conflict
from renewal.errors import GatewayRefusedError, GatewayUnavailableError, GatewayUnsureError
from renewal.gateways.sms.port import DeliveryReport
from renewal.store import messages as queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from renewal.db.engine import Store
    from renewal.db.rows import Message
    from renewal.gateways.sms.port import SmsGateway

PAGE = 20  #: calls between two transactions, so that a stopping process waits for few
AT_MOST = 2_000
#: A carrier tells by itself; it is asked when that is late.
ASK_AFTER = timedelta(minutes=15)
#: After so long a reminder has not arrived, whatever has become of it.
GIVE_UP_AFTER = timedelta(hours=6)

Answers = list[tuple[str, DeliveryReport, str]]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The result of one run. ``after``: where the next run begins; empty when all were asked."""

    ended: int = 0
    given_up: int = 0
    after: str = ""


def ask(
    store: Store,
    sms: SmsGateway,
    *,
    ask_after: timedelta = ASK_AFTER,
    after: str = "",
    at_most: int = AT_MOST,
) -> Asked:
    """
    Ask for the receipt of each message that was sent longer ago than ``ask_after``.

    A page is read, asked about without a transaction, and recorded in one transaction.
    """
    ended = given_up = looked_at = 0
    while looked_at < at_most:
        with store.snapshot() as look:
            page = list(queries.unreported(look, look.at - ask_after, after, PAGE))
        answers, answering = _asked(sms, page)
        heard, silent = _on_record(store, page, answers)
        ended, given_up = ended + heard, given_up + silent
        looked_at += len(page)
        if len(page) < PAGE:
            return Asked(ended=ended, given_up=given_up)
        after = page[-1].id
        if not answering:
            break
    return Asked(ended=ended, given_up=given_up, after=after)


def _asked(sms: SmsGateway, page: Sequence[Message]) -> tuple[Answers, bool]:
    """Ask about each; the second value is false as soon as the carrier cannot be asked."""
    answers: Answers = []
    for message in page:
        try:
            report, code = sms.report(message.carrier_id or "")
        except GatewayRefusedError:  # it knows no such message: the same as silence
            continue
        except (GatewayUnavailableError, GatewayUnsureError):
            return answers, False
        answers.append((message.id, report, code))
    return answers, True


@retry_on_conflict
def _on_record(store: Store, page: Sequence[Message], answers: Answers) -> tuple[int, int]:
    if not page:
        return 0, 0
    with store.transaction() as work:
        work.messages.load(message.id for message in page)
        ended = sum(producer.reported(work, *answer) for answer in answers)
        late = [
            message.id
            for message in page
            if message.handed_at and work.at - message.handed_at >= GIVE_UP_AFTER
        ]
        given_up = sum(producer.unheard_of(work, message) for message in late)
    return ended, given_up
