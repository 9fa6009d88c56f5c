"""Unpacks an installation of version 0.1 and puts today's program on it."""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

import sqlalchemy as sa
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from renewal.clock import VirtualClock
from renewal.gateways.activity_log import ActivityLog
from simulation.client import BrowserKey
from tests.scenario.outside import Weather
from tests.scenario.sample import open_sample
from token_station.simulator.card import SimulatedCard
from token_station.simulator.card_profiles import NATIVE
from xuqi.cli.context import CliContext
from xuqi.cli.main import xuqi

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    from tests.scenario.scenario import Scenario

HERE = Path(__file__).parent

#: What each certificate was in the middle of: as in `make_home_of_0_1.py`.
ISSUED, PAYMENT_PENDING, TOKEN_JOB = 1, 2, 3
CODE_OPEN, PROVEN, TEXT_PENDING, TEXT_UNSURE, DEAD_LETTER, ISSUE_UNSURE = 4, 5, 6, 7, 8, 9
CARD_OF_THE_DEAD_LETTER = "029dc2d8"
PIN = "135790"  #: of every card then


@dataclass(frozen=True, kw_only=True)
class OldHome:
    """A folder, and where its database is, as the old version left them."""

    folder: Path
    store_url: str

    @property
    def stopped_at(self) -> datetime:
        stopped = json.loads((self.folder / "stopped.json").read_text())
        return datetime.fromisoformat(stopped["at"])

    def run(self, *args: str, at: datetime | None = None, lang: str = "en", **more: str) -> Result:
        """What somebody who types today's command sees."""
        environment = {"XUQI_STORE_URL": self.store_url} if self.store_url else {}
        context = CliContext(
            home=self.folder,
            clock=VirtualClock(at or self.stopped_at),
            environment={**environment, **more},
        )
        try:
            return CliRunner().invoke(xuqi, ["--lang", lang, *args], obj=context)
        finally:
            context.close()

    def key(self, number: int, *, of_before: bool = False) -> BrowserKey:
        """What the customer has in the browser: the new key, or the one in force."""
        name = f"{number}-old.pem" if of_before else f"{number}.pem"
        pem = (self.folder / "customers" / name).read_bytes()
        return BrowserKey(cast("EllipticCurvePrivateKey", load_pem_private_key(pem, None)))

    def opened(self) -> Scenario:
        """Today's program on it, at the moment when the old one stopped; all is well outside."""
        world = open_sample(
            self.folder, weather=Weather(), store_url=self.store_url, found_at=self.stopped_at
        )
        path = self.folder / "cards" / f"{CARD_OF_THE_DEAD_LETTER}.json"
        outside = ActivityLog(self.folder / "outside" / "cards.jsonl", world.clock)
        world.cards[DEAD_LETTER] = SimulatedCard(path, NATIVE, outside)
        return world


def unpacked(kind: str, folder: Path) -> Path:
    with tarfile.open(HERE / f"home-0.1.{kind}.tar.gz") as tar:
        tar.extractall(folder, filter="data")
    return folder / "home"


def loaded(url: str, dump: Path) -> None:
    """Fill an empty database."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        cursor = connection.connection.cursor()
        cursor.execute(dump.read_text())  # many statements: the driver's simple protocol
    engine.dispose()
