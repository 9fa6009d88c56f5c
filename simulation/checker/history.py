"""The history that the activity logs make together: which row belongs to which."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from simulation import activity_logs
from simulation.activity_logs import (
    ActivityRow,
    BookingLine,
    CaAct,
    CardAct,
    CustomerAct,
    SentMail,
    SentSms,
    UnreadableLine,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from pathlib import Path

    from schema.policy import Policy

K = TypeVar("K")
V = TypeVar("V")

ACCEPTED = "ok"
RENEWAL = re.compile(r"^R\d{8,}-\d{2,}$")
PAYMENT = re.compile(r"^P\d{8,}-\d{2,}$")
NUMBERED = re.compile(r"CN=(?P<person>[^,]+)-00-(?P<number>\d{6})(,|$)")


@dataclass(frozen=True, kw_only=True)
class Violation:
    """An invariant that does not hold, or a ledger that cannot be read."""

    invariant: str  #: I1 .. I7, or ``ledger``
    what: str
    where: tuple[str, ...]  #: file:line


def broken(invariant: str, what: str, *rows: ActivityRow) -> Violation:
    return Violation(invariant=invariant, what=what, where=tuple(row.place for row in rows))


@dataclass(frozen=True, kw_only=True)
class History:
    """The six ledgers, and nothing of ours but the policies that the customers were promised."""

    sms: list[SentSms]
    mail: list[SentMail]
    ca: list[CaAct]
    bank: list[BookingLine]
    cards: list[CardAct]
    customers: list[CustomerAct]
    policies: Mapping[str, Policy]
    ended: bool
    unreachable: frozenset[str | int]
    unreadable: list[UnreadableLine]

    # --- time -----------------------------------------------------------------------------------

    @cached_property
    def begins(self) -> datetime | None:
        """When the story begins: what is seeded lies before it."""
        rows = [*self.sms, *self.mail, *self.bank, *self.customers]
        rows += [deed for deed in self.ca if deed.request_id is not None]
        return min((row.at for row in rows), default=None)

    @cached_property
    def ends(self) -> datetime | None:
        rows = [*self.sms, *self.mail, *self.bank, *self.customers, *self.ca, *self.cards]
        return max((row.at for row in rows), default=None)

    # --- the CA ---------------------------------------------------------------------------------

    @cached_property
    def issues(self) -> list[CaAct]:
        return [deed for deed in self.ca if deed.op == "issue"]

    @cached_property
    def issue_of(self) -> dict[str, CaAct]:
        """By serial, the first."""
        found: dict[str, CaAct] = {}
        for deed in self.issues:
            found.setdefault(number(deed.serial), deed)
        return found

    @cached_property
    def issue_of_key(self) -> dict[str, CaAct]:
        found: dict[str, CaAct] = {}
        for deed in self.issues:
            found.setdefault(deed.spki_sha256, deed)
        return found

    @cached_property
    def issue_of_renewal(self) -> dict[str, CaAct]:
        found: dict[str, CaAct] = {}
        for deed in self.issues:
            if deed.request_id is not None:
                found.setdefault(renewal_of(deed.request_id), deed)
        return found

    @cached_property
    def deeds_on(self) -> dict[str, list[CaAct]]:
        """By serial, what the CA did after the issue."""
        return grouped((number(deed.serial), deed) for deed in self.ca if deed.op != "issue")

    def state_at(self, serial: str, moment: datetime) -> str:
        """``good``, ``on hold`` or ``revoked`` by the CA's own ledger."""
        state = "good"
        for deed in self.deeds_on.get(number(serial), ()):
            if deed.at <= moment and state != "revoked":
                state = {"revoke": "revoked", "suspend": "on hold", "resume": "good"}[deed.op]
        return state

    def in_force(self, serial: str, moment: datetime) -> bool:
        issue = self.issue_of.get(number(serial))
        return (
            issue is not None
            and issue.at <= moment
            and issue.not_before <= moment
            and moment.replace(microsecond=0) <= issue.not_after
            and self.state_at(serial, moment) == "good"
        )

    def revoked_at(self, serial: str) -> datetime | None:
        deeds = self.deeds_on.get(number(serial), ())
        return next((deed.at for deed in deeds if deed.op == "revoke"), None)

    # --- the customers --------------------------------------------------------------------------

    @cached_property
    def asked(self) -> dict[str, list[CustomerAct]]:
        """By the serial that was to be renewed: when a renewal was asked for and granted."""
        return grouped(
            (number(row.certificate), row)
            for row in self.customers
            if row.did == "asked" and (row.result == ACCEPTED or RENEWAL.match(row.result))
        )

    @cached_property
    def _asked_as(self) -> dict[str, str]:
        return {
            row.result: number(row.certificate)
            for row in self.customers
            if row.did in {"asked", "paid"}
        }

    @cached_property
    def _numbered(self) -> dict[int, str]:
        """By the number in their subject's name (<ID>-00-<number>): those that were there first."""
        found: dict[int, str] = {}
        for issue in self.issues:
            name = NUMBERED.search(issue.subject)
            if issue.request_id is None and name:
                found.setdefault(int(name["number"]), number(issue.serial))
        return found

    def old_of(self, renewal_or_payment: str) -> str | None:
        """
        The serial of the certificate that was to be renewed: as its customer says, or else the
        one with that number.
        """
        direct = self._asked_as.get(renewal_or_payment)
        return direct or self._numbered.get(int(renewal_or_payment[1:].partition("-")[0]))

    @cached_property
    def renewals_of(self) -> dict[str, list[str]]:
        """By the serial that was renewed: the renewals for which the CA issued, in order."""
        return grouped(
            (old, renewal)
            for renewal in self.issue_of_renewal
            if RENEWAL.match(renewal) and (old := self.old_of(renewal))
        )

    def granted(self, renewal: str) -> CustomerAct | None:
        """The row in which its customer asked for it: the last one before the CA issued."""
        issue, old = self.issue_of_renewal[renewal], self.old_of(renewal)
        rows = [row for row in self.asked.get(old or "", ()) if row.at <= issue.at]
        exact = [row for row in rows if row.result == renewal]
        return (exact or rows)[-1] if rows else None

    def policy_of(self, serial: str) -> Policy | None:
        rows = self.about.get(number(serial), ())
        return self.policies.get(rows[0].product) if rows else None

    @cached_property
    def about(self) -> dict[str, list[CustomerAct]]:
        """By serial: what customers did with it."""
        return grouped((number(row.certificate), row) for row in self.customers)

    @cached_property
    def rows_of(self) -> dict[tuple[str | int, str], list[CustomerAct]]:
        """By customer and product."""
        return grouped(((row.customer, row.product), row) for row in self.customers)

    def first(self, serial: str, *did: str) -> CustomerAct | None:
        rows = self.about.get(number(serial), ())
        return next((row for row in rows if row.did in did and row.result == ACCEPTED), None)

    # --- the cards ------------------------------------------------------------------------------

    @cached_property
    def card_of_key(self) -> dict[str, CardAct]:
        """By the digest of a public key: the deed that made it."""
        return {
            deed.sha256: deed
            for deed in self.cards
            if deed.op == "generate" and deed.result == "ok" and deed.sha256
        }

    @cached_property
    def deeds_of_card(self) -> dict[str, list[CardAct]]:
        return grouped((deed.card, deed) for deed in self.cards)

    def proven(self, renewal: str) -> ActivityRow | None:
        """
        The row in which the new certificate's key has signed, with the certificate in its place:
        on a card the signature after the writing; in a browser what its customer says.
        """
        issue = self.issue_of_renewal.get(renewal)
        if issue is None:
            return None
        made = self.card_of_key.get(issue.spki_sha256)
        if made is not None:
            return self._signed_after_put(made)
        return self.first(issue.serial, "proved")

    def _signed_after_put(self, made: CardAct) -> CardAct | None:
        put = False
        for deed in self.deeds_of_card[made.card]:
            if deed.at < made.at or deed.slot != made.slot or deed.result != "ok":
                continue
            if deed.op == "put":
                put = True
            elif put and deed.op == "sign" and deed.sha256 == made.sha256:
                return deed
        return None

    def delivered(self, renewal: str) -> ActivityRow | None:
        """The row in which the customer got the new certificate."""
        issue = self.issue_of_renewal.get(renewal)
        if issue is None:
            return None
        if issue.spki_sha256 in self.card_of_key:
            return self.proven(renewal)
        return self.first(issue.serial, "received", "proved")


def read_history(
    outside: Path,
    *,
    policies: Mapping[str, Policy],
    ended: bool,
    unreachable: Iterable[str | int] = (),
) -> History:
    sms, bad_sms = activity_logs.read(outside / "sms.jsonl", SentSms)
    mail, bad_mail = activity_logs.read(outside / "mail.jsonl", SentMail)
    ca, bad_ca = activity_logs.read(outside / "ca.jsonl", CaAct)
    bank, bad_bank = activity_logs.read(outside / "bank.jsonl", BookingLine)
    cards, bad_cards = activity_logs.read(outside / "cards.jsonl", CardAct)
    customers, bad_customers = activity_logs.read(outside / "customers.jsonl", CustomerAct)
    return History(
        sms=sms,
        mail=mail,
        ca=ca,
        bank=bank,
        cards=cards,
        customers=customers,
        policies=policies,
        ended=ended,
        unreachable=frozenset(unreachable),
        unreadable=[*bad_sms, *bad_mail, *bad_ca, *bad_bank, *bad_cards, *bad_customers],
    )


def number(serial: str) -> str:
    """One way to write a serial number: without leading zeros, in lower case."""
    return serial.lower().lstrip("0")


def renewal_of(request_id: str) -> str:
    """A request's id begins with the renewal's: ``R00000012-01/issue``."""
    return request_id.partition("/")[0]


def grouped(pairs: Iterable[tuple[K, V]]) -> dict[K, list[V]]:
    found: dict[K, list[V]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return dict(found)
