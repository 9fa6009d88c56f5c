"""Makes a small bank on disk for tests of the command: three products, a customer each."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from renewal.clock import TAIPEI
from schema.taipei import day_of, end_of
from simulation.client import BrowserKey
from tests.scenario.rows import issued_certificate
from tests.scenario.scenario import Scenario
from tests.scenario.tokens import PIN, PUK
from token_station.simulator import card_profiles
from xuqi.cli.context import CliContext
from xuqi.cli.main import xuqi

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric import ec

    from token_station.simulator.card import SimulatedCard

MONDAY = datetime(2026, 3, 2, 10, tzinfo=TAIPEI).astimezone(UTC)
DAYS_LEFT = 18
YEAR = timedelta(days=364)
BROWSER, CORPORATE, CARD = 1, 2, 3  #: certificates, and their customers
ANOTHER_CARD = 4
__all__ = ["PIN", "PUK"]
PRODUCTS = {
    BROWSER: "securities-browser",
    CORPORATE: "corporate-token",
    CARD: "cooperative-card",
    ANOTHER_CARD: "cooperative-card",
}


@dataclass
class Bank(Scenario):
    """A scenario, and the command on it, with the gateways that its settings name."""

    environment: dict[str, str] = field(default_factory=dict)
    end: datetime = field(init=False)  #: of every certificate

    def __post_init__(self) -> None:
        self.end = end_of(day_of(self.clock.now() + timedelta(days=DAYS_LEFT)))

    def run(self, *args: str, typed: str = "", lang: str = "en") -> Result:
        """What somebody who types the command sees."""
        context = CliContext(home=self.home, clock=self.clock, environment=self.environment)
        return CliRunner().invoke(
            xuqi, ["--lang", lang, *args], obj=context, input=typed, catch_exceptions=False
        )

    def json(self, *args: str) -> Any:  # noqa: ANN401 - whatever the command prints
        result = self.run(*args, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def listed(self, *args: str) -> list[Any]:
        """The lines that the command prints."""
        result = self.run(*args, "--json")
        assert result.exit_code == 0, result.output
        return [json.loads(line) for line in result.stdout.splitlines()]

    def card(
        self, number: int, *, make: card_profiles.CardProfile = card_profiles.JAVACARD
    ) -> SimulatedCard:
        """A token with the customer's certificate on it, which is put on file."""
        self.take_in(number, PRODUCTS[number], self.end, token=f"029dc2d{number}", manners=make)
        return self.cards[number]

    def browser(self, number: int = BROWSER) -> None:
        self.take_in(number, PRODUCTS[number], self.end)

    def files_handed_in(self, renewal: str, folder: Path) -> list[str]:
        """The files that confirm a renewal of a browser's certificate, as options."""
        files = self.handed_in(self.renewal(renewal), BrowserKey.new().request())
        for name, data in files.items():
            (folder / name).write_bytes(data)
        return [part for name in files for part in (f"--{name}", str(folder / name))]

    def certified(self, number: int, spki: bytes) -> bytes:
        """The customer's certificate is for this key from now on."""
        der = self.seeded(number, spki, self.end)
        with self.store.transaction() as work:
            row = issued_certificate(work.cipher, number, PRODUCTS[number], der)
            work.certificates.change(
                work.certificates.get(number),
                serial=row.serial,
                spki_sha256=row.spki_sha256,
                certificate_sha256=row.certificate_sha256,
                der_sealed=row.der_sealed,
            )
        return der


@contextmanager
def opened(
    home: Path,
    at: datetime = MONDAY,
    **settings: Any,  # noqa: ANN401 - fields of Settings
) -> Iterator[Bank]:
    bank = Bank.opened(home, at=at, as_settings_say=True, **settings)
    try:
        yield bank
    finally:
        bank.close()


def request_for(key: ec.EllipticCurvePrivateKey) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, SHA256()).public_bytes(Encoding.DER)


def command_line(*args: str) -> list[str]:
    return [sys.executable, "-m", "xuqi", *args]


def surroundings(home: Path, **more: str) -> dict[str, str]:
    """The environment of a real process on that home."""
    usual = {name: it for name, it in os.environ.items() if not name.startswith("XUQI_")}
    return {**usual, "XUQI_HOME": str(home), "LANG": "en_US.UTF-8", **more}
