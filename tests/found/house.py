"""The small house of the flows, with carriers opened as settings say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scheduler import jobs
from tests.servers.twilio_simulator import ACCOUNT, TOKEN, TwilioSimulator, error
from xuqi.bootstrap import Gateways, open_gateways

if TYPE_CHECKING:
    from tests.scenario.scenario import Scenario

CODES, REMINDERS = "MG" + "c" * 32, "MG" + "e" * 32
PUBLIC = "https://cert.bank.example"


def connect(
    world: Scenario, *, carrier: TwilioSimulator | None = None, mail: str = "", public: str = PUBLIC
) -> None:
    """Send by this carrier and this mail server from now on."""
    sms = f"twilio://{ACCOUNT}@{CODES}/{REMINDERS}?base={carrier.url}" if carrier else ""
    (world.home / "secrets" / "twilio.key").write_text(TOKEN)
    settings = world.app.settings
    settings = replace(
        settings,
        sms_url=sms or settings.sms_url,
        mail_url=mail or settings.mail_url,
        public_url=public,
    )
    real, before = open_gateways(settings, world.clock, world.app.keys), world.app.gateways
    outside = Gateways(
        sms=real.sms if sms else before.sms,
        mail=real.mail if mail else before.mail,
        ca=before.ca,
        bank=before.bank,
    )
    world.app = replace(world.app, settings=settings, gateways=outside)
    if carrier is not None:
        carrier.now = world.clock.now


def disconnect(world: Scenario) -> None:
    """Hang up, so that no socket is left open."""
    for gateway in (world.app.gateways.sms, world.app.gateways.mail):
        close = getattr(gateway, "close", None)
        if close is not None:
            close()


def remind(world: Scenario) -> None:
    """The scheduler's turn, and everything that follows from it at this hour."""
    for job in (jobs.scan, jobs.leave, jobs.remind, jobs.tend):
        job(world.app.store, world.app.policies)
    world.drain()


class Refusing(TwilioSimulator):
    """A carrier that refuses each new message with one number, until it is told otherwise."""

    def __init__(self, code: int, status: int = 400) -> None:
        super().__init__()
        self.code: int | None = code
        self.status = status
        self.asked = 0

    def create(self, form: dict[str, str]) -> tuple[int, dict[str, object]]:
        self.asked += 1
        if self.code is not None:
            return error(self.status, self.code, "told to refuse")
        return super().create(form)
