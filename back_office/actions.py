"""What staff can do to certificates, renewals and dead letters; each is in the audit trail."""

from __future__ import annotations

import base64
import secrets
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from producers import certificates as producer
from producers.relay import LANES
from renewal.db.retry import retry_on_conflict
from renewal.delivery import dead_letters
from renewal.errors import NotNowError, XuqiError
from renewal.eventlog import queries as log_queries
from renewal.lifecycle import renewals, settling, tasks
from renewal.lifecycle.requests import request
from renewal.rules.serials import token_serial
from renewal.rules.statements import PUBLIC_BYTES, number_of
from renewal.rules.station_link import code_hash
from renewal.store import audit, stations
from schema.policy import Storage
from schema.reasons import EndReason, RefusalReason
from schema.states import TaskState

if TYPE_CHECKING:
    from renewal.db.engine import Store
    from renewal.db.rows import Certificate, Renewal, Task
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies
    from schema.events import Change, RevocationReason
    from schema.states import FeeState, OldState

CODE_BYTES = 13  #: of a station's code, in 21 letters and digits
CODE_LIVES = timedelta(hours=1)
MAX_BRANCH = 16  #: characters of a branch, as the columns have it
LONGEST_NAME, LONGEST_REASON = 64, 300  #: characters, as the audit trail's columns hold


@dataclass(frozen=True)
class BackOffice:
    """
    Each action is one transaction together with its line in the audit trail, decided again when
    another was first.
    """

    store: Store
    policies: Policies
    branches: frozenset[str] = frozenset()  #: none: whatever is named is taken

    @retry_on_conflict
    def ask_change(
        self,
        certificate: int,
        change: Change,
        reason: RevocationReason | None = None,
        /,
        *,
        who: str,
        why: str,
    ) -> None:
        """Ask for a certificate to be suspended, resumed or revoked, this for a reason."""
        with self.store.transaction() as work:
            must_say_why(who, why)
            object_ = f"certificate {certificate}"
            did = change.value if reason is None else f"{change.value}: {reason.value}"
            audit.write(work, who=who, did=did, object_=object_, why=why)
            row = work.certificates.get(certificate)
            producer.change_requested(work, row, change, reason)

    @retry_on_conflict
    def start(
        self, certificate: int, *, who: str, why: str, branch: str | None
    ) -> Renewal | RefusalReason:
        """Start a renewal in a customer's name."""
        with self.store.transaction() as work:
            must_say_why(who, why)
            object_ = f"certificate {certificate}"
            audit.write(work, who=who, did="start renewal", object_=object_, why=why)
            row = work.certificates.get(certificate)
            self.check_branch(row, branch)
            return request(work, row, self.policies, branch=branch)

    @retry_on_conflict
    def replace_token(
        self, certificate: int, blank_token: str, *, who: str, why: str, branch: str | None
    ) -> Renewal | RefusalReason:
        """
        Order a blank token for the holder of a certificate whose token is lost or broken.

        The station of the branch prepares it and makes a new key on it; the certificate before is
        revoked once the new one is proven, as after each renewal.
        """
        with self.store.transaction() as work:
            must_say_why(who, why)
            serial = token_serial(blank_token)
            object_ = f"certificate {certificate}, token {serial}"
            audit.write(work, who=who, did="replace token", object_=object_, why=why)
            row = work.certificates.get(certificate)
            self.check_branch(row, branch)
            return request(work, row, self.policies, branch=branch, blank_token=serial)

    def check_branch(self, certificate: Certificate, branch: str | None) -> None:
        """A job for a branch without a station would wait for ever (F7)."""
        there = branch in self.branches if self.branches else 0 < len(branch or "") <= MAX_BRANCH
        if branch is not None and not there:
            known = ", ".join(sorted(self.branches))
            reason = RefusalReason.UNKNOWN_BRANCH.why(branch=branch[:MAX_BRANCH], known=known)
            raise NotNowError(reason, f"certificate {certificate.id}")
        policy = self.policies.by_product.get(certificate.product)
        if branch is None and policy is not None and policy.storage is not Storage.BROWSER:
            raise NotNowError(RefusalReason.NO_BRANCH, f"certificate {certificate.id}")

    @retry_on_conflict
    def begin_import(self, what: str, *, which: str, who: str) -> None:
        """Put on record that somebody takes a file in, before the first row of it."""
        with self.store.transaction() as work:
            must_say_why(who, which)
            audit.write(work, who=who, did=f"import {what}", object_=which, why="taken in")

    @retry_on_conflict
    def enrol_station(self, branch: str, public_key: bytes, *, who: str, why: str) -> str:
        """
        Believe what this key (Ed25519, 32 bytes) signs for the branch; return the key's number.

        Raises:
            UnknownStationError: it was revoked, or is another branch's.
            XuqiError: it is no such key, or no branch.
        """
        if len(public_key) != PUBLIC_BYTES:
            raise XuqiError(f"a station's public key has {PUBLIC_BYTES} bytes (Ed25519)")
        number = number_of(public_key)
        with self.store.transaction() as work:
            must_say_why(who, why)
            object_ = f"station {number} of branch {branch}"
            audit.write(work, who=who, did="enrol station", object_=object_, why=why)
            stations.enrol(work, number=number, branch=branch, public_key=public_key)
        return number

    @retry_on_conflict
    def code_for_station(self, branch: str, *, who: str, why: str) -> str:
        """Make a code by which one station of the branch enrols itself within the hour."""
        if self.branches and branch not in self.branches:
            known = ", ".join(sorted(self.branches))
            reason = RefusalReason.UNKNOWN_BRANCH.why(branch=branch, known=known)
            raise NotNowError(reason, f"branch {branch}")
        plain = base64.b32encode(secrets.token_bytes(CODE_BYTES)).decode().rstrip("=")
        code = "-".join(plain[at : at + 4] for at in range(0, len(plain), 4))
        with self.store.transaction() as work:
            must_say_why(who, why)
            audit.write(work, who=who, did="station code", object_=f"branch {branch}", why=why)
            stations.add_code(
                work,
                code_hash=code_hash(code),
                branch=branch,
                made_by=who,
                expires_at=work.at + CODE_LIVES,
            )
        return code

    @retry_on_conflict
    def revoke_station(self, number: str, *, who: str, why: str) -> None:
        """
        Believe nothing that this key signs, from now on.

        Raises:
            UnknownStationError
        """
        with self.store.transaction() as work:
            must_say_why(who, why)
            audit.write(work, who=who, did="revoke station", object_=f"station {number}", why=why)
            stations.revoke(work, number)

    @retry_on_conflict
    def end(self, renewal: str, *, who: str, why: str) -> None:
        """
        End a renewal for good: what is held is given back, what was issued is taken back.

        While the bank or the CA is being asked it cannot be ended, unless the machine has
        given up asking: see its dead letters, and find out first what they have done.

        Raises:
            NotNowError
        """
        with self.store.transaction() as work:
            must_say_why(who, why)
            audit.write(work, who=who, did="end renewal", object_=f"renewal {renewal}", why=why)
            row = work.renewals.get(renewal)
            waits = row.state in renewals.WAITS_FOR_CUSTOMER
            if not waits and not _given_up(work, row.id):
                raise NotNowError(RefusalReason.IN_PROGRESS.why(renewal_state=row.state), row.id)
            renewals.refuse(work, row, EndReason.ENDED_BY_STAFF.why(note=why), self.policies)

    @retry_on_conflict
    def settle_fee(self, renewal: str, to: FeeState, *, who: str, why: str) -> Renewal:
        """
        Settle by hand what has become of a renewal's fee, once the machine has given it up.

        Raises:
            NotNowError: the machine is still at it, or the fee cannot become that.
        """
        with self.store.transaction() as work:
            must_say_why(who, why)
            object_ = f"renewal {renewal}"
            audit.write(work, who=who, did=f"settle fee: {to.value}", object_=object_, why=why)
            row = work.renewals.get(renewal)
            self._check_given_up(work, row, "billing")
            settling.settle_fee(work, row, to, why, self.policies)
            dead_letters.close_of(work, "billing", row.id)
            return work.renewals.get(renewal)

    @retry_on_conflict
    def settle_old(self, renewal: str, to: OldState, *, who: str, why: str) -> Renewal:
        """
        Settle by hand what has become of the certificate that a renewal replaces.

        Raises:
            NotNowError: the machine is still at it, or the new certificate is not in force.
        """
        with self.store.transaction() as work:
            must_say_why(who, why)
            did = f"settle old certificate: {to.value}"
            audit.write(work, who=who, did=did, object_=f"renewal {renewal}", why=why)
            row = work.renewals.get(renewal)
            self._check_given_up(work, row, "revocation")
            settling.settle_old(work, row, to, why)
            dead_letters.close_of(work, "revocation", row.id)
            return work.renewals.get(renewal)

    def _check_given_up(self, work: UnitOfWork, row: Renewal, consumer: str) -> None:
        if not dead_letters.open_of(work, consumer, row.id):
            raise NotNowError(RefusalReason.NOT_GIVEN_UP, row.id)

    @retry_on_conflict
    def end_task(self, task: int, *, who: str, why: str, needed: bool = True) -> Task:
        """Say that a task at another CA is done there, or is not needed."""
        with self.store.transaction() as work:
            must_say_why(who, why)
            did = "task done" if needed else "task not needed"
            audit.write(work, who=who, did=did, object_=f"task {task}", why=why)
            row = work.tasks.get(task)
            if row.state != TaskState.OPEN:
                raise NotNowError(RefusalReason.TASK_ENDED, f"task {task}")
            if needed:
                tasks.done(work, row, self.policies, who=who, why=why)
            else:
                tasks.not_needed(work, row, who=who, why=why)
            return work.tasks.get(task)

    @retry_on_conflict
    def replay_dead_letter(self, letter: int, *, who: str, why: str) -> None:
        with self.store.transaction() as work:
            must_say_why(who, why)
            audit.write(work, who=who, did="replay", object_=f"dead letter {letter}", why=why)
            dead_letters.replay(work, letter)

    @retry_on_conflict
    def relay_again(self, first: int, *, who: str, why: str) -> None:
        """
        Let the relays tell again what stands in the outbox from that place on. What a consumer has
        dealt with is in its inbox, and is not done again.

        Raises:
            NotNowError: a relay is at work: it would move its place on.
        """
        with ExitStack() as kept, self.store.transaction() as work:
            must_say_why(who, why)
            for lane in LANES:
                lane_lock = self.store.advisory_lock(lane)
                kept.callback(lane_lock.close)
                if not lane_lock.acquire():
                    raise NotNowError(RefusalReason.RELAY_AT_WORK, lane)
            audit.write(work, who=who, did="relay again", object_=f"from event {first}", why=why)
            log_queries.rewind(work, LANES, first - 1)


def _given_up(work: UnitOfWork, renewal: str) -> bool:
    """Whether the bank's or the CA's consumer has given up an event of the renewal."""
    return any(dead_letters.open_of(work, name, renewal) for name in ("billing", "issuance"))


def must_say_why(who: str, why: str) -> None:
    """
    Raises:
        XuqiError: one of them is empty, or too long for the audit trail.
    """
    if not who.strip() or len(who) > LONGEST_NAME:
        raise XuqiError(f"say who: a name of at most {LONGEST_NAME} characters")
    if not why.strip() or len(why) > LONGEST_REASON:
        raise XuqiError(
            f"say why, in at most {LONGEST_REASON} characters: the audit trail keeps the reason"
        )
