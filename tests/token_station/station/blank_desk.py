"""Puts a blank token before a branch's station, and a holder who chooses its PIN."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from renewal.clock import VirtualClock
from renewal.gateways.activity_log import ActivityLog
from renewal.rules.proof import verify_possession
from renewal.rules.token_keys import WriteKeys, puk_of_token
from tests.token_station.station.branch import Branch, Holder
from tests.token_station.tokens import MANAGEMENT_KEY, PIN, START, Desk
from token_station.piv.session import PivSession, open_token
from token_station.simulator.card import blank
from token_station.simulator.reader import SimulatedReader

if TYPE_CHECKING:
    from token_station.journal import JournalEntry

MAKERS_NUMBER = "0badcafe"
KEYS = WriteKeys(MANAGEMENT_KEY)


@dataclass
class BlankDesk(Desk):
    """A desk whose token is as its maker delivers it."""

    tells_serial: bool = False

    def __post_init__(self) -> None:
        self.ledger_path = self.path / "cards.jsonl"
        self.ledger = ActivityLog(self.ledger_path, VirtualClock(START))
        self.card_path = self.path / "blank.json"
        self.card = blank(
            self.card_path,
            self.manners,
            number=self.serial if self.tells_serial else MAKERS_NUMBER,
            has_serial=self.tells_serial,
            ledger=self.ledger,
        )
        self.reader = SimulatedReader("Desk 1")
        self.reader.insert(self.card)
        self.old = b""

    def session(self) -> PivSession:
        return open_token(self.reader, KEYS)


@dataclass
class NewHolder(Holder):
    """Says which blank token it is, and chooses its first PIN."""

    assigns: bool = True
    first_pins: list[str | None] = field(default_factory=lambda: [PIN], repr=False)
    asked_first: int = 0

    def assigns_serial(self, job: JournalEntry, reader: str) -> bool:
        assert job.is_enrolment
        assert reader == "Desk 1"
        return self.assigns

    def first_pin(self, job: JournalEntry) -> str | None:
        assert job.is_enrolment
        self.asked_first += 1
        return self.first_pins.pop(0) if len(self.first_pins) > 1 else self.first_pins[0]


def assert_enrolled(branch: Branch) -> None:
    """Proven, with codes of its own and full counters, and nothing of it made twice."""
    desk, new = branch.desk, branch.centre.issued[branch.renewal]
    session = desk.session()
    assert session.serial == desk.serial
    assert session.read_certificate("9C") == new
    verify_possession(new, b"new", session.sign("9C", b"new", pin=PIN))
    own = KEYS.own(desk.serial)
    assert own is not None
    open_token(desk.reader, own).authorize_write()
    card = desk.reader.card
    assert card is not None
    assert (card.pin_left, card.puk_left) == (desk.manners.pin_tries, desk.manners.puk_tries)
    session.unblock_pin(puk_of_token(own), PIN, last_try_released=True)
    assert branch.station.journal.open_jobs() == []
    made = [line for line in desk.ledger_path.read_text().splitlines() if '"generate"' in line]
    assert len(made) == 1
