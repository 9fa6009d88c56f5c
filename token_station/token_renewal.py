"""Renews one token in one reader, from the last step on record as far as it goes now."""

from __future__ import annotations

import base64
import hashlib
import logging
import secrets
from typing import TYPE_CHECKING

from renewal.rules.proof import confirmation
from renewal.sealing import opened
from schema.reasons import TokenReason
from token_station import signing
from token_station.errors import (
    BadPinFormatError,
    CardError,
    KeyMismatchError,
    LastTryError,
    MalformedAnswerError,
    NoFreeKeySlotError,
    NotAuthorizedError,
    NotBlankError,
    NotGenuineError,
    PinBlockedError,
    PinWrongError,
    TooLargeError,
    UnsupportedError,
)
from token_station.journal import Step
from token_station.new_key import NewKey, is_kept
from token_station.operators import NotAnsweredError
from token_station.port import ProvesItself
from token_station.reader_views import ReaderStatus

if TYPE_CHECKING:
    from schema.reasons import Reason
    from token_station.journal import JournalEntry
    from token_station.port import TokenProofs, TokenSession
    from token_station.station_port import StationPort

log = logging.getLogger(__name__)

CHALLENGE = 32  #: bytes
#: Trying again with this token would not help.
IMPOSSIBLE = (
    NoFreeKeySlotError,
    NotAuthorizedError,
    NotBlankError,
    NotGenuineError,
    TooLargeError,
    KeyMismatchError,
    UnsupportedError,
)


class TokenRenewal:
    """One token in one reader, and the job that waits for it."""

    def __init__(self, station: StationPort, session: TokenSession, job: JournalEntry) -> None:
        self.station = station
        self.session = session
        self.job = job
        self.tries_left: int | None = None

    def go_on(self) -> ReaderStatus:
        """Go from the last step on record as far as it goes now."""
        try:
            return self._next_part()
        except PinWrongError as error:
            self._forget_pin()
            self.tries_left = error.left
            return ReaderStatus.PIN_WRONG
        except LastTryError:
            self._forget_pin()  # asked for once more, so that a person can release the last try
            return ReaderStatus.LAST_TRY
        except NotAnsweredError:
            return ReaderStatus.WAITS_FOR_CONSENT
        except BadPinFormatError:
            self._forget_pin()
            return ReaderStatus.PIN_UNFIT
        except PinBlockedError:
            self._forget_pin()
            return self._declined(TokenReason.PIN_BLOCKED.why(), ReaderStatus.PIN_BLOCKED)
        except IMPOSSIBLE as error:
            about = {"renewal": self.job.renewal, "error": str(error)}
            log.warning("token job declined", extra=about)
            return self._declined(error.reason, ReaderStatus.DECLINED)

    def _next_part(self) -> ReaderStatus:
        if self.job.sealed is not None:
            return self._write_certificate()
        if self.job.csr is not None:
            return ReaderStatus.WAITS_FOR_CA
        return self._sign_request()

    def _declined(self, why: Reason, status: ReaderStatus) -> ReaderStatus:
        """Tell the centre that this cannot be done here; nothing more is tried with this job."""
        self._record(Step.DECLINING, why=why.stored())
        return status

    def _record(self, step: Step, **added: object) -> None:
        self.job = self.station.record(self.job.renewal, step, **added)

    # --- the request ----------------------------------------------------------------------------

    def _sign_request(self) -> ReaderStatus:
        old = self._old_key_slot()
        if old is None:
            return self._declined(self._why_not_found(), ReaderStatus.DECLINED)
        if self.job.step is Step.WAITING:
            self._record(Step.SEEN)
        pin = self._pin()
        if pin is None:
            return ReaderStatus.WAITS_FOR_PIN
        if self.job.spki is None:
            self._check_genuine(old)
            self._prove_original(old, pin)
            self._make_key(pin)
        csr = self._signed_csr(pin)
        asked = confirmation(self.job.renewal, base64.b64decode(self.job.challenge or ""), csr)
        proof = signing.renewal_proof(self.session, old, pin, asked)
        self._record(
            Step.REQUEST_SIGNED,
            csr=base64.b64encode(csr).decode(),
            proof=base64.b64encode(proof).decode(),
        )
        return ReaderStatus.WAITS_FOR_CA

    def _make_key(self, pin: str) -> None:
        """
        Raises:
            NotGenuineError: the token did not make it itself; the CA is not asked.
        """
        self.job = NewKey(self.station, self.session, self.job).make(pin)
        proofs = self._proofs()
        if proofs is not None:
            proofs.check_made(self.job.place or "", bytes.fromhex(self.job.spki or ""))

    def _signed_csr(self, pin: str) -> bytes:
        key_slot = self.job.place or ""
        self.session.remember_key(key_slot, bytes.fromhex(self.job.spki or ""))
        return signing.csr(self.session, key_slot, pin)

    def _old_key_slot(self) -> str | None:
        for one in self.session.certificates():
            if hashlib.sha256(one.der).hexdigest() == self.job.old_certificate_sha256:
                return one.key_slot
        return None

    def _why_not_found(self) -> Reason:
        unread = ", ".join(self.session.unreadable())
        if unread:
            return TokenReason.SLOTS_UNREADABLE.why(slots=unread)
        return TokenReason.NOT_ON_TOKEN.why()

    def _check_genuine(self, old: str) -> None:
        """
        Raises:
            NotGenuineError: the token does not prove that it is the one it says.
        """
        proofs = self._proofs()
        if proofs is not None:
            proofs.check((old, self.session.read_certificate(old) or b""))

    def _proofs(self) -> TokenProofs | None:
        station = self.station
        if not station.anchors or not isinstance(self.session, ProvesItself):
            return None
        return self.session.authenticity(station.anchors, station.clock.now())

    def _prove_original(self, old: str, pin: str) -> None:
        """
        Let the key in force sign before anything is changed: serial and certificate can be copied
        to another token, that key cannot.

        Raises:
            KeyMismatchError: the token has the certificate, and not its key.
        """
        try:
            self.session.sign(old, secrets.token_bytes(CHALLENGE), pin=pin)
        except CardError as error:
            status = f"{error.status:04X}"
            raise KeyMismatchError(
                reason=TokenReason.KEY_COPIED.why(slot=old, status=status)
            ) from error

    # --- the certificate ------------------------------------------------------------------------

    def _write_certificate(self) -> ReaderStatus:
        key_slot = self.job.place or ""
        der = opened(self.station.key, self.job.sealed or "", self.job.renewal)
        pin = self._pin()
        if pin is None:
            return ReaderStatus.WAITS_FOR_PIN
        self.session.remember_key(key_slot, bytes.fromhex(self.job.spki or ""))
        self._put_on_token(key_slot, der, pin)
        self._record(Step.WRITTEN)
        challenge = base64.b64decode(self.job.challenge or "")
        signature = self.session.sign(key_slot, challenge, pin=pin)
        self._record(
            Step.PROVEN,
            certificate_sha256=hashlib.sha256(der).hexdigest(),
            signature=base64.b64encode(signature).decode(),
        )
        return ReaderStatus.DONE

    def _put_on_token(self, key_slot: str, der: bytes, pin: str) -> None:
        """
        Raises:
            NoFreeKeySlotError: the key slot holds a certificate that must stay.
        """
        present = self._certificate_in(key_slot)
        if present is not None and is_kept(self.job, present):
            raise NoFreeKeySlotError(reason=TokenReason.SLOT_KEPT.why(slot=key_slot))
        if present == der:
            return
        self._record(Step.WRITING)
        self.station.probe("before the call")
        self.session.write_certificate(key_slot, der, pin=pin)  # the key in that slot signs first
        self.station.probe("after the call")

    def _certificate_in(self, key_slot: str) -> bytes | None:
        try:
            return self.session.read_certificate(key_slot)
        except MalformedAnswerError:
            return None  # half a certificate, or none at all: it is written over

    # --- the PIN --------------------------------------------------------------------------------

    def _pin(self) -> str | None:
        """Ask once for each visit; a PIN stays in memory while its token stays in the reader."""
        known = self.station.prompt.known_pin(self.session.serial)
        return known if known is not None else self._asked_pin()

    def _asked_pin(self) -> str | None:
        """
        Raises:
            PinBlockedError, PinWrongError, LastTryError, BadPinFormatError
        """
        self.tries_left = left = self.session.tries_left()
        if left == 0:
            raise PinBlockedError
        prompt = self.station.prompt
        pin, released = prompt.ask_pin(self.station.operator, self.session, self.job, left)
        if pin is None:
            return None
        # Tried once, before anything is begun with it; a wrong one is not remembered.
        self.session.verify_pin(pin, last_try_released=released)
        prompt.remember(self.session.serial, pin)
        return pin

    def _forget_pin(self) -> None:
        self.station.prompt.forget(self.session.serial)
