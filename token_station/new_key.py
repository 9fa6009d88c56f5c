"""Makes the key of a renewal in a key slot whose content may be destroyed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from renewal.rules import x509
from schema.reasons import TokenReason
from token_station.errors import CannotMakeKeyError, MalformedAnswerError, NoFreeKeySlotError
from token_station.journal import Step
from token_station.piv.keys import ALGORITHMS, P256

if TYPE_CHECKING:
    from token_station.journal import JournalEntry
    from token_station.port import TokenSession
    from token_station.station_port import StationPort

NO_KEY = "none"


class NewKey:
    """The key of one job, on the token that waits for it."""

    def __init__(self, station: StationPort, session: TokenSession, job: JournalEntry) -> None:
        self._station = station
        self._session = session
        self._job = job

    def make(self, pin: str) -> JournalEntry:
        """
        The key slot, and which key it holds, are on record before that key is destroyed.

        A later visit that finds another key there knows that it was made, although the card's
        answer was lost: no second one is made.

        Raises:
            NoFreeKeySlotError, NotAnsweredError, UnsupportedError
        """
        if self._job.place is None:
            self._record(Step.PIN_VERIFIED)
        key_slot = self._free_key_slot()
        present = self._key_in(key_slot, pin)
        found = NO_KEY if present is None else hashlib.sha256(present).hexdigest()
        if self._job.place is None:
            self._refuse_foreign(key_slot, present, pin)
            self._record(Step.MAKING_KEY, place=key_slot, key_before=found)
        if present is None or self._job.key_before in {None, found}:
            present = self._generated(key_slot)
        return self._record(Step.KEY_MADE, spki=present.hex())

    def _record(self, step: Step, **added: object) -> JournalEntry:
        self._job = self._station.record(self._job.renewal, step, **added)
        return self._job

    # --- the key slot ---------------------------------------------------------------------------

    def _free_key_slot(self) -> str:
        """
        The key slot that is on record, or one that holds nothing to be kept.

        Raises:
            NoFreeKeySlotError
        """
        kept = [one for one in self._session.certificates() if is_kept(self._job, one.der)]
        free = self._session.choose_key_slot(keep=[one.der for one in kept])
        if self._job.place in {one.key_slot for one in kept}:
            raise NoFreeKeySlotError(reason=TokenReason.SLOT_KEPT.why(slot=self._job.place or ""))
        return self._job.place or free

    def _refuse_foreign(self, key_slot: str, key: bytes | None, pin: str) -> None:
        """
        What is neither ours nor expired stays, unless a person has expressly given it up: a
        token may carry certificates of several banks.

        Raises:
            NoFreeKeySlotError, NotAnsweredError
        """
        found = self._foreign(key_slot, key, pin)
        if found is None:
            return
        prompt, operator = self._station.prompt, self._station.operator
        if prompt.ask_consent(operator, self._session, self._job, key_slot, found):
            return
        reason = TokenReason.SLOT_TAKEN.why(slot=key_slot, detail=found.why().stored())
        raise NoFreeKeySlotError(reason=reason)

    def _foreign(self, key_slot: str, key: bytes | None, pin: str) -> TokenReason | None:
        """Say what the key slot holds that must not be destroyed."""
        try:
            present = self._session.read_certificate(key_slot)
        except MalformedAnswerError:
            return TokenReason.HOLDS_UNREADABLE
        if present is not None:
            return None if self._is_replaceable(present) else TokenReason.HOLDS_CERTIFICATE
        if key is not None:
            return None if self._is_our_key(key) else TokenReason.HOLDS_KEY
        if self._session.holds_key(key_slot, pin=pin):
            return TokenReason.HOLDS_OTHER_KEY
        return None

    def _is_replaceable(self, der: bytes) -> bool:
        is_ours = hashlib.sha256(der).hexdigest() in (self._job.replace_sha256 or ())
        return is_ours or x509.read(der).not_after < self._station.clock.now()

    def _is_our_key(self, key: bytes) -> bool:
        is_known = hashlib.sha256(key).hexdigest() in (self._job.replace_keys_sha256 or ())
        return is_known or self._station.journal.has_made(key)

    # --- the key --------------------------------------------------------------------------------

    def _key_in(self, key_slot: str, pin: str) -> bytes | None:
        keys = (self._session.find_key(key_slot, kind, pin=pin) for kind in self._kinds())
        return next((key for key in keys if key is not None), None)

    def _kinds(self) -> list[str]:
        """The job's own kind of key first."""
        return sorted(ALGORITHMS, key=lambda kind: kind != (self._job.algorithm or P256))

    def _generated(self, key_slot: str) -> bytes:
        """
        Make a key of the kind that was asked for, else of the kind that the token can make.

        Raises:
            UnsupportedError: it can make none.
        """
        first, second = self._kinds()
        self._station.probe("before the call")
        try:
            made = self._session.generate(key_slot, first)
        except CannotMakeKeyError:
            made = self._session.generate(key_slot, second)
        self._station.probe("after the call")
        return made


def is_kept(job: JournalEntry, der: bytes) -> bool:
    """Say whether the job's centre wants the certificate to stay on the token."""
    return hashlib.sha256(der).hexdigest() in (job.keep_sha256 or ())
