"""Publishes certificate states as CRLs and OCSP answers."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from renewal.errors import GatewayUnavailableError
from renewal.gateways.ca.embedded import ceremony, crl
from renewal.gateways.ca.embedded.ceremony import SKEW, CaSettings, Opened, to_second
from renewal.gateways.ca.embedded.database import CaDatabase, StoredCrl
from renewal.gateways.ca.embedded.ocsp import (
    MALFORMED,
    TRY_LATER,
    UNAUTHORIZED,
    IssuerHashes,
    MalformedError,
    OcspRequest,
    OcspState,
    answer,
    read,
)

if TYPE_CHECKING:
    from renewal.clock import Clock
    from renewal.gateways.ca.embedded.authority import Authority


#: How many answers are kept until half of their life is over; each has about a kilobyte.
MOST_ANSWERS = 20_000


class Publication:
    def __init__(
        self, book: CaDatabase, opened: Opened, settings: CaSettings, clock: Clock
    ) -> None:
        self._book = book
        self._opened = opened
        self._settings = settings
        self._clock = clock
        self._issuer_hashes = IssuerHashes(opened.issuing.certificate)
        #: by the question: the count of changes, from when and until when, and the answer
        self._answers: dict[bytes, tuple[int, datetime, datetime, bytes]] = {}
        self._signer: Authority | None = None
        self._newest: StoredCrl | None = None

    def crl(self) -> bytes:
        """Return the CRL, DER: a new one after each change, and after half its life."""
        now = to_second(self._clock.now())
        newest = self._newest or self._book.crl()
        if newest is None or not self._is_current(newest, now):
            newest = self._new_crl(now)
        self._newest = newest
        return newest.der

    def _is_current(self, newest: StoredCrl, now: datetime) -> bool:
        age = now - newest.this_update
        return age < self._settings.crl_lasts / 2 and newest.changes == self._book.changes()

    def _new_crl(self, now: datetime) -> StoredCrl:
        with self._book.work():
            newest = self._book.crl()
            if newest is not None and self._is_current(newest, now):
                return newest
            made = self._signed(1 if newest is None else newest.number + 1, now)
            self._book.keep_crl(made)
        return made

    def _signed(self, number: int, now: datetime) -> StoredCrl:
        begins = now - SKEW
        der = crl.build(
            self._opened.issuing,
            self._entries(begins),
            number=number,
            this_update=begins,
            next_update=now + self._settings.crl_lasts,
        )
        return StoredCrl(number=number, changes=self._book.changes(), this_update=now, der=der)

    def _entries(self, begins: datetime) -> list[bytes]:
        """No entry's date is later than its list's: the newest ones are cut to it."""
        since = begins.isoformat()
        newest = self._book.newest_on_crl(since)
        cut = [crl.entry(int(serial, 16), begins, reason) for serial, reason in newest]
        return [*self._book.crl_entries(since), *cut]

    def ocsp(self, request: bytes) -> bytes:
        """Answer an OCSPRequest with an OCSPResponse, both DER; an error is an answer too."""
        now = to_second(self._clock.now())
        try:
            changes = self._book.changes()
            kept = self._answers.get(request)
            if kept is not None and kept[0] == changes and kept[1] <= now < kept[2]:
                return kept[3]
            question = read(request)
            signer = self._current_signer(now)
        except MalformedError:
            return MALFORMED
        except GatewayUnavailableError:
            return TRY_LATER
        if not self._issuer_hashes.are_named_by(question):
            return UNAUTHORIZED  # unsigned: of another CA's certificates this one knows nothing
        begins = max(now - SKEW, signer.certificate.not_valid_before_utc)
        state = self._state(question, begins)
        answered = answer(
            question,
            state,
            signer,
            produced_at=now,
            this_update=begins,
            next_update=now + self._settings.ocsp_lasts,
        )
        # One with a nonce is for one asker alone, and what is unknown may be issued next.
        if question.nonce is None and state is not None:
            if len(self._answers) >= MOST_ANSWERS:
                self._answers.clear()
            self._answers[request] = (changes, now, now + self._settings.ocsp_lasts / 2, answered)
        return answered

    def _current_signer(self, now: datetime) -> Authority:
        signer = self._signer
        if signer is None or not ceremony.is_fresh(signer.certificate, now):
            signer = ceremony.open_signer(self._book, self._opened, self._settings, now)
            self._signer = signer
        return signer

    def _state(self, question: OcspRequest, begins: datetime) -> OcspState | None:
        entry = self._book.by_serial(f"{question.serial:x}")
        if entry is None or entry.certificate is None:
            return None
        if entry.reason is None or entry.changed_at is None:
            return OcspState()
        return OcspState(
            revoked_at=min(datetime.fromisoformat(entry.changed_at), begins), reason=entry.reason
        )
