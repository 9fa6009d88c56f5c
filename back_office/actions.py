"""What staff can do to certificates, renewals and dead letters; each is in the audit trail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from producers import certificates as producer
from renewal import cycle
from renewal.errors import XuqiError
from renewal.store import audit, dead_letters

if TYPE_CHECKING:
    from renewal.cycle import Policies
    from renewal.rules.eligibility import Refusal
    from renewal.store.engine import Store
    from renewal.store.rows import Renewal
    from schema.events import Change


@dataclass(frozen=True)
class BackOffice:
    """
    Each action is one transaction together with its line in the audit trail.
    """

    store: Store
    policies: Policies

    def ask_change(self, certificate: int, change: Change, *, who: str, why: str) -> None:
        """
        Ask for a certificate to be suspended, resumed or revoked.
        """
        with self.store.work() as work:
            row = work.certificates.get(certificate)
            _must_say_why(why)
            audit.write(work, who=who, did=change.value, object_=f"certificate {row.id}", why=why)
            producer.change_requested(work, row, change)

    def start(
        self, certificate: int, *, who: str, why: str, branch: str | None
    ) -> Renewal | Refusal:
        """
        Start a renewal in a customer's name.
        """
        with self.store.work() as work:
            row = work.certificates.get(certificate)
            _must_say_why(why)
            audit.write(
                work, who=who, did="start renewal", object_=f"certificate {row.id}", why=why
            )
            return cycle.request(work, row, self.policies, branch=branch)

    def edit_dead_letter(self, letter: int, body: bytes, *, who: str, why: str) -> None:
        with self.store.work() as work:
            _must_say_why(why)
            audit.write(
                work, who=who, did="edit and replay", object_=f"dead letter {letter}", why=why
            )
            dead_letters.edit(work, letter, body)

    def replay_dead_letter(self, letter: int, *, who: str, why: str) -> None:
        with self.store.work() as work:
            _must_say_why(why)
            audit.write(work, who=who, did="replay", object_=f"dead letter {letter}", why=why)
            dead_letters.replay(work, letter)


def _must_say_why(why: str) -> None:
    if not why.strip():
        raise XuqiError("say why: the audit trail keeps the reason")
