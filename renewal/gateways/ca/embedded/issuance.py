"""Issues exactly once: reserve, sign, store, log."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from renewal.errors import GatewayRefusedError
from renewal.gateways.ca.embedded import admission
from renewal.gateways.ca.embedded.database import CaDatabase, CaEntry
from renewal.gateways.ca.port import Issued

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from renewal.clock import Clock
    from renewal.gateways.ca.embedded.authority import Authority
    from renewal.gateways.ca.embedded.drafts import Drafts, Seed
    from renewal.gateways.ca.embedded.history import CaHistory
    from renewal.gateways.ca.port import IssuanceRequest

Reserved = list[CaEntry | GatewayRefusedError]
_Asked = TypeVar("_Asked")
_Given = TypeVar("_Given")


class CaIssuance:
    """Each step is a method, and a power cut between any two of them does no harm."""

    def __init__(
        self, book: CaDatabase, drafts: Drafts, issuing: Authority, history: CaHistory, clock: Clock
    ) -> None:
        self._book = book
        self._drafts = drafts
        self._issuing = issuing
        self._history = history
        self._clock = clock

    def issue_many(self, requests: Sequence[IssuanceRequest]) -> list[Issued | GatewayRefusedError]:
        drafts = [_or_refusal(self._drafts.of_request, request) for request in requests]
        reserved = self.reserve(drafts)
        certificates = self._finish([entry for entry in reserved if isinstance(entry, CaEntry)])
        return [
            Issued(certificate=certificates[item.serial]) if isinstance(item, CaEntry) else item
            for item in reserved
        ]

    def recover(self, request_id: str) -> Issued | None:
        entry = self._book.by_request(request_id)
        if entry is None:
            return None
        return Issued(certificate=self._finish([entry])[entry.serial])

    def seed_many(self, seeds: Iterable[Seed]) -> list[bytes]:
        with self._book.work():
            certificates = [self._plant(seed) for seed in seeds]
        self._history.tell()
        return certificates

    def reserve(self, drafts: Reserved) -> Reserved:
        """Put what will be signed on record, in one transaction."""
        with self._book.work():
            return [
                _or_refusal(self._reserve, draft) if isinstance(draft, CaEntry) else draft
                for draft in drafts
            ]

    def _reserve(self, draft: CaEntry) -> CaEntry:
        before = self._book.by_request(str(draft.request_id))
        if before is not None:
            return _same_or_refused(before, draft)
        admission.is_not_over(datetime.fromisoformat(draft.not_after), self._clock.now())
        if self._book.by_key(draft.spki_sha256) is not None:
            raise GatewayRefusedError("this public key was used before", code="duplicateCertReq")
        self._book.reserve(draft)
        return draft

    def _finish(self, entries: list[CaEntry]) -> dict[str, bytes]:
        """Sign and keep what is not signed yet; return all certificates by serial."""
        signed = {entry.serial: entry.certificate or self.sign(entry) for entry in entries}
        new = [entry for entry in entries if entry.certificate is None]
        if new:
            self.keep(new, signed)
        self._history.tell()
        return signed

    def sign(self, entry: CaEntry) -> bytes:
        """Sign what was reserved: after a power cut the same bytes again."""
        return self._issuing.sign(entry.tbs)

    def keep(self, entries: list[CaEntry], signed: dict[str, bytes]) -> None:
        """Keep the certificates and the deeds in one transaction."""
        with self._book.work():
            for entry in entries:
                if self._book.complete(entry.serial, signed[entry.serial]):
                    self._remember(self._clock.now(), entry)

    def _plant(self, seed: Seed) -> bytes:
        draft = self._drafts.of_seed(seed)
        before = self._book.by_key(draft.spki_sha256)
        if before is not None:
            before = _same_or_refused(before, draft)
            return before.certificate or self.sign(before)
        certificate = self.sign(draft)
        self._book.reserve(draft)
        self._book.complete(draft.serial, certificate)
        self._remember(datetime.fromisoformat(draft.not_before), draft)
        return certificate

    def _remember(self, at: datetime, entry: CaEntry) -> None:
        self._history.remember("issue", entry, at, request_id=entry.request_id, reason=None)


def _or_refusal(step: Callable[[_Asked], _Given], asked: _Asked) -> _Given | GatewayRefusedError:
    try:
        return step(asked)
    except GatewayRefusedError as refusal:
        return refusal


def _same_or_refused(before: CaEntry, asked: CaEntry) -> CaEntry:
    if before.request_id != asked.request_id:
        raise GatewayRefusedError("this public key was used before", code="duplicateCertReq")
    if not before.is_same_request(asked):
        raise GatewayRefusedError(
            f"{asked.request_id or 'this key'} was asked before, for something else",
            code="duplicateCertReq",
        )
    return before
