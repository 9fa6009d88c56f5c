"""Sends one-time codes; the digits are derived when sent and stored nowhere."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from msgspec import structs

from consumers.message_writing import Sending, write_message
from consumers.outbound import (
    Carriers,
    HandedOver,
    OutboundMessage,
    SendFailed,
    Withheld,
    address,
    claim,
    contact,
    kept,
    record_result,
    record_suppressed,
    send,
    withheld,
)
from renewal.db.encryption import SealBrokenError, code_secrets, secret_of
from renewal.errors import GatewayUnavailableError, GatewayUnsureError
from renewal.gateways.sms.port import GatewayMisconfiguredError, Lane
from renewal.lifecycle.messages import carrier_said
from renewal.outcome import Done, IfInterrupted, Outcome, Retry, why_away, why_unsure
from renewal.rules import code, mask
from renewal.rules.suppression import Contact
from renewal.store.messages import NOT_TAKEN, own_moment
from renewal.store.subjects import product_of
from schema.events import CodeRequested, Event, Topic
from schema.policy import Channel, Purpose
from schema.reasons import DecisionKind, RefusalReason, SuppressionReason
from schema.states import MessageState
from templates.contexts import Action, CodeMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from consumers.registry import Installation
    from renewal.db.rows import Challenge, Customer
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies
    from renewal.secret import Secret
    from templates.rendering import MessageRenderer


#: Twilio advises against a validity of five seconds and less; such a code would come too late.
LEAST_LIFE = timedelta(seconds=5)
#: A code lives a minute: its carrier is asked again soon.
ASK_AGAIN = timedelta(seconds=5)


@dataclass(frozen=True)
class SendCode:
    challenge: str
    certificate: int
    outs: tuple[OutboundMessage, ...]


@dataclass(frozen=True)
class RetryLater:
    """The carrier cannot be asked now, or its answer was lost."""

    retry: Retry


@dataclass(frozen=True)
class CodeResults:
    """The carrier's answer for each message, in order."""

    each: tuple[HandedOver | SendFailed | Withheld | RetryLater, ...]


@dataclass(frozen=True, kw_only=True)
class OneTimeCodes:
    group: ClassVar[str] = "otp"
    topics: ClassVar[tuple[str, ...]] = (Topic.CODES.value,)
    kinds: ClassVar[tuple[type[Event], ...]] = (CodeRequested,)
    if_interrupted: ClassVar[IfInterrupted] = IfInterrupted.ASK  # never sent again blindly

    carriers: Carriers
    renderer: MessageRenderer
    policies: Policies
    keys: Callable[..., Mapping[int, Secret]]  #: of codes, by number

    @classmethod
    def of(cls, it: Installation) -> OneTimeCodes:
        return cls(
            carriers=it.carriers,
            renderer=it.renderer,
            policies=it.policies,
            keys=partial(it.keys.ring, "codes"),
        )

    def preload(self, events: Sequence[CodeRequested], work: UnitOfWork) -> None:
        self.carriers.gate.look(work)
        work.challenges.load(event.challenge for event in events)
        live = [work.challenges.find(event.challenge) for event in events]
        work.customers.load(challenge.customer for challenge in live if challenge)
        work.certificates.load(challenge.certificate for challenge in live if challenge)

    def prepare(
        self, event: CodeRequested, work: UnitOfWork, *, outcome_unknown: bool
    ) -> SendCode | Outcome:
        challenge = work.challenges.get(event.challenge)
        customer = work.customers.get(challenge.customer)
        too_late = challenge.expires_at <= own_moment(work, challenge) + LEAST_LIFE
        if too_late or challenge.superseded_at or challenge.used_at:
            return self._dropped(
                event, challenge, SuppressionReason.CODE_TOO_LATE, work, again=outcome_unknown
            )
        if challenge.tries >= challenge.most_tries:
            return self._dropped(
                event, challenge, SuppressionReason.CODE_LOCKED, work, again=outcome_unknown
            )
        if challenge.contact_version != customer.contact_version:  # it would not be accepted
            return self._dropped(
                event, challenge, SuppressionReason.CONTACT_CHANGED, work, again=outcome_unknown
            )
        outs = self._written(event, challenge, customer, work)
        for out in outs:
            claim(work, out, kind="code", customer=customer.id)
        if not outs:
            kind = DecisionKind.CODE_NOT_SENT
            work.record_decision(challenge.certificate, kind, RefusalReason.NO_MOBILE)
            return Done()
        # One channel may have taken its message in an earlier attempt: it is not sent there again.
        owed = [out for out in outs if work.messages.get(out.message).state == MessageState.CLAIMED]
        if not owed:
            return Done()
        asked = [replace(out, inquire_first=outcome_unknown) for out in owed]
        return SendCode(challenge.id, challenge.certificate, tuple(asked))

    def _dropped(
        self,
        event: CodeRequested,
        challenge: Challenge,
        why: SuppressionReason,
        work: UnitOfWork,
        *,
        again: bool,
    ) -> Done:
        """A late code is worse than none: it is dropped, not sent."""
        reason = why.value if again else NOT_TAKEN  # unless an attempt's end is not known
        for channel in Channel:
            if work.messages.find(_message_id(event, channel)) is not None:
                record_suppressed(work, _message_id(event, channel), reason)
        work.record_decision(challenge.certificate, DecisionKind.CODE_DROPPED, why)
        return Done()

    def _written(
        self, event: CodeRequested, challenge: Challenge, customer: Customer, work: UnitOfWork
    ) -> list[OutboundMessage]:
        product = product_of(work, challenge.certificate)
        policy = self.policies.of(product) if product else None
        rules = code.rules_for(policy, Purpose(challenge.action))
        if rules is None:
            return []
        channels = [Channel.SMS]
        if Purpose(challenge.action) in rules.mail_too_for:
            channels.append(Channel.MAIL)
        secret = self._secret(challenge)
        digits = code.digits(secret, challenge.id, event.send_number, rules.digits)
        left = challenge.expires_at - own_moment(work, challenge)
        outs = []
        for channel in channels:
            if contact(customer, channel, work.at, codes=True) is not Contact.GOOD:
                continue
            to = address(work, customer, channel)
            facts = CodeMessage(
                customer=work.cipher.open_text(customer.name_sealed, "customers.name", customer.id),
                code=digits,
                action=Action(challenge.action),
                seconds=rules.seconds,
                masked_to=mask.phone(to) if channel is Channel.SMS else mask.mail(to),
            )
            sending = Sending(
                message=_message_id(event, channel),
                channel=channel,
                lane=Lane.CODES,
                since=challenge.issued_at,
                valid_for=left,
            )
            outs.append(write_message(facts, customer, sending, renderer=self.renderer, work=work))
        return outs

    def _secret(self, challenge: Challenge) -> bytes:
        """
        The random value of this code alone. One that was made by a program of before has none.
        """
        if challenge.secret_sealed is None:
            keys = self.keys()
            return keys[min(keys)].value
        sealed, purpose = challenge.secret_sealed, secret_of(challenge.id)
        try:
            return code_secrets(self.keys()).open(sealed, purpose)
        except SealBrokenError:  # by who has read the next key before us: see ``READ_ANEW_AFTER``
            return code_secrets(self.keys(anew=True)).open(sealed, purpose)

    def carry_out(self, order: SendCode) -> CodeResults:
        return CodeResults(tuple(self._handed_over(out) for out in order.outs))

    def _handed_over(self, out: OutboundMessage) -> HandedOver | SendFailed | Withheld | RetryLater:
        """The channels are independent: a failure on one does not delay the other."""
        try:
            return send(self.carriers, out)
        except GatewayMisconfiguredError as error:
            return withheld(error, unsure=out.inquire_first)
        except GatewayUnavailableError as error:
            unsure = out.inquire_first  # what was not known before is not known now
            return RetryLater(Retry(error.retry_after, why_away(error), error.spends_a_try, unsure))
        except GatewayUnsureError as error:
            return RetryLater(Retry(ASK_AGAIN, why_unsure(error), unsure=True))

    def preload_orders(self, orders: Sequence[SendCode], work: UnitOfWork) -> None:
        work.messages.load(out.message for order in orders for out in order.outs)

    def conclude(self, order: SendCode, answer: CodeResults, work: UnitOfWork) -> Outcome:
        later = []
        for out, each in zip(order.outs, answer.each, strict=True):
            if isinstance(each, Withheld):
                later.append(kept(work, out, each))
            elif isinstance(each, RetryLater):
                later.append(each.retry)
            else:
                self._ended(order, out, each, work)
        if not later:
            return Done()
        unsure = any(retry.unsure for retry in later)
        return structs.replace(min(later, key=lambda retry: retry.after), unsure=unsure)

    def _ended(
        self, order: SendCode, out: OutboundMessage, each: HandedOver | SendFailed, work: UnitOfWork
    ) -> None:
        record_result(work, out, each, self.carriers.gate)
        failed = isinstance(each, SendFailed)
        work.record_decision(
            order.certificate,
            DecisionKind.CODE_FAILED if failed else DecisionKind.CODE_SENT,
            carrier_said(each.code) if isinstance(each, SendFailed) else None,
            channel=out.channel.value,
            message=out.message,
        )


def _message_id(event: CodeRequested, channel: Channel) -> str:
    return f"{event.challenge}-{event.send_number}-{channel.value}"
