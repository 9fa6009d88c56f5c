"""Takes customers and their certificates in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from renewal.lifecycle.certificates import schedule_reminder
from schema.policy import Storage
from simulation.client import BrowserKey
from tests.scenario import rows
from tests.scenario.tokens import manners_of, token_serial_of

if TYPE_CHECKING:
    from datetime import datetime

    from renewal.clock import VirtualClock
    from renewal.db.engine import Store
    from renewal.gateways.ca.embedded.adapter import EmbeddedCa
    from renewal.rules.policies import Policies
    from tests.scenario.tokens import TokenMaker
    from token_station.simulator.card import SimulatedCard
    from token_station.simulator.card_profiles import CardProfile


class Intake:
    """The side of a scenario by which customers come, and by which they and theirs are changed."""

    clock: VirtualClock
    old_keys: dict[int, BrowserKey]
    keys: list[BrowserKey]
    cards: dict[int, SimulatedCard]

    if TYPE_CHECKING:

        @property
        def store(self) -> Store: ...
        @property
        def policies(self) -> Policies: ...
        @property
        def ca(self) -> EmbeddedCa: ...
        @property
        def tokens(self) -> TokenMaker: ...

    # --- with a certificate that the CA has issued ----------------------------------------------

    def take_in(
        self,
        number: int,
        product: str,
        ends: datetime,
        *,
        token: str = "",
        manners: CardProfile | None = None,
        person: dict[str, Any] | None = None,
        contract: dict[str, Any] | None = None,
    ) -> None:
        """
        A customer with a real certificate of the same number, on a token where the policy wants
        one. ``person`` and ``contract``: what the builders of their rows are told.
        """
        der = self._certified(number, product, ends, token, manners or manners_of(number))
        serial = self.cards[number].serial if number in self.cards else None
        with self.store.transaction() as work:
            cipher, moment = work.cipher, work.at
            work.customers.put(rows.customer(cipher, number, **(person or {})))
            work.enrolments.put(rows.enrolment(cipher, number, product, **(contract or {})))
            work.certificates.put(
                rows.issued_certificate(
                    cipher, number, product, der, token_serial=serial, remind_at=moment
                )
            )

    def enrol(self, number: int, product: str, **contract: Any) -> int:  # noqa: ANN401 - columns
        """A customer with an account for the product, and no certificate."""
        with self.store.transaction() as work:
            if work.customers.find(number) is None:
                work.customers.put(rows.customer(work.cipher, number))
            work.enrolments.put(rows.enrolment(work.cipher, number, product, **contract))
        return number

    def _certified(
        self, number: int, product: str, ends: datetime, token: str, manners: CardProfile
    ) -> bytes:
        certified: list[bytes] = []

        def certify(spki: bytes) -> bytes:
            certified.append(self.seeded(number, spki, ends))
            return certified[0]

        if self.policies.of(product).storage is Storage.BROWSER:
            self.old_keys[number] = BrowserKey.new()
            self.keys.append(self.old_keys[number])
            return certify(self.old_keys[number].spki)
        serial = token or token_serial_of(number)
        self.cards[number] = self.tokens.make(serial, certify, manners=manners)
        return certified[0]

    def seeded(self, number: int, spki: bytes, ends: datetime) -> bytes:
        """A certificate that the CA has issued to this key in the year before."""
        name = f"{rows.id_number_of(number)}-00-{number:06d}"
        return self.ca.seed(spki, name, "signing", ends - rows.YEAR, ends)

    # --- with a certificate on record only -------------------------------------------------------

    def add(
        self,
        number: int,
        ends: datetime,
        *,
        product: str = "securities-browser",
        customer: int | None = None,
        told: int | None = None,
        look: datetime | None = None,
        mobile: bool = True,
        mail: bool = True,
        **person: Any,  # noqa: ANN401 - columns
    ) -> int:
        """
        A certificate, and its customer unless known. ``look``: when a reminder is first thought of.
        """
        owner = customer or number
        unknown = {name: None for name, is_ in (("mobile", mobile), ("mail", mail)) if not is_}
        with self.store.transaction() as work:
            if work.customers.find(owner) is None:
                work.customers.put(rows.customer(work.cipher, owner, **(unknown | person)))
            work.certificates.put(
                rows.certificate(
                    number,
                    product,
                    ends,
                    customer=owner,
                    told=told,
                    remind_at=look or self.clock.now(),
                )
            )
        return number

    # --- what becomes of them -------------------------------------------------------------------

    def change(self, number: int, **fields: object) -> None:
        with self.store.transaction() as work:
            work.certificates.change(work.certificates.get(number), **fields)

    def change_customer(self, number: int, **fields: object) -> None:
        with self.store.transaction() as work:
            work.customers.change(work.customers.get(number), **fields)

    def suspend(self, number: int) -> None:
        self.change(number, state="suspended", remind_at=None)

    def resume(self, number: int) -> None:
        with self.store.transaction() as work:
            row = work.certificates.change(work.certificates.get(number), state="active")
            schedule_reminder(work, row, self.policies)
