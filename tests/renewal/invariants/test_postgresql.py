"""The same on PostgreSQL, where each query is another one to the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from renewal.invariants import INVARIANTS
from simulation.servers.postgresql import cluster
from tests.renewal.invariants.story import tell
from xuqi.check import counts, findings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xuqi.bootstrap import App


pytestmark = pytest.mark.postgresql


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with cluster() as server:
        story = tell(tmp_path_factory.mktemp("story"), store_url=server)
        yield story.app
        story.close()


@pytest.fixture
def broken(app: App, request: pytest.FixtureRequest) -> Iterator[App]:
    """Statements have broken it, and are taken back after the test."""
    statements, taken_back = request.param
    _execute(app, statements)
    yield app
    _execute(app, taken_back)


def _execute(app: App, statements: str) -> None:
    with app.store.engine.begin() as connection:
        for statement in statements.split(";"):
            connection.exec_driver_sql(statement)


def test_a_house_where_all_went_well_has_only_zeros(app: App) -> None:
    assert counts(app) == dict.fromkeys(INVARIANTS, 0)


CASES = [
    (
        "UPDATE certificates SET state = 'superseded' WHERE id = 4",
        "UPDATE certificates SET state = 'active' WHERE id = 4",
        "superseded, and no renewal put another in its place",
    ),
    (
        "UPDATE renewals SET fee_state = 'voided' WHERE id = 'R00000003-01'",
        "UPDATE renewals SET fee_state = 'captured' WHERE id = 'R00000003-01'",
        "the fee's state or amount is not what the books say",
    ),
    (
        "UPDATE payments SET amount = amount + 1",
        "UPDATE payments SET amount = amount - 1",
        "the payment's state or amount is not what the books say",
    ),
    (
        (
            "INSERT INTO messages SELECT 'M2', kind, customer, channel, state, owed_at, claimed_at,"
            " timestamptz '2026-03-02 15:59:59.999999Z', ended_at, carrier_id, code, text_hash,"
            " instead_of, renewal, version FROM messages WHERE customer = 4;"
            " INSERT INTO told VALUES (4, 29, 'sms', 'M2')"
        ),
        "DELETE FROM told WHERE message = 'M2'; DELETE FROM messages WHERE id = 'M2'",
        "two reminders by SMS on one day",
    ),
    (
        "UPDATE inbox SET state = 'begun' WHERE identity = 'renewal-confirmed.v1:R00000001-01'",
        "UPDATE inbox SET state = 'settled' WHERE identity = 'renewal-confirmed.v1:R00000001-01'",
        "an event that was taken up, and waits nowhere",
    ),
    (
        "UPDATE renewals SET state = 'confirmed' WHERE id = 'R00000005-01'",
        "UPDATE renewals SET state = 'requested' WHERE id = 'R00000005-01'",
        "a renewal that waits for us, and no event moves it on",
    ),
]


@pytest.mark.parametrize(
    ("broken", "what"),
    [((statements, back), what) for statements, back, what in CASES],
    indirect=["broken"],
    ids=[what for _, _, what in CASES],
)
def test_what_is_broken_is_found_and_nothing_else(broken: App, what: str) -> None:
    assert [one.what for one in findings(broken)] == [what]
