"""Sends one-time codes; the digits are derived when they are sent and are nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from msgspec import structs

from consumers.sending import (
    Carriers,
    Failed,
    Handed,
    Outgoing,
    address,
    claim,
    contact,
    hand_over,
    handed,
    hash_of_address,
    withdrawn,
)
from renewal.errors import GatewayUnavailableError, GatewayUnsureError
from renewal.gateways.sms.port import Lane
from renewal.outcome import Done, IfInterrupted, Outcome, Retry
from renewal.rules import code, mask
from renewal.rules.suppression import Contact
from schema.events import CodeRequested, Event, Topic
from schema.policy import Channel, Purpose
from templates.facts import Action, Code

if TYPE_CHECKING:
    from collections.abc import Sequence

    from renewal.cycle import Policies
    from renewal.secret import Secret
    from renewal.store.rows import Challenge, Customer
    from renewal.store.work import Work
    from templates.voice import Voice


#: A code lives a minute: its carrier is asked again soon.
ASK_AGAIN = timedelta(seconds=5)


@dataclass(frozen=True)
class Order:
    challenge: str
    certificate: int
    outs: tuple[Outgoing, ...]


@dataclass(frozen=True)
class Later:
    """
    The carrier cannot be asked now, or its answer was lost.
    """

    retry: Retry


@dataclass(frozen=True)
class Answer:
    """
    What the carrier said of each message, in their order.
    """

    each: tuple[Handed | Failed | Later, ...]


@dataclass(frozen=True, kw_only=True)
class OneTimeCodes:
    group: ClassVar[str] = "otp"
    topics: ClassVar[tuple[str, ...]] = (Topic.CODES.value,)
    kinds: ClassVar[tuple[type[Event], ...]] = (CodeRequested,)
    if_interrupted: ClassVar[IfInterrupted] = IfInterrupted.ASK  # never sent again blindly

    carriers: Carriers
    voice: Voice
    policies: Policies
    key_generate: Secret

    def preload(self, events: Sequence[CodeRequested], work: Work) -> None:
        work.challenges.load(event.challenge for event in events)
        live = [work.challenges.find(event.challenge) for event in events]
        work.customers.load(challenge.customer for challenge in live if challenge)
        work.certificates.load(challenge.certificate for challenge in live if challenge)

    def prepare(self, event: CodeRequested, work: Work, *, again: bool) -> Order | Outcome:
        challenge = work.challenges.get(event.challenge)
        customer = work.customers.get(challenge.customer)
        if challenge.expires_at <= work.at or challenge.superseded_at or challenge.used_at:
            return self._dropped(event, challenge, "too late", work)
        if challenge.tries >= challenge.most_tries:
            return self._dropped(event, challenge, "no tries left", work)
        if challenge.contact_version != customer.contact_version:  # it would not be accepted
            return self._dropped(event, challenge, "contact changed", work)
        outs = self._written(event, challenge, customer, work)
        for out in outs:
            claim(work, out, kind="code", customer=customer.id)
        if not outs:
            work.decide(challenge.certificate, "code", "not sent", "no mobile on file")
            return Done()
        # One channel may have taken its message in an earlier attempt: it is not sent there again.
        owed = [out for out in outs if work.messages.get(out.message).state == "claimed"]
        if not owed:
            return Done()
        asked = [replace(out, ask=again) for out in owed]
        return Order(challenge.id, challenge.certificate, tuple(asked))

    def _dropped(self, event: CodeRequested, challenge: Challenge, why: str, work: Work) -> Done:
        """
        A late code is worse than none: it is dropped, not sent.
        """
        for channel in Channel:
            if work.messages.find(_message_id(event, channel)) is not None:
                withdrawn(work, _message_id(event, channel), why)
        work.decide(challenge.certificate, "code", "dropped", why)
        return Done()

    def _written(
        self, event: CodeRequested, challenge: Challenge, customer: Customer, work: Work
    ) -> list[Outgoing]:
        certificate = work.certificates.get(challenge.certificate)
        rules = self.policies.of(certificate.product).confirm.code
        if rules is None:
            return []
        channels = [Channel.SMS]
        if Purpose(challenge.action) in rules.mail_too_for:
            channels.append(Channel.MAIL)
        digits = code.digits(self.key_generate.value, challenge.id, event.send_number, rules.digits)
        left = challenge.expires_at - work.at
        outs = []
        for channel in channels:
            if contact(customer, channel) is not Contact.GOOD:
                continue
            to = address(work, customer, channel)
            facts = Code(
                customer=work.vault.open_text(customer.name_sealed, "customers.name"),
                code=digits,
                action=Action(challenge.action),
                seconds=rules.seconds,
                masked_to=mask.phone(to) if channel is Channel.SMS else mask.mail(to),
            )
            letter = self.voice.mail(facts, customer.locale) if channel is Channel.MAIL else None
            outs.append(
                Outgoing(
                    message=_message_id(event, channel),
                    channel=channel,
                    to=to,
                    body=letter.text if letter else self.voice.sms(facts, customer.locale),
                    subject=letter.subject if letter else "",
                    html=letter.html if letter else None,
                    locale=customer.locale,
                    lane=Lane.CODES,
                    valid_for=max(left, timedelta(seconds=1)),
                    since=challenge.issued_at,
                    ask=False,
                    address_hash=hash_of_address(customer, channel),
                )
            )
        return outs

    def carry_out(self, order: Order) -> Answer:
        return Answer(tuple(self._handed_over(out) for out in order.outs))

    def _handed_over(self, out: Outgoing) -> Handed | Failed | Later:
        """
        What happens on one channel does not keep the other one waiting.
        """
        try:
            return hand_over(self.carriers, out)
        except GatewayUnavailableError as error:
            unsure = out.ask  # what was not known before is not known now
            return Later(Retry(error.retry_after, str(error), error.spends_a_try, unsure))
        except GatewayUnsureError as error:
            return Later(Retry(ASK_AGAIN, f"unsure: {error}", unsure=True))

    def preload_orders(self, orders: Sequence[Order], work: Work) -> None:
        work.messages.load(out.message for order in orders for out in order.outs)

    def conclude(self, order: Order, answer: Answer, work: Work) -> Outcome:
        for out, each in zip(order.outs, answer.each, strict=True):
            if not isinstance(each, Later):
                self._ended(order, out, each, work)
        later = [each.retry for each in answer.each if isinstance(each, Later)]
        if not later:
            return Done()
        unsure = any(retry.unsure for retry in later)
        return structs.replace(min(later, key=lambda retry: retry.after), unsure=unsure)

    def _ended(self, order: Order, out: Outgoing, each: Handed | Failed, work: Work) -> None:
        handed(work, out.message, each, out.address_hash)
        what, why = ("failed", each.code) if isinstance(each, Failed) else ("sent", "")
        work.decide(
            order.certificate, "code", what, why, channel=out.channel.value, message=out.message
        )


def _message_id(event: CodeRequested, channel: Channel) -> str:
    return f"{event.challenge}-{event.send_number}-{channel.value}"
