"""Staff give out a blank token in the place of a lost one, and the station enrols it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from back_office.tokens import TokenActions
from renewal.db.rows import Renewal
from renewal.rules.validity import new_validity
from schema.reasons import RefusalReason
from schema.states import CertificateState
from tests.scenario.rows import BRANCH
from tests.scenario.sample import BROWSER, CARD, TOKEN, TOKEN_SERIALS
from tests.scenario.tokens import PIN, station_of
from token_station.simulator.card import blank
from token_station.simulator.card_profiles import JAVACARD
from token_station.simulator.reader import SimulatedReader
from xuqi.check import findings

if TYPE_CHECKING:
    from tests.scenario.scenario import Scenario
    from token_station.journal import JournalEntry
    from token_station.station import Station

NEW = "0a0b0c0d"


class Holder:
    """Chooses the PIN of a token that the clerk names."""

    def pin(self, _job: JournalEntry, _tries_left: int | None) -> str | None:
        return PIN

    def first_pin(self, _job: JournalEntry) -> str | None:
        return PIN

    def assigns_serial(self, job: JournalEntry, _reader: str) -> bool:
        return job.token_serial == NEW

    def releases_last_try(self, _job: JournalEntry) -> bool:
        return False


def station_with_a_blank_token(world: Scenario) -> Station:
    reader = SimulatedReader("Reader 1")
    reader.insert(blank(world.app.settings.home / "cards" / "blank.json", JAVACARD, number="1"))
    return station_of(world.app, [reader], operator=Holder())


def order(world: Scenario, certificate: int, token: str = NEW) -> Renewal | RefusalReason:
    office = world.app.back_office
    return office.replace_token(certificate, token, who="wang", why="lost", branch="001")


def test_a_lost_token_is_replaced_and_its_certificate_revoked_after_the_new_one_is_proven(
    world: Scenario,
) -> None:
    ordered = order(world, CARD)
    assert isinstance(ordered, Renewal)

    world.at_the_branch(station_with_a_blank_token(world))

    done = world.renewal(ordered.id)
    assert done.state == "done"
    with world.app.store.snapshot() as look:
        new = look.certificates.get(done.new_certificate)
        old = look.certificates.get(CARD)
    policy = world.app.policies.of(new.product)
    assert (new.not_before, new.not_after) == new_validity(policy, new.not_before, None)
    assert new.not_before <= world.clock.now() < old.not_after
    assert (new.token_serial, new.state) == (NEW, CertificateState.ACTIVE)
    assert old.state == CertificateState.REVOKED, "though its product's policy keeps old ones"
    assert world.status_at_ca(CARD).value == "revoked"
    assert not list(findings(world.app))


@pytest.mark.parametrize("step", ["hold", "lost"])
def test_what_was_issued_for_a_token_that_is_out_of_hand_is_not_put_in_force(
    world: Scenario, step: str
) -> None:
    ordered = order(world, CARD)
    assert isinstance(ordered, Renewal)
    station = station_with_a_blank_token(world)
    world.drain()
    station.take()
    station.work()
    world.drain()
    assert world.renewal(ordered.id).state == "issued"

    TokenActions(world.store).move(NEW, step, who="lin", why="left on the bus")
    station.take()
    station.work()
    world.drain()

    ended = world.renewal(ordered.id)
    assert (ended.state, ended.old_state) == ("refused", "untouched")
    assert ended.new_certificate is not None
    assert world.certificate(ended.new_certificate).state == "revoked"
    assert world.certificate(CARD).state == "active"


@pytest.mark.parametrize(
    ("certificate", "serial", "why"),
    [
        (BROWSER, NEW, RefusalReason.ON_NO_TOKEN),
        (CARD, TOKEN_SERIALS[TOKEN], RefusalReason.TOKEN_IN_USE),
    ],
)
def test_what_cannot_be_replaced_is_refused(
    world: Scenario, certificate: int, serial: str, why: RefusalReason
) -> None:
    assert order(world, certificate, serial) is why


def test_one_blank_token_is_given_out_once(world: Scenario) -> None:
    assert isinstance(order(world, CARD), Renewal)

    world.paid(TOKEN)

    assert order(world, TOKEN) is RefusalReason.TOKEN_IN_USE


def test_a_token_on_the_books_is_assigned_to_its_customer_first(world: Scenario) -> None:
    books = TokenActions(world.store)
    books.register(NEW, BRANCH, who="lin", why="delivered")

    in_stock = order(world, CARD)
    books.assign(NEW, CARD, who="lin", why="new token")

    assert in_stock is RefusalReason.TOKEN_NOT_ASSIGNED
    assert isinstance(order(world, CARD), Renewal)


def test_a_token_that_came_back_is_given_out_again(world: Scenario) -> None:
    books, back = TokenActions(world.store), TOKEN_SERIALS[TOKEN]
    for step in ("return", "restock"):
        books.move(back, step, who="lin", why="given back")
    books.assign(back, CARD, who="lin", why="for another customer")

    too_early = order(world, CARD, back)
    world.drain()

    assert too_early is RefusalReason.TOKEN_IN_USE, "its certificate is not revoked yet"
    assert isinstance(order(world, CARD, back), Renewal)


@pytest.mark.parametrize("days", [100, 0])
def test_a_fee_that_is_paid_beforehand_is_paid_before_a_token_is_given_out(
    world: Scenario, days: int
) -> None:
    with world.store.transaction() as work:
        row = work.certificates.get(TOKEN)
        work.certificates.change(row, not_after=row.not_after + timedelta(days=days))

    assert order(world, TOKEN) is RefusalReason.FEE_NOT_PAID
