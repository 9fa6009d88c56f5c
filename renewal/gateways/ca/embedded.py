"""A certification authority in one folder, for whoever has none outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from cryptography.hazmat.primitives.serialization import Encoding

from renewal.errors import GatewayRefusedError
from renewal.gateways.ca import ceremony, profiles
from renewal.gateways.ca.ceremony import CaSettings
from renewal.gateways.ca.drafts import Drafts, Seed
from renewal.gateways.ca.history import History
from renewal.gateways.ca.issuance import Issuance
from renewal.gateways.ca.port import Can, Issued, Reason, Request, Status
from renewal.gateways.ca.publication import Publication
from renewal.gateways.ca.states import HOLD, States
from renewal.secret import Secret
from renewal.store.ca_book import CaBook

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from renewal.clock import Clock
    from renewal.gateways.ledger import OutsideLedger

__all__ = ["BOOK", "CaSettings", "EmbeddedCa", "Listed", "Seed"]

BOOK: Final = "ca.db"


@dataclass(frozen=True, kw_only=True)
class Listed:
    """
    One line of the CA's own list, for whoever compares it with theirs.
    """

    serial: int
    request_id: str | None
    certificate: bytes
    status: Status


class EmbeddedCa:
    """
    Issues exactly once for a request id: what will be signed is on record before it is signed,
    and signing it again gives the same bytes.

    Opened by several threads and processes at once. The keys stay encrypted in the folder.
    """

    can: ClassVar[Can] = Can(find=True, replay=True, hold=True, poll=False, confirm=False)

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        passphrase: Secret | str | bytes,
        *,
        ledger: OutsideLedger | None = None,
        settings: CaSettings | None = None,
    ) -> None:
        """
        Open the CA in the folder; make it there if there is none.

        Raises:
            CaLockedError: wrong or empty passphrase.
            ProfileError: a profile file cannot be used.
            GatewayUnavailableError: another process is writing for too long.
        """
        settings = settings or CaSettings()
        known = profiles.load(settings.profiles)
        self._book = CaBook(folder / BOOK)
        history = History(self._book, ledger)
        try:
            self._opened = ceremony.open_authorities(
                self._book, _as_bytes(passphrase), settings, clock.now()
            )
            history.tell()
        except BaseException:
            self._book.close()
            raise
        issuing = self._opened.issuing
        drafts = Drafts(known, issuing, settings.base_url)
        self._issuance = Issuance(self._book, drafts, issuing, history, clock)
        self._states = States(self._book, history, clock)
        self._publication = Publication(self._book, self._opened, settings, clock)

    def close(self) -> None:
        self._book.close()

    @property
    def root_certificate(self) -> bytes:
        return self._opened.root.public_bytes(Encoding.DER)

    @property
    def issuing_certificate(self) -> bytes:
        return self._opened.issuing.certificate.public_bytes(Encoding.DER)

    # -- issuing

    def issue(self, request: Request) -> Issued:
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

    def issue_many(self, requests: Sequence[Request]) -> list[Issued | GatewayRefusedError]:
        """
        Issue a batch with two waits for the disk in all; the answers are in the order asked.

        Raises:
            GatewayUnavailableError: safe to ask again with the same ids.
        """
        return self._issuance.issue_many(requests)

    def recover(self, request_id: str) -> Issued | None:
        """
        Return what became of a request; finish it if it was reserved and not signed.
        """
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
        """
        Seed all of them in one transaction, or none.
        """
        return self._issuance.seed_many(seeds)

    def certificates(self) -> Iterator[Listed]:
        """
        List every certificate in the order of issue, a page at a time.
        """
        for entry in self._book.certificates():
            if entry.certificate is not None:
                yield Listed(
                    serial=int(entry.serial, 16),
                    request_id=entry.request_id,
                    certificate=entry.certificate,
                    status=Status(entry.state),
                )

    # -- the state of a certificate

    def revoke(self, serial: int, reason: Reason, *, request_id: str) -> None:
        """
        Revoke for good. Revoking what is revoked already keeps the first date and reason.

        Raises:
            GatewayRefusedError: no such certificate, or the id was used for another one.
            GatewayUnavailableError: nothing happened.
        """
        why = Reason(reason).value
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
        """
        Return the newest CRL, DER.
        """
        return self._publication.crl()

    def root_crl(self) -> bytes:
        return self._opened.root_crl

    def ocsp(self, request: bytes) -> bytes:
        """
        Answer an OCSPRequest with an OCSPResponse, both DER; an error is an answer too.
        """
        return self._publication.ocsp(request)


def _as_bytes(passphrase: Secret | str | bytes) -> bytes:
    if isinstance(passphrase, Secret):
        return passphrase.value
    return passphrase.encode() if isinstance(passphrase, str) else passphrase
