"""A certification authority in one folder, for whoever has none outside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from renewal.errors import GatewayRefusedError
from renewal.gateways.ca import admission, ceremony, profiles, subject_key
from renewal.gateways.ca.authority import new_serial
from renewal.gateways.ca.ceremony import CaSettings
from renewal.gateways.ca.history import History
from renewal.gateways.ca.port import Can, Issued, Reason, Request, Status
from renewal.gateways.ca.publication import Publication
from renewal.gateways.ca.states import HOLD, States
from renewal.gateways.ca.to_be_signed import Template
from renewal.secret import Secret
from renewal.store.ca_book import CaBook, Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from renewal.clock import Clock
    from renewal.gateways.ca.subject_key import SubjectKey
    from renewal.gateways.ledger import OutsideLedger

BOOK: Final = "ca.db"


@dataclass(frozen=True, kw_only=True)
class Seed:
    """
    A certificate that exists before the house is opened.
    """

    key: bytes  #: PKCS#10 or SubjectPublicKeyInfo, DER
    common_name: str
    profile: str
    not_before: datetime
    not_after: datetime


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
        self._clock = clock
        self._settings = settings or CaSettings()
        self._profiles = profiles.load(self._settings.profiles)
        self._book = CaBook(folder / BOOK)
        self._history = History(self._book, ledger)
        self._states = States(self._book, self._history, clock)
        try:
            self._opened = ceremony.open_authorities(
                self._book, _as_bytes(passphrase), self._settings, clock.now()
            )
            self._tell()
        except BaseException:
            self._book.close()
            raise
        self._publication = Publication(self._book, self._opened, self._settings, clock)
        self._templates = {
            name: Template(profile, self._opened.issuing.issuer, self._settings.base_url)
            for name, profile in self._profiles.items()
        }

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
        read = [_or_refusal(self._read, request) for request in requests]
        reserved = self._reserve_all(read)
        certificates = self._finish([entry for entry in reserved if isinstance(entry, Entry)])
        return [
            Issued(certificate=certificates[item.serial]) if isinstance(item, Entry) else item
            for item in reserved
        ]

    def recover(self, request_id: str) -> Issued | None:
        """
        Return what became of a request; finish it if it was reserved and not signed.
        """
        entry = self._book.by_request(request_id)
        if entry is None:
            return None
        return Issued(certificate=self._finish([entry])[entry.serial])

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
        with self._book.work():
            certificates = [self._plant(seed) for seed in seeds]
        self._tell()
        return certificates

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

    # -- steps of issuing, each a place where a power cut must do no harm

    def _read(self, request: Request) -> Entry:
        if not request.request_id:
            raise GatewayRefusedError("the request has no id", code="badRequest")
        return self._entry(request, request.request_id, subject_key.from_request(request.csr))

    def _entry(self, asked: Request | Seed, request_id: str | None, key: SubjectKey) -> Entry:
        """
        Say what is asked for; what depends on the moment is decided when it is reserved.
        """
        profile = self._profiles.get(asked.profile)
        if profile is None:
            raise GatewayRefusedError(f"no profile {asked.profile!r}", code="badRequest")
        subject = admission.subject(profile, asked.common_name)
        begin, end = admission.validity(asked.not_before, asked.not_after)
        admission.key_is_accepted(profile, key)
        admission.validity_fits(profile, begin, end, self._opened.issuing.certificate)
        serial = new_serial()
        to_be_signed = self._templates[asked.profile].fill(
            serial=serial, subject=subject, not_before=begin, not_after=end, key=key
        )
        return Entry(
            serial=_hex(serial),
            request_id=request_id,
            spki_sha256=key.sha256,
            profile=asked.profile,
            subject=subject.rfc4514_string(),
            not_before=begin.isoformat(),
            not_after=end.isoformat(),
            tbs=to_be_signed,
        )

    def _reserve_all(
        self, read: list[Entry | GatewayRefusedError]
    ) -> list[Entry | GatewayRefusedError]:
        with self._book.work():
            return [
                _or_refusal(self._reserve, item) if isinstance(item, Entry) else item
                for item in read
            ]

    def _reserve(self, asked: Entry) -> Entry:
        before = self._book.by_request(str(asked.request_id))
        if before is not None:
            return _same_or_refused(before, asked)
        admission.is_not_over(datetime.fromisoformat(asked.not_after), self._clock.now())
        if self._book.by_key(asked.spki_sha256) is not None:
            raise GatewayRefusedError("this public key was used before", code="duplicateCertReq")
        self._book.reserve(asked)
        return asked

    def _finish(self, entries: list[Entry]) -> dict[str, bytes]:
        """
        Sign and keep what is not signed yet; return all certificates by serial.
        """
        signed = {entry.serial: entry.certificate or self._sign(entry) for entry in entries}
        new = [entry for entry in entries if entry.certificate is None]
        if new:
            self._keep(new, signed)
            self._tell()
        return signed

    def _sign(self, entry: Entry) -> bytes:
        return self._opened.issuing.sign(entry.tbs)

    def _keep(self, entries: list[Entry], signed: dict[str, bytes]) -> None:
        with self._book.work():
            for entry in entries:
                if self._book.complete(entry.serial, signed[entry.serial]):
                    self._issued_at(self._clock.now(), entry)

    def _plant(self, seed: Seed) -> bytes:
        asked = self._entry(seed, None, _key_of(seed.key))
        before = self._book.by_key(asked.spki_sha256)
        if before is not None:
            before = _same_or_refused(before, asked)
            return before.certificate or self._sign(before)
        certificate = self._sign(asked)
        self._book.reserve(asked)
        self._book.complete(asked.serial, certificate)
        self._issued_at(datetime.fromisoformat(asked.not_before), asked)
        return certificate

    def _issued_at(self, at: datetime, entry: Entry) -> None:
        self._history.remember("issue", entry, at, request_id=entry.request_id, reason=None)

    def _tell(self) -> None:
        self._history.tell()


def _as_bytes(passphrase: Secret | str | bytes) -> bytes:
    if isinstance(passphrase, Secret):
        return passphrase.value
    return passphrase.encode() if isinstance(passphrase, str) else passphrase


def _hex(serial: int) -> str:
    return f"{serial:x}"


def _key_of(der: bytes) -> SubjectKey:
    try:
        x509.load_der_x509_csr(der)
    except (ValueError, x509.InvalidVersion):
        return subject_key.from_public_key(der)
    return subject_key.from_request(der)


_Asked = TypeVar("_Asked")
_Given = TypeVar("_Given")


def _or_refusal(step: Callable[[_Asked], _Given], asked: _Asked) -> _Given | GatewayRefusedError:
    try:
        return step(asked)
    except GatewayRefusedError as refusal:
        return refusal


def _same_or_refused(before: Entry, asked: Entry) -> Entry:
    if before.request_id != asked.request_id:
        raise GatewayRefusedError("this public key was used before", code="duplicateCertReq")
    if not before.is_same_request(asked):
        raise GatewayRefusedError(
            f"{asked.request_id or 'this key'} was asked before, for something else",
            code="duplicateCertReq",
        )
    return before
