"""One certificate of each product renewed from end to end, one left alone and one under way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schema.tables.people import certificates
from tests.scenario.sample import END
from tests.scenario.scenario import Scenario

if TYPE_CHECKING:
    from pathlib import Path

BROWSER = "securities-browser"
#: The renewed ones are 1 to 3 and become 6 to 8; nothing is done with 4; 5 is being renewed.
PRODUCTS = {1: BROWSER, 2: "corporate-token", 3: "cooperative-card", 4: BROWSER, 5: BROWSER}


def tell(home: Path, *, store_url: str = "") -> Scenario:
    """What happened, up to a quiet moment: everything is settled."""
    told = Scenario.opened(home, as_settings_say=True, store_url=store_url)
    with told.store.transaction() as work:
        numbers = work.new_ids(certificates, len(PRODUCTS))  # PostgreSQL counts them
    for number in numbers:
        told.take_in(number, PRODUCTS[number], END)
    told.turn()
    told.renewed(certificate=1)
    told.paid(2)
    told.requested(2)
    told.requested(3)
    station = told.station(2, 3)
    told.at_the_branch(station, rounds=5)
    station.incoming.close()
    told.requested(5)
    told.drain()
    return told
