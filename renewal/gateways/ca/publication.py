"""Publishes the state of the CA's certificates, as a list and one by one."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from renewal.errors import GatewayUnavailableError
from renewal.gateways.ca import ceremony, crl
from renewal.gateways.ca.ceremony import CaSettings, Opened, to_second
from renewal.gateways.ca.ocsp import (
    MALFORMED,
    TRY_LATER,
    IssuerHashes,
    MalformedError,
    Question,
    State,
    answer,
    read,
)
from renewal.store.ca_book import CaBook, StoredCrl

if TYPE_CHECKING:
    from renewal.clock import Clock
    from renewal.gateways.ca.authority import Authority


class Publication:
    def __init__(self, book: CaBook, opened: Opened, settings: CaSettings, clock: Clock) -> None:
        self._book = book
        self._opened = opened
        self._settings = settings
        self._clock = clock
        self._issuer_hashes = IssuerHashes(opened.issuing.certificate)
        self._signer: Authority | None = None
        self._newest: StoredCrl | None = None

    def crl(self) -> bytes:
        """
        Return the CRL, DER: a new one after each change, and after half its life.
        """
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
        der = crl.build(
            self._opened.issuing,
            self._book.crl_entries(),
            number=number,
            this_update=now,
            next_update=now + self._settings.crl_lasts,
        )
        return StoredCrl(number=number, changes=self._book.changes(), this_update=now, der=der)

    def ocsp(self, request: bytes) -> bytes:
        """
        Answer an OCSPRequest with an OCSPResponse, both DER; an error is an answer too.
        """
        now = to_second(self._clock.now())
        try:
            question = read(request)
            signer = self._current_signer(now)
        except MalformedError:
            return MALFORMED
        except GatewayUnavailableError:
            return TRY_LATER
        until = now + self._settings.ocsp_lasts
        state = self._state(question)
        return answer(question, state, signer, this_update=now, next_update=until)

    def _current_signer(self, now: datetime) -> Authority:
        signer = self._signer
        if signer is None or not ceremony.is_fresh(signer.certificate, now):
            signer = ceremony.open_signer(self._book, self._opened, self._settings, now)
            self._signer = signer
        return signer

    def _state(self, question: Question) -> State | None:
        if not self._issuer_hashes.are_named_by(question):
            return None
        entry = self._book.by_serial(f"{question.serial:x}")
        if entry is None or entry.certificate is None:
            return None
        if entry.reason is None or entry.changed_at is None:
            return State()
        return State(revoked_at=datetime.fromisoformat(entry.changed_at), reason=entry.reason)
