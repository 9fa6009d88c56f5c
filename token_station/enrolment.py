"""Enrols one blank token: prepares it, and makes its first key as a renewal makes a new one."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from schema.reasons import TokenReason
from token_station.errors import (
    LastTryError,
    NotAuthorizedError,
    NotBlankError,
    NotGenuineError,
    PukBlockedError,
    PukWrongError,
    UnsupportedError,
)
from token_station.journal import Step
from token_station.port import ProvesItself
from token_station.reader_views import ReaderStatus
from token_station.token_renewal import TokenRenewal

if TYPE_CHECKING:
    from token_station.journal import JournalEntry
    from token_station.port import BlankTokenSteps
    from token_station.station_port import StationPort

#: Steps after which the token may still have its maker's codes.
PREPARATION = frozenset({Step.WAITING, Step.PREPARING, Step.MARKED, Step.SETTING_PUK})
#: Steps after which the token may not tell its serial yet.
_UNMARKED = frozenset({Step.WAITING, Step.PREPARING})
#: Steps after which the holder's PIN may not be in force yet.
_WITHOUT_PIN = PREPARATION | {Step.PREPARED}


#: Attempts after which a counter of three has a second try left, whatever has become of them.
SURE_ATTEMPTS = 3


def is_unmarked(job: JournalEntry) -> bool:
    return bool(job.is_enrolment) and job.step in _UNMARKED


def prepared(station: StationPort, blank: BlankTokenSteps, job: JournalEntry) -> JournalEntry:
    """
    Give a blank token its serial and the bank's codes, from the last step on record on.

    A token that is not blank, or proves nothing, is declined before anything on it is changed.

    Raises:
        CardRemovedError, MalformedAnswerError, ReadBackError: the next visit goes on.
    """
    try:
        return _Preparation(station, blank, job).go_on()
    except (NotBlankError, NotGenuineError, NotAuthorizedError, UnsupportedError) as error:
        return station.record(job.renewal, Step.DECLINING, why=error.reason.stored())


class _Preparation:
    def __init__(self, station: StationPort, blank: BlankTokenSteps, job: JournalEntry) -> None:
        self._station = station
        self._blank = blank
        self._job = job

    def go_on(self) -> JournalEntry:
        if self._job.step in _UNMARKED:
            self._mark()
        self._blank.set_management_key()
        self._set_puk()
        return self._record(Step.PREPARED)

    def _mark(self) -> None:
        """The serial comes first: from then on the token is known, whatever happens to it."""
        if self._job.step is Step.WAITING or not self._blank.has_serial():
            self._blank.refuse_used()
            self._refuse_false()
        self._record(Step.PREPARING)
        self._blank.give_serial()
        self._record(Step.MARKED)

    def _refuse_false(self) -> None:
        station = self._station
        if station.anchors and isinstance(self._blank, ProvesItself):
            self._blank.authenticity(station.anchors, station.clock.now()).check(None)

    def _set_puk(self) -> None:
        """
        Where an answer was lost, nobody knows which code is in force, and no PIV token tells it:
        the guesses take turns. Each that was interrupted may have cost one try; where one alone is
        left then, a person releases it.

        Raises:
            LastTryError: nobody has.
        """
        attempt = (self._job.puk_attempt or 0) + 1
        released = attempt > SURE_ATTEMPTS and self._is_released()
        if attempt > SURE_ATTEMPTS and not released:
            raise LastTryError("one try of the unblocking code may be left, and nobody releases it")
        self._record(Step.SETTING_PUK, puk_attempt=attempt)
        try:
            self._blank.set_puk(attempt=attempt, last_try_released=released)
        except (PukWrongError, PukBlockedError) as error:
            raise NotBlankError(reason=TokenReason.NOT_BLANK_PUK) from error

    def _is_released(self) -> bool:
        return self._station.prompt.ask_release(self._station.operator, self._job)

    def _record(self, step: Step, **added: object) -> JournalEntry:
        self._job = self._station.record(self._job.renewal, step, **added)
        return self._job


class TokenEnrolment(TokenRenewal):
    """A prepared token: the holder's PIN, and the first key. There is no old one to sign."""

    def _sign_request(self) -> ReaderStatus:
        pin = self._pin()
        if pin is None:
            return ReaderStatus.WAITS_FOR_PIN
        if self.job.spki is None:
            self._make_key(pin)
        csr = base64.b64encode(self._signed_csr(pin)).decode()
        self._record(Step.REQUEST_SIGNED, csr=csr)
        return ReaderStatus.WAITS_FOR_CA

    def _asked_pin(self) -> str | None:
        if self.job.step not in _WITHOUT_PIN:
            return super()._asked_pin()
        prompt = self.station.prompt
        pin = prompt.ask_first_pin(self.station.operator, self.session, self.job)
        if pin is None:
            return None
        self.session.set_first_pin(pin)
        self.session.verify_pin(pin, last_try_released=True)  # it was set just now
        self._record(Step.PIN_SET)
        prompt.remember(self.session.serial, pin)
        return pin
