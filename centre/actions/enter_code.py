"""Tries a one-time code, and does what it is for in the transaction that uses it up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from centre.actions.replies import CodeAnswer, CodeResult
from renewal.db.retry import retry_on_conflict
from renewal.rules import code as code_rules
from renewal.store import alarms, throttles
from renewal.store import messages as message_queries
from renewal.store.sessions import hash_of
from renewal.store.subjects import product_of
from schema.policy import Purpose
from schema.reasons import DecisionKind, RefusalReason

if TYPE_CHECKING:
    from collections.abc import Callable

    from renewal.db.engine import Store
    from renewal.db.rows import Challenge
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.keys import Keys
    from renewal.rules.policies import Policies

DAY = timedelta(days=1)
SPAN = timedelta(hours=1)
#: Far more than a person mistypes within the span.
WRONG_IN_A_SESSION = 20
#: And of the customers that one block of network addresses has, be it a carrier's.
WRONG_IN_A_BLOCK = 60
#: Wrong codes of all customers within the span from which on somebody must look.
WRONG_OF_ALL = 200
EVERYBODY = "wrong codes"


@dataclass(frozen=True)
class Entry:
    store: Store
    policies: Policies
    keys: Keys
    block: str = ""  #: of network addresses

    def enter(
        self,
        challenge: str,
        code: str,
        *,
        session: str,
        action: str,
        certificate: int,
        then: Callable[[UnitOfWork], None] | None = None,
    ) -> CodeAnswer:
        """The try is spent before the code is looked at. ``then``: what it is for."""
        answer = self._entered(
            challenge, code, session=session, action=action, certificate=certificate, then=then
        )
        if answer.result is CodeResult.WRONG:
            self._count_wrong(session)
        return answer

    @retry_on_conflict
    def _count_wrong(self, session: str) -> None:
        """
        One guess at each of many customers spends no customer's tries: it is seen here.
        """
        with self.store.transaction() as work:
            throttles.count_one(work, _of_session(session), SPAN)
            if self.block:
                wrong = throttles.count_one(work, _of_block(self.block), SPAN)
                if wrong == WRONG_IN_A_BLOCK:
                    alarms.raise_alarm(work, alarms.Kind.GUESSES, "codes", self.block)
            if throttles.count_one(work, EVERYBODY, SPAN) == WRONG_OF_ALL:
                alarms.raise_alarm(work, alarms.Kind.GUESSES, "codes")

    def _entered(
        self,
        challenge: str,
        code: str,
        *,
        session: str,
        action: str,
        certificate: int,
        then: Callable[[UnitOfWork], None] | None,
    ) -> CodeAnswer:
        digits = code_rules.typed(code) or ""
        none = self._none_at_all(challenge, digits, session)
        if none is not None:
            return none
        spent = self._spent(challenge, session)
        if spent is None:
            return CodeAnswer(result=CodeResult.WRONG)
        return self._tried(challenge, digits, action, certificate, spent=spent, then=then)

    def _none_at_all(self, challenge: str, digits: str, session: str) -> CodeAnswer | None:
        """
        What cannot be a code, by its length, costs no try: it was typed by mistake. A session that
        was wrong so often, with whomever's codes, guesses.
        """
        with self.store.snapshot() as look:
            if throttles.count_of(look, _of_session(session), SPAN) >= WRONG_IN_A_SESSION:
                return CodeAnswer(result=CodeResult.LOCKED)
            if self.block and self._is_shut(look):
                return CodeAnswer(result=CodeResult.LOCKED)
            row = look.challenges.find(challenge)
            if row is None or not code_rules.same(row.session_hash, hash_of(session)):
                return CodeAnswer(result=CodeResult.WRONG)
            product = product_of(look, row.certificate)
            policy = self.policies.of(product) if product else None
            rules = code_rules.rules_for(policy, Purpose(row.action))
            if rules is None or len(digits) == rules.digits:
                return None
            return CodeAnswer(
                result=CodeResult.WRONG, tries_left=max(0, row.most_tries - row.tries)
            )

    def _is_shut(self, look: UnitOfWork) -> bool:
        return throttles.count_of(look, _of_block(self.block), SPAN) >= WRONG_IN_A_BLOCK

    @retry_on_conflict
    def _spent(self, challenge: str, session: str) -> bool | None:
        """Whether there was a try to spend; ``None``: not on this session's code."""
        with self.store.transaction() as work:
            row = work.challenges.find(challenge)
            # Whoever guesses a challenge's id from another session cannot spend its tries.
            if row is None or not code_rules.same(row.session_hash, hash_of(session)):
                return None
            return message_queries.spend_a_try(work, row)

    @retry_on_conflict
    def _tried(
        self,
        challenge: str,
        code: str,
        action: str,
        certificate: int,
        *,
        spent: bool,
        then: Callable[[UnitOfWork], None] | None,
    ) -> CodeAnswer:
        with self.store.transaction() as work:
            row = work.challenges.get(challenge)
            left = row.most_tries - row.tries
            verdict = self._judged(row, work, spent=spent)
            if verdict is None and not self._is_right(row, code, action, certificate, work):
                why = RefusalReason.CODE_WRONG.why(tries_left=left)
                work.record_decision(row.certificate, DecisionKind.CODE_WRONG, why)
                verdict = CodeResult.WRONG if left else CodeResult.LOCKED
            if verdict is None and not message_queries.use(work, row):
                verdict = CodeResult.EXPIRED
            if verdict is None:
                work.record_decision(row.certificate, DecisionKind.CODE_USED)
                if then is not None:
                    then(work)
            return CodeAnswer(result=verdict or CodeResult.RIGHT, tries_left=left)

    def _judged(self, row: Challenge, work: UnitOfWork, *, spent: bool) -> CodeResult | None:
        """What is said whatever was entered."""
        if not spent:
            locked = row.tries >= row.most_tries and row.used_at is None
            return CodeResult.LOCKED if locked else CodeResult.EXPIRED
        # This try is counted with them. Failures are counted over all codes of the customer.
        failures = message_queries.wrong_tries(work, row.customer, row.action, work.at - DAY) - 1
        if not code_rules.is_locked(failures):
            return None
        why = RefusalReason.CODE_LOCKED
        work.record_decision(row.certificate, DecisionKind.CODE_REFUSED, why)
        return CodeResult.LOCKED

    def _is_right(
        self, row: Challenge, code: str, action: str, certificate: int, work: UnitOfWork
    ) -> bool:
        """Right only for the action, certificate and contact that it was made for."""
        customer = work.customers.get(row.customer)
        bound = (
            row.action == action
            and row.certificate == certificate
            and row.contact_version == customer.contact_version
        )
        # The process that has made it may have read the next pepper before us.
        return (self._fits(row, code) or self._fits(row, code, anew=True)) and bound

    def _fits(self, row: Challenge, code: str, *, anew: bool = False) -> bool:
        # One that was replaced is still of codes sent.
        peppers = self.keys.ring("pepper", anew=anew).values()
        entered = [code_rules.fingerprint(pepper.value, row.id, code) for pepper in peppers]
        fits = [code_rules.same(one, row.fingerprint) for one in entered]  # each, in equal time
        return any(fits)


def _of_block(block: str) -> str:
    return f"wrong codes from\0{block}"


def _of_session(session: str) -> str:
    return f"wrong codes\0{session}"
