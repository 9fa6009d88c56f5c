"""What customers and stations do."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from centre.actions import CodeSent
from producers.messages import reported
from renewal.db.rows import Payment, Renewal
from renewal.lifecycle import renewals
from renewal.lifecycle.requests import request
from renewal.rules.proof import confirmation
from schema.reasons import EndReason
from simulation.client import BrowserKey
from tests.scenario.rows import BRANCH
from tests.scenario.tokens import PIN, Patient, station_of
from token_station.simulator.reader import SimulatedReader

if TYPE_CHECKING:
    from centre.actions import Centre
    from renewal.db.engine import Store
    from renewal.db.rows import Certificate
    from renewal.gateways.sms.port import DeliveryReport
    from renewal.rules.policies import Policies
    from token_station.reader_views import ReaderView
    from token_station.simulator.card import SimulatedCard
    from token_station.station import Station
    from xuqi.bootstrap import App

SESSION = "the customer's session"
TERMS = "憑證更新約定條款 2026-01".encode()


class Acts:
    """The acting side of a scenario."""

    app: App
    keys: list[BrowserKey]
    cards: dict[int, SimulatedCard]

    if TYPE_CHECKING:

        @property
        def store(self) -> Store: ...
        @property
        def policies(self) -> Policies: ...
        def drain(self) -> None: ...
        def texted(self) -> list[str]: ...
        def renewal(self, key: str) -> Renewal: ...
        def certificate(self, number: int) -> Certificate: ...
        def der(self, number: int) -> bytes: ...

    @property
    def centre(self) -> Centre:
        return self.app.centre

    def code(
        self, *, certificate: int = 1, action: str = "renew", session: str = SESSION
    ) -> tuple[CodeSent, str]:
        """Ask for a code, and read it on the phone."""
        sent = self.centre.send_code(certificate, action=action, session=session)
        assert isinstance(sent, CodeSent), sent
        self.drain()
        return sent, (self.texted() or [""])[-1]

    def requested(self, certificate: int) -> Renewal:
        """The renewal, asked for at its branch where it is on a token."""
        branch = BRANCH if certificate in self.cards else None
        renewal = self.centre.request(certificate, branch=branch)
        assert isinstance(renewal, Renewal), renewal
        return renewal

    def applied(self, customer: int, product: str) -> tuple[Renewal, BrowserKey]:
        """An application, confirmed by code; nothing of it is delivered yet."""
        application, key = self.centre.apply(customer, product), BrowserKey.new()
        assert isinstance(application, Renewal), application
        sent, code = self.code(certificate=application.certificate, action="apply")
        answer = self.centre.confirm(
            application.id,
            challenge=sent.challenge,
            code=code,
            session=SESSION,
            csr=key.request(),
            terms=TERMS,
        )
        assert answer.result == "right", answer
        self.keys.append(key)
        return self.renewal(application.id), key

    def confirmed(
        self, key: BrowserKey | None = None, *, certificate: int = 1
    ) -> tuple[Renewal, BrowserKey]:
        """
        The browser's renewal, requested and confirmed by code; nothing of it is delivered yet.
        """
        key = key or BrowserKey.new()
        self.keys.append(key)
        renewal = self.requested(certificate)
        sent, code = self.code(certificate=certificate)
        answer = self.centre.confirm(
            renewal.id,
            challenge=sent.challenge,
            code=code,
            session=SESSION,
            **self.handed_in(renewal, key.request()),
        )
        assert answer.result == "right", answer
        return self.renewal(renewal.id), key

    def handed_in(self, renewal: Renewal, request: bytes) -> dict[str, Any]:
        """What a browser hands in: the request, and the present key's approval if it is here."""
        spki = self.certificate(renewal.certificate).spki_sha256
        present = (key for key in self.keys if hashlib.sha256(key.spki).digest() == spki)
        content = confirmation(renewal.id, renewal.challenge, request)
        approved = [key.approval(content, self.der(renewal.certificate)) for key in present]
        return {"csr": request, "approval": approved[0] if approved else None, "terms": TERMS}

    def issued(self, *, certificate: int = 1) -> tuple[Renewal, BrowserKey]:
        """The browser's renewal, issued and not yet collected."""
        renewal, key = self.confirmed(certificate=certificate)
        self.drain()
        renewal = self.renewal(renewal.id)
        assert renewal.state == "issued", renewal.state
        return renewal, key

    def renewed(self, *, certificate: int = 1) -> Renewal:
        """The browser's renewal, collected and proved."""
        renewal, key = self.issued(certificate=certificate)
        self.centre.collect(renewal.id)
        self.centre.prove(renewal.id, key.sign(self.renewal(renewal.id).challenge))
        self.drain()
        return self.renewal(renewal.id)

    def paid(self, certificate: int = 2) -> Payment:
        payment = self.centre.pay(certificate)
        assert isinstance(payment, Payment), payment
        self.drain()
        with self.store.snapshot() as snapshot:
            return snapshot.payments.get(payment.id)

    # --- on record only: what the centre does, without its consumers -----------------------------

    def request(self, number: int) -> str:
        with self.store.transaction() as work:
            asked = request(work, work.certificates.get(number), self.policies, branch=None)
            assert isinstance(asked, Renewal), asked
            return asked.id

    def abandon(self, renewal: str) -> None:
        with self.store.transaction() as work:
            row = work.renewals.get(renewal)
            renewals.abandon(work, row, EndReason.DECLINED_BY_CUSTOMER, self.policies)

    def report(self, ref: str, report: DeliveryReport, code: str = "") -> bool:
        """The carrier calls back."""
        with self.store.transaction() as work:
            return reported(work, ref, report, code)

    # --- at the branch --------------------------------------------------------------------------

    def station(self, *certificates: int, pin: str = PIN, branch: str = BRANCH) -> Station:
        """A station with the tokens of these certificates in its readers."""
        readers = [SimulatedReader(f"Reader {number}") for number in certificates]
        for reader, number in zip(readers, certificates, strict=True):
            reader.insert(self.cards[number])
        return station_of(self.app, readers, operator=Patient(pin), branch=branch)

    def at_the_branch(self, station: Station, rounds: int = 4) -> list[list[ReaderView]]:
        """Let station and bank talk until the tokens are written."""
        seen = []
        for _ in range(rounds):
            self.drain()
            station.take()
            seen.append(station.work())
        self.drain()
        return seen
