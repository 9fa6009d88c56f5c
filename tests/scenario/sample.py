"""The sample bank: a customer of each product, 1 (browser), 2 (token, prepaid), 3 (card, hold)."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from schema.taipei import TAIPEI
from tests.scenario.scenario import START, Scenario
from tests.scenario.tokens import manners_of, token_serial_of

if TYPE_CHECKING:
    from pathlib import Path

BROWSER, TOKEN, CARD = 1, 2, 3  #: the certificates, and their customers
PRODUCTS = {BROWSER: "securities-browser", TOKEN: "corporate-token", CARD: "cooperative-card"}
TOKEN_SERIALS = {number: token_serial_of(number) for number in (TOKEN, CARD)}
CONTRACTS: dict[int, dict[str, Any]] = {
    BROWSER: {"customer_class": 2, "operator": "only user"},
    TOKEN: {},
    CARD: {},
}
END = datetime(2026, 3, 20, 23, 59, 59, tzinfo=TAIPEI).astimezone(UTC)  #: of every certificate


def open_sample(
    home: Path,
    *,
    like: Scenario | None = None,
    found_at: datetime | None = None,
    **options: Any,  # noqa: ANN401 - those of Scenario.opened
) -> Scenario:
    """
    The sample bank in the folder; it is 2 March, and its certificates end on the 20th.
    ``found_at``: the folder as it is, at that moment.
    """
    made = Scenario.opened(home, like=like, at=found_at or START, **options)
    if found_at is not None:
        made.cards = {
            number: made.tokens.find(serial, manners_of(number))
            for number, serial in TOKEN_SERIALS.items()
        }
    elif like is None:
        take_in_sample(made)
    return made


def take_in_sample(scenario: Scenario) -> None:
    for number, product in PRODUCTS.items():
        scenario.take_in(number, product, END, contract=CONTRACTS[number])


def policies_with(folder: Path, old: str, new: str) -> Path:
    """The sample policies with one thing said otherwise, in a folder of their own."""
    folder.mkdir()
    for file in files("schema").joinpath("policies").iterdir():
        if file.name.endswith(".toml"):
            (folder / file.name).write_text(file.read_text().replace(old, new))
    return folder
