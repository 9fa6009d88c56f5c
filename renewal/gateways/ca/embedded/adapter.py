"""An embedded certification authority in one folder."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from cryptography.hazmat.primitives.serialization import Encoding

from renewal.errors import GatewayRefusedError
from renewal.gateways.activity_log import ActivityLog
from renewal.gateways.address import GatewayAddressError
from renewal.gateways.ca.embedded import ceremony
from renewal.gateways.ca.embedded.authority import CaLockedError
from renewal.gateways.ca.embedded.ceremony import CaSettings
from renewal.gateways.ca.embedded.database import CaDatabase
from renewal.gateways.ca.embedded.drafts import Drafts, Seed
from renewal.gateways.ca.embedded.history import CaHistory
from renewal.gateways.ca.embedded.issuance import CaIssuance
from renewal.gateways.ca.embedded.name import FILE, UNNAMED, CaName, CaNameError, read_name
from renewal.gateways.ca.embedded.publication import Publication
from renewal.gateways.ca.embedded.states import HOLD, CertificateStates
from renewal.gateways.ca.port import Capabilities, IssuanceRequest, Issued, Status
from renewal.secret import Secret
from schema.events import RevocationReason
from schema.reasons import SettingReason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path
    from urllib.parse import SplitResult

    from renewal.clock import Clock
    from renewal.gateways.address import Surroundings

__all__ = ["BOOK", "CaSettings", "CertificateListing", "EmbeddedCa", "Seed"]

BOOK: Final = "ca.db"


@dataclass(frozen=True, kw_only=True)
class CertificateListing:
    """One line of the CA's own list, for whoever compares it with theirs."""

    serial: int
    request_id: str | None
    certificate: bytes
    status: Status
    reason: str | None  #: of a revocation or a hold


class EmbeddedCa:
    """
    Issues exactly once for a request id: what will be signed is on record before it is signed,
    and signing it again gives the same bytes.

    Opened by several threads and processes at once. The keys stay encrypted in the folder.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        find=True, replay=True, hold=True, poll=False, confirm=False
    )

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        passphrase: Secret | str | bytes,
        *,
        ledger: ActivityLog | None = None,
        settings: CaSettings | None = None,
        older: Sequence[Secret] = (),
    ) -> None:
        """
        Open the CA in the folder; make it there if there is none. ``older``: passphrases that its
        keys may still have.

        Raises:
            CaLockedError: wrong or empty passphrase.
            ProfileError: a profile file cannot be used.
            GatewayUnavailableError: another process is writing for too long.
        """
        settings = settings or CaSettings()
        known = settings.known_profiles()
        self._database = CaDatabase(folder / BOOK)
        history = CaHistory(self._database, ledger)
        try:
            self._opened = ceremony.open_authorities(
                self._database,
                [_as_bytes(passphrase), *(one.value for one in older)],
                settings,
                clock.now(),
            )
            history.tell()
        except BaseException:
            self._database.close()
            raise
        self._settings, self._clock = settings, clock
        issuing = self._opened.issuing
        drafts = Drafts(known, issuing, settings.base_url)
        self._issuance = CaIssuance(self._database, drafts, issuing, history, clock)
        self._states = CertificateStates(self._database, history, clock)
        self._publication = Publication(self._database, self._opened, settings, clock)

    def close(self) -> None:
        self._database.close()

    @property
    def root_certificate(self) -> bytes:
        return self._opened.root.public_bytes(Encoding.DER)

    @property
    def issuing_certificate(self) -> bytes:
        return self._opened.issuing.certificate.public_bytes(Encoding.DER)

    def is_called(self, name: CaName) -> bool:
        """Whether it was made with this name."""
        return self._opened.issuing.certificate.subject == name.subject("Issuing CA")

    def issues_as(self, issuer: bytes) -> bool:
        name = self._opened.issuing.certificate.subject.public_bytes()
        return hashlib.sha256(name).digest() == issuer

    # -- issuing

    def issue(self, request: IssuanceRequest) -> Issued:
        """
        Issue once for a request id: asking again with the same id gives the same certificate.

        Raises:
            GatewayUnavailableError: safe to ask again with the same id.
            GatewayRefusedError: the reason in words, and as CMP calls it in ``code``.
        """
        [answer] = self.issue_many([request])
        if isinstance(answer, GatewayRefusedError):
            raise answer
        return answer

    def issue_many(self, requests: Sequence[IssuanceRequest]) -> list[Issued | GatewayRefusedError]:
        """
        Issue a batch with two waits for the disk in all; the answers are in the order asked.

        Raises:
            GatewayUnavailableError: safe to ask again with the same ids.
        """
        return self._issuance.issue_many(requests)

    def recover(self, request_id: str) -> Issued | None:
        """Return what became of a request; finish it if it was reserved and not signed."""
        return self._issuance.recover(request_id)

    def seed(
        self,
        key: bytes,
        common_name: str,
        profile: str,
        not_before: datetime,
        not_after: datetime,
    ) -> bytes:
        """
        Issue, as it was at ``not_before``, to a PKCS#10 or a public key (DER); return it, DER.

        The same key with the same content gives the same certificate.

        Raises:
            GatewayRefusedError: as ``issue``; a validity that is over is accepted here.
        """
        [certificate] = self.seed_many(
            [
                Seed(
                    key=key,
                    common_name=common_name,
                    profile=profile,
                    not_before=not_before,
                    not_after=not_after,
                )
            ]
        )
        return certificate

    def seed_many(self, seeds: Iterable[Seed]) -> list[bytes]:
        """Seed all of them in one transaction, or none."""
        return self._issuance.seed_many(seeds)

    def certificates(self) -> Iterator[CertificateListing]:
        """List every certificate in the order of issue, a page at a time."""
        for entry in self._database.certificates():
            if entry.certificate is not None:
                yield CertificateListing(
                    serial=int(entry.serial, 16),
                    request_id=entry.request_id,
                    certificate=entry.certificate,
                    status=Status(entry.state),
                    reason=entry.reason,
                )

    # -- the state of a certificate

    def revoke(self, serial: int, reason: RevocationReason, *, request_id: str) -> None:
        """
        Revoke for good. Revoking what is revoked already keeps the first date and reason.

        Raises:
            GatewayRefusedError: no such certificate, or the id was used for another one.
            GatewayUnavailableError: nothing happened.
        """
        why = RevocationReason(reason).value
        self._states.change("revoke", serial, Status.REVOKED, why, request_id=request_id)

    def suspend(self, serial: int, *, request_id: str) -> None:
        """
        Put on hold. The same id once more changes nothing, even if it was resumed since.

        Raises:
            GatewayRefusedError: no such certificate, or revoked for good.
        """
        self._states.change("suspend", serial, Status.ON_HOLD, HOLD, request_id=request_id)

    def resume(self, serial: int, *, request_id: str) -> None:
        """
        Take off hold, and off the CRL; the history keeps it.

        Raises:
            GatewayRefusedError: no such certificate, or revoked for good.
        """
        self._states.change("resume", serial, Status.GOOD, None, request_id=request_id)

    def status(self, serial: int) -> Status:
        return self._states.now_of(serial)

    # -- what anybody may ask

    def crl(self) -> bytes:
        """Return the newest CRL, DER."""
        return self._publication.crl()

    def root_crl(self) -> bytes:
        return ceremony.current_root_crl(
            self._database, self._opened, self._settings, self._clock.now()
        )

    def root_key(self) -> bytes:
        """
        The root's key as it is kept: encrypted PKCS#8, PEM.

        Raises:
            CaLockedError: it was taken out before.
        """
        return ceremony.root_key(self._database)

    def take_root_key(self) -> None:
        """
        Take the root's key out of the CA, when it is kept elsewhere.

        Raises:
            CaLockedError: it was taken out before.
        """
        ceremony.take_root_key(self._database)

    def has_passphrase(self, passphrase: Secret) -> bool:
        """Whether its keys are encrypted under this one."""
        return self._opened.passphrase == passphrase.value

    def has_root_key(self) -> bool:
        return ceremony.has_root_key(self._database)

    def change_passphrase(self, passphrase: Secret) -> None:
        """Encrypt its keys under another passphrase; what was taken out keeps the one of then."""
        self._opened = ceremony.change_passphrase(self._database, self._opened, passphrase.value)

    def sign_root_crl(self, key: bytes) -> bytes:
        """
        Sign the root's list with its key from elsewhere; return the list, DER.

        Raises:
            CaLockedError: it is not the root's key, or does not open.
        """
        return ceremony.sign_root_crl(
            self._database, key, self._opened, self._settings, self._clock.now()
        )

    def ocsp(self, request: bytes) -> bytes:
        """Answer an OCSPRequest with an OCSPResponse, both DER; an error is an answer too."""
        return self._publication.ocsp(request)


def _as_bytes(passphrase: Secret | str | bytes) -> bytes:
    if isinstance(passphrase, Secret):
        return passphrase.value
    return passphrase.encode() if isinstance(passphrase, str) else passphrase


def from_url(url: SplitResult, around: Surroundings) -> EmbeddedCa:
    """
    ``embedded:``, a CA in this installation's folder.

    Raises:
        GatewayAddressError: there is more to the address, or the passphrase is another CA's.
    """
    if url.geturl() != "embedded:":
        raise GatewayAddressError(SettingReason.NO_CA)
    named = _name(around)
    settings = CaSettings(
        base_url=around.public.rstrip("/"),
        name=named or UNNAMED,
        own_profiles=around.bank / "profiles" if around.bank else None,
    )
    history = ActivityLog(around.activity("ca"), around.clock)
    try:
        ring = around.keys.ring("ca")
        newest, *older = (ring[number] for number in sorted(ring, reverse=True))
        ca = EmbeddedCa(
            around.home / "ca",
            around.clock,
            newest,
            ledger=history,
            settings=settings,
            older=older,
        )
    except CaLockedError as error:
        raise GatewayAddressError(
            SettingReason.CA_LOCKED.why(detail=str(error)), setting="secrets"
        ) from error
    if named is not None and not ca.is_called(named):
        ca.close()
        raise GatewayAddressError(
            SettingReason.CA_NAME_CHANGED.why(file=FILE, folder=str(around.home / "ca")),
            setting="bank",
        )
    return ca


def _name(around: Surroundings) -> CaName | None:
    try:
        return read_name(around.bank)
    except CaNameError as error:
        raise GatewayAddressError(
            SettingReason.CA_NAME.why(detail=f"{FILE}:{error}"), setting="bank"
        ) from error
