"""Follows the events of a renewal at stations and at its end: see `tokens` and `completion`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from consumers.completion import close, pay_back
from consumers.station_deeds import told_by_station
from consumers.token_jobs import TokenJobs
from consumers.tokens import TokenReports, job_ended
from renewal.outcome import Done, Outcome, Reject, not_for
from schema.events import (
    CertificateChanged,
    CertificateChangedV1,
    CertificateIssued,
    Change,
    ChangeEvent,
    Event,
    FeeSettled,
    OldCertificateSettled,
    RenewalAbandoned,
    RenewalRefused,
    RenewalRequested,
    RenewalWindowLeft,
    StationDeed,
    StationEnrolled,
    TokenDeclined,
    TokenDeclinedV1,
    TokenJobDoubted,
    TokenRequestSigned,
    TokenRequestSignedV1,
    TokenWritten,
    TokenWrittenV1,
    Topic,
    UnsignedTokenEvent,
)
from schema.reasons import FeeReason, OutcomeReason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from consumers.registry import Installation
    from renewal.db.rows import Renewal
    from renewal.db.unit_of_work import UnitOfWork
    from renewal.rules.policies import Policies
    from renewal.secret import Secret


@dataclass(frozen=True, kw_only=True)
class Records:
    """All its work is in the store: it calls no outside system."""

    group: ClassVar[str] = "records"
    topics: ClassVar[tuple[str, ...]] = (
        Topic.RENEWALS.value,
        Topic.TOKENS.value,
        Topic.CERTIFICATES.value,
    )
    kinds: ClassVar[tuple[type[Event], ...]] = (
        RenewalRequested,
        CertificateIssued,
        FeeSettled,
        OldCertificateSettled,
        RenewalRefused,
        RenewalAbandoned,
        RenewalWindowLeft,
        CertificateChanged,
        CertificateChangedV1,
        TokenRequestSigned,
        TokenWritten,
        TokenDeclined,
        StationDeed,
        StationEnrolled,
        TokenJobDoubted,
        TokenRequestSignedV1,
        TokenWrittenV1,
        TokenDeclinedV1,
    )

    policies: Policies
    stations_keys: Callable[[], Mapping[int, Secret]]
    tokens_key: Callable[[], Secret]

    @property
    def _jobs(self) -> TokenJobs:
        return TokenJobs(
            policies=self.policies, stations_keys=self.stations_keys, tokens_key=self.tokens_key
        )

    @property
    def _tokens(self) -> TokenReports:
        return TokenReports(policies=self.policies, stations_keys=self.stations_keys)

    @classmethod
    def of(cls, it: Installation) -> Records:
        return cls(
            policies=it.policies,
            stations_keys=partial(it.keys.ring, "stations"),
            tokens_key=partial(it.keys.newest, "tokens"),
        )

    def preload(self, events: Sequence[Event], work: UnitOfWork) -> None:
        keys = [event.renewal for event in events if hasattr(event, "renewal")]
        work.renewals.load(keys)
        known = [renewal for renewal in map(work.renewals.find, keys) if renewal]
        at_stations = [renewal for renewal in known if renewal.branch is not None]
        work.certificates.load(renewal.certificate for renewal in at_stations)
        work.certificates.load(renewal.new_certificate for renewal in at_stations)

    def prepare(self, event: Event, work: UnitOfWork, *, outcome_unknown: bool) -> Outcome:
        del outcome_unknown
        match event:
            case RenewalWindowLeft():
                return pay_back(event.certificate, FeeReason.NOT_RENEWED, work)
            case ChangeEvent(change=Change.REVOKE):
                return pay_back(event.certificate, FeeReason.CERTIFICATE_REVOKED, work)
            case ChangeEvent():
                return Done()
            case UnsignedTokenEvent():
                return Reject(OutcomeReason.UNSIGNED.why())
            case StationDeed() | StationEnrolled():
                return told_by_station(event, work)
            case TokenRequestSigned() | TokenWritten() | TokenDeclined():
                return self._tokens.reported(event, work.renewals.get(event.renewal), work)
            case TokenJobDoubted():
                return self._doubted(event, work)
            case _:
                return self._of_renewal(event, work.renewals.get(event.key), work)

    def _doubted(self, event: TokenJobDoubted, work: UnitOfWork) -> Outcome:
        renewal = work.renewals.find(event.renewal)
        if renewal is not None:
            false = self._tokens.false_statement(event, renewal, work)
            if false is not None:
                return false
        return self._jobs.doubted(event, renewal, work)

    def _of_renewal(self, event: Event, renewal: Renewal, work: UnitOfWork) -> Outcome:
        match event:
            case RenewalRequested():
                return self._jobs.requested(renewal, work)
            case CertificateIssued():
                return self._tokens.issued(renewal, work)
            case FeeSettled() | OldCertificateSettled():
                return close(renewal, work)
            case RenewalRefused() | RenewalAbandoned():
                return Done(emit=job_ended(renewal, event.why))
            case _:
                return not_for(self.group, event)
