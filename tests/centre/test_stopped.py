"""Suspends and revokes certificates while their renewals are under way (I2)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from renewal.errors import NotNowError
from schema.events import Change, ChangeRequested
from schema.reasons import RefusalReason
from simulation.client import BrowserKey
from tests.scenario.acts import SESSION
from tests.scenario.rows import BRANCH
from tests.scenario.sample import BROWSER, CARD, TOKEN

if TYPE_CHECKING:
    from renewal.db.rows import Renewal
    from tests.scenario.scenario import Scenario

STOPS = pytest.mark.parametrize(
    ("change", "state", "at_ca"),
    [(Change.SUSPEND, "suspended", "on hold"), (Change.REVOKE, "revoked", "revoked")],
)


def ask(world: Scenario, certificate: int, change: Change) -> None:
    world.app.back_office.ask_change(certificate, change, who="teller 7", why="lost token")


def ask_as_before(world: Scenario, certificate: int) -> None:
    """As version 0.1 asked for a suspension: nothing is closed until the CA has answered."""
    with world.app.store.transaction() as work:
        row = work.certificates.get(certificate)
        work.certificates.change(row, changes=row.changes + 1)
        work.emit(
            ChangeRequested(certificate=row.id, change=Change.SUSPEND, number=row.changes + 1)
        )


def assert_ended(world: Scenario, renewal: Renewal, state: str, at_ca: str) -> None:
    now = world.renewal(renewal.id)
    assert (now.state, now.why) == ("refused", f"ended_{state}")
    assert world.certificate(renewal.certificate).state == state
    assert world.status_at_ca(renewal.certificate) == at_ca
    if now.new_certificate is not None:
        assert world.certificate(now.new_certificate).state == "revoked"
        assert world.status_at_ca(now.new_certificate) == "revoked"
    ours = world.rows("SELECT serial FROM certificates")
    for line in world.outside("ca"):
        assert (line["serial"],) in ours  # I3
    assert world.dead() == []
    assert world.rows("SELECT count(*) FROM parked") == [(0,)]


@pytest.mark.parametrize("certificate", [BROWSER, TOKEN, CARD])
@STOPS
def test_what_is_stopped_is_not_renewed(
    world: Scenario, certificate: int, change: Change, state: str, at_ca: str
) -> None:
    if certificate == TOKEN:
        world.paid()
    ask(world, certificate, change)
    world.drain()

    assert world.centre.request(certificate, branch=BRANCH) == RefusalReason(f"certificate_{state}")
    assert world.status_at_ca(certificate) == at_ca


@STOPS
def test_a_renewal_that_waits_for_its_code_ends(
    world: Scenario, change: Change, state: str, at_ca: str
) -> None:
    renewal = world.requested(BROWSER)
    sent, code = world.code()
    ask(world, BROWSER, change)
    world.drain()

    with pytest.raises(NotNowError):
        world.centre.confirm(
            renewal.id,
            challenge=sent.challenge,
            code=code,
            session=SESSION,
            **world.handed_in(renewal, BrowserKey.new().request()),
        )
    assert_ended(world, renewal, state, at_ca)


@STOPS
def test_a_certificate_that_was_issued_is_taken_back(
    world: Scenario, change: Change, state: str, at_ca: str
) -> None:
    renewal, key = world.issued()
    world.centre.collect(renewal.id)
    ask(world, BROWSER, change)
    world.drain()

    with pytest.raises(NotNowError):
        world.centre.prove(renewal.id, key.sign(renewal.challenge))
    assert_ended(world, renewal, state, at_ca)


@STOPS
def test_proving_before_the_renewal_has_heard_of_it_does_not_activate(
    world: Scenario, change: Change, state: str, at_ca: str
) -> None:
    renewal, key = world.issued()
    with world.app.store.transaction() as work:  # as if another process had just written it
        work.certificates.change(work.certificates.get(BROWSER), state=state)
    serial = int(world.certificate(BROWSER).serial, 16)
    if change is Change.SUSPEND:
        world.ca.suspend(serial, request_id="outside")
    else:
        from schema.events import RevocationReason  # noqa: PLC0415 - used here alone

        world.ca.revoke(serial, RevocationReason.KEY_COMPROMISE, request_id="outside")

    with pytest.raises(NotNowError, match=state):
        world.centre.prove(renewal.id, key.sign(renewal.challenge))
    world.drain()

    assert_ended(world, renewal, state, at_ca)


@STOPS
@pytest.mark.parametrize("before", ["billing", "issuance"])
def test_it_is_seen_at_the_bank_and_at_the_ca(
    world: Scenario, change: Change, state: str, at_ca: str, before: str
) -> None:
    renewal, _ = world.confirmed()
    if before == "issuance":
        world.drain_to("billing")
    ask(world, BROWSER, change)
    world.drain_to("revocation")
    world.drain()

    assert_ended(world, renewal, state, at_ca)
    assert world.renewal(renewal.id).new_certificate is None


@STOPS
def test_it_is_seen_when_the_ca_has_answered(
    world: Scenario, change: Change, state: str, at_ca: str
) -> None:
    renewal, _ = world.confirmed()

    def meanwhile(op: str, _request_id: str) -> None:
        if op == "issue":
            world.weather.ca = lambda _op, _request_id: None
            ask(world, BROWSER, change)
            world.drain_to("revocation")

    world.weather.ca = meanwhile
    world.drain()

    assert_ended(world, renewal, state, at_ca)
    assert world.renewal(renewal.id).new_certificate is not None


@STOPS
def test_a_hold_is_given_back(world: Scenario, change: Change, state: str, at_ca: str) -> None:
    renewal = at_station(world, CARD, until="issued")
    ask(world, CARD, change)
    world.drain()

    assert_ended(world, renewal, state, at_ca)
    assert [op for op, _ in world.booked()] == ["hold", "void"]
    assert world.at_the_bank(CARD) == (100_000, 100_000)


@STOPS
def test_a_hold_under_way_is_given_back(
    world: Scenario, change: Change, state: str, at_ca: str
) -> None:
    def meanwhile(booking: object) -> str | None:
        del booking
        world.weather.bank = lambda _booking: None
        ask(world, CARD, change)
        world.drain_to("revocation")
        return None

    world.weather.bank = meanwhile
    renewal = at_station(world, CARD, until="refused")

    assert_ended(world, renewal, state, at_ca)
    assert [op for op, _ in world.booked()] == ["hold", "void"]


@pytest.mark.parametrize("until", ["requested", "issued"])
def test_an_entitlement_is_paid_back_after_a_revocation(world: Scenario, until: str) -> None:
    world.paid()
    renewal = at_station(world, TOKEN, until=until)
    ask(world, TOKEN, Change.REVOKE)
    world.drain()

    assert_ended(world, renewal, "revoked", "revoked")
    assert [op for op, _ in world.booked()] == ["debit", "refund"]
    assert world.at_the_bank(TOKEN) == (100_000, 100_000)


def test_an_entitlement_outlives_a_suspension(world: Scenario) -> None:
    world.paid()
    renewal = at_station(world, TOKEN, until="issued")
    ask(world, TOKEN, Change.SUSPEND)
    world.drain()
    assert_ended(world, renewal, "suspended", "on hold")

    ask(world, TOKEN, Change.RESUME)
    world.drain()
    again = world.requested(TOKEN)

    assert [op for op, _ in world.booked()] == ["debit"]
    assert again.id != renewal.id


def test_what_was_paid_and_never_asked_for_is_paid_back_after_a_revocation(world: Scenario) -> None:
    world.paid()
    ask(world, TOKEN, Change.REVOKE)
    world.drain()

    assert [op for op, _ in world.booked()] == ["debit", "refund"]
    assert world.dead() == []


def test_a_station_that_proves_too_late_is_told_that_it_is_over(world: Scenario) -> None:
    renewal = at_station(world, CARD, until="issued")
    station = world.station(CARD)
    world.drain()
    station.take()
    ask(world, CARD, Change.SUSPEND)
    world.drain_to("revocation")
    station.work()
    world.drain()
    station.take()

    assert_ended(world, renewal, "suspended", "on hold")
    [line] = [job for job in [station.journal.job(renewal.id)] if job]
    assert line.step.value == "ended" or not station.journal.open_jobs()


def test_a_suspension_that_comes_after_the_renewal_holds_for_the_new_one(world: Scenario) -> None:
    renewal, key = world.issued()
    ask_as_before(world, BROWSER)  # and before the CA is asked, it is proven

    world.centre.prove(renewal.id, key.sign(renewal.challenge))
    world.drain()

    new = world.renewal(renewal.id).new_certificate or 0
    assert world.certificate(new).state == "suspended"
    assert world.status_at_ca(new) == "on hold"
    assert world.certificate(BROWSER).state == "revoked"
    assert world.dead() == []


@pytest.mark.parametrize("revoked", [False, True], ids=["superseded", "revoked already"])
def test_a_suspension_that_the_renewal_overtakes_holds_for_the_new_one(
    world: Scenario, *, revoked: bool
) -> None:
    renewal, key = world.issued()
    ask_as_before(world, BROWSER)

    def meanwhile(op: str, _request_id: str) -> None:
        if op == "suspend":
            world.weather.ca = lambda _op, _request_id: None
            world.centre.prove(renewal.id, key.sign(renewal.challenge))
            if revoked:  # by another member
                with world.app.store.transaction() as work:
                    old = work.certificates.get(BROWSER)
                    work.certificates.change(old, state="revoked")

    world.weather.ca = meanwhile
    world.drain()

    new = world.renewal(renewal.id).new_certificate or 0
    assert world.certificate(new).state == "suspended"
    assert world.status_at_ca(new) == "on hold"
    assert world.certificate(BROWSER).state == "revoked"
    assert world.dead() == []


def test_a_suspension_that_waits_until_the_old_one_is_revoked_holds_for_the_new_one(
    world: Scenario,
) -> None:
    renewal, key = world.issued()
    away = iter(["unavailable"])
    world.weather.ca = lambda op, _request_id: next(away, None) if op == "suspend" else None
    ask_as_before(world, BROWSER)
    world.drain_to("revocation")

    world.centre.prove(renewal.id, key.sign(renewal.challenge))
    world.drain()
    assert world.certificate(BROWSER).state == "revoked"
    world.drain_over(timedelta(hours=1), step=timedelta(minutes=5))

    new = world.renewal(renewal.id).new_certificate or 0
    assert world.certificate(new).state == "suspended"
    assert world.status_at_ca(new) == "on hold"
    assert world.dead() == []


def test_what_was_reported_lost_is_not_renewed_from_that_moment_on(world: Scenario) -> None:
    renewal, key = world.issued()
    ask(world, BROWSER, Change.SUSPEND)  # and the CA has not been asked yet

    with pytest.raises(NotNowError, match="ended_suspended"):
        world.centre.prove(renewal.id, key.sign(renewal.challenge))
    world.drain()

    assert_ended(world, renewal, "suspended", "on hold")
    new = world.renewal(renewal.id).new_certificate or 0
    assert world.certificate(new).state == "revoked"


def test_a_suspension_of_what_staff_have_revoked_is_not_of_another_in_its_place(
    world: Scenario,
) -> None:
    ask(world, BROWSER, Change.REVOKE)
    world.drain()
    with world.app.store.transaction() as work:  # taken in since then
        old = work.certificates.get(BROWSER)
        work.certificates.put(replace(old, id=91, serial="91", state="active"))
    ask(world, BROWSER, Change.SUSPEND)
    world.drain()

    assert world.certificate(91).state == "active"
    assert world.decisions(BROWSER, "CA")[-1] == (
        "suspend refused",
        'ca_certificate_state {"certificate_state": "revoked"}',
    )


def test_the_old_one_is_not_revoked_before_the_new_one_begins(world: Scenario) -> None:
    """The product's policy has changed since it was issued, or the CA's clock is ahead."""
    renewal, key = world.issued()
    begins = world.clock.now() + timedelta(hours=2)
    with world.app.store.transaction() as work:
        new = work.certificates.get(renewal.new_certificate)
        work.certificates.change(new, not_before=begins)
    world.centre.prove(renewal.id, key.sign(renewal.challenge))

    world.drain_over(timedelta(hours=1), step=timedelta(minutes=20))
    early = world.status_at_ca(BROWSER)
    world.drain_over(timedelta(hours=2), step=timedelta(minutes=20))

    assert (early, world.status_at_ca(BROWSER)) == ("good", "revoked")
    assert world.renewal(renewal.id).state == "done"


def test_a_new_certificate_that_staff_revoke_is_not_activated(world: Scenario) -> None:
    renewal, key = world.issued()
    ask(world, renewal.new_certificate or 0, Change.REVOKE)
    world.drain()

    with pytest.raises(NotNowError):
        world.centre.prove(renewal.id, key.sign(renewal.challenge))
    world.drain()

    assert world.renewal(renewal.id).state == "refused"
    assert world.certificate(BROWSER).state == "active"
    assert world.status_at_ca(BROWSER) == "good"


def at_station(world: Scenario, certificate: int, *, until: str) -> Renewal:
    """The renewal of a token, once it is in that state."""
    renewal = world.requested(certificate)
    if until == "requested":
        return renewal
    station = world.station(certificate)
    world.drain()
    station.take()
    station.work()  # the request is signed
    world.drain()
    station.incoming.close()
    assert world.renewal(renewal.id).state == until
    return world.renewal(renewal.id)


@pytest.mark.parametrize("changes", [3, 4])
def test_suspending_and_resuming_again_and_again_ends_as_asked_last(
    world: Scenario, changes: int
) -> None:
    for turn in range(changes):
        ask(world, BROWSER, Change.RESUME if turn % 2 else Change.SUSPEND)
    world.drain()

    expected = ("suspended", "on hold") if changes % 2 else ("active", "good")
    assert (world.certificate(BROWSER).state, world.status_at_ca(BROWSER)) == expected


def test_a_revocation_cannot_be_changed(world: Scenario) -> None:
    ask(world, BROWSER, Change.REVOKE)
    for change in (Change.RESUME, Change.SUSPEND):
        ask(world, BROWSER, change)
    world.drain()

    assert (world.certificate(BROWSER).state, world.status_at_ca(BROWSER)) == (
        "revoked",
        "revoked",
    )
    assert world.dead() == []
