"""Tries to revoke online more often than allowed, without a code, or what is somebody else's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from centre.actions import CodeAnswer, CodeNotSent, CodeResult
from renewal.rules.revocation import CUSTOMERS_REASONS, CustomersReason
from schema.events import Change, ChangeRequestedV1
from schema.reasons import RefusalReason
from tests.scenario.acts import SESSION
from tests.scenario.sample import BROWSER, TOKEN

if TYPE_CHECKING:
    from tests.scenario.scenario import Scenario


def revoke(world: Scenario, certificate: int = BROWSER, *, code: str | None = None) -> object:
    sent, right = world.code(certificate=certificate, action="revoke")
    return world.centre.revoke(
        certificate, challenge=sent.challenge, code=code or right, session=SESSION
    )


def as_new(world: Scenario) -> None:
    """The customer has got a certificate again, at the branch."""
    world.drain()
    with world.app.store.transaction() as work:
        work.certificates.change(work.certificates.get(BROWSER), state="active")


@pytest.mark.shows("B17")
def test_a_customer_revokes_with_a_code(world: Scenario) -> None:
    answer = revoke(world)
    world.drain()

    assert isinstance(answer, CodeAnswer)
    assert answer.result is CodeResult.RIGHT
    assert world.certificate(BROWSER).state == "revoked"
    assert world.status_at_ca(BROWSER) == "revoked"


@pytest.mark.parametrize("reason", CUSTOMERS_REASONS)
def test_the_ca_publishes_the_reason_that_the_customer_gives(
    world: Scenario, reason: CustomersReason
) -> None:
    sent, code = world.code(action="revoke")

    world.centre.revoke(
        BROWSER, challenge=sent.challenge, code=code, session=SESSION, reason=reason
    )
    world.drain()

    [at_ca] = [one for one in world.ca.certificates() if one.status == "revoked"]
    assert at_ca.reason == reason.value


def test_a_wish_of_the_version_before_is_still_done(world: Scenario) -> None:
    world.app.log.append([ChangeRequestedV1(certificate=BROWSER, change=Change.REVOKE, number=1)])
    world.drain()

    [at_ca] = [one for one in world.ca.certificates() if one.status == "revoked"]
    assert at_ca.reason == "cessationOfOperation"


@pytest.mark.shows("B17")
def test_without_the_right_code_nothing_is_revoked(world: Scenario) -> None:
    answer = revoke(world, code="x")
    world.drain()

    assert isinstance(answer, CodeAnswer)
    assert answer.result is CodeResult.WRONG
    assert world.certificate(BROWSER).state == "active"


def test_a_code_for_a_renewal_does_not_revoke(world: Scenario) -> None:
    sent, code = world.code(action="renew")

    answer = world.centre.revoke(BROWSER, challenge=sent.challenge, code=code, session=SESSION)

    assert isinstance(answer, CodeAnswer)
    assert answer.result is CodeResult.WRONG


@pytest.mark.shows("B17")
def test_the_third_revocation_of_a_year_is_for_the_branch(world: Scenario) -> None:
    for _ in range(2):
        revoke(world)
        as_new(world)
        world.wait(hours=1)

    code = world.centre.send_code(BROWSER, action="revoke", session=SESSION)
    answer = world.centre.revoke(BROWSER, challenge="K00000001-0001", code="", session=SESSION)

    assert code == answer == CodeNotSent(why=RefusalReason.REVOCATION_LIMIT.why())


@pytest.mark.shows("B17")
@pytest.mark.parametrize(
    ("now", "allowed"),
    [
        (datetime(2026, 12, 31, 15, 59, 58, tzinfo=UTC), False),  # 23:59:58 in Taipei
        (datetime(2026, 12, 31, 16, 0, 0, tzinfo=UTC), True),  # New Year in Taipei
    ],
)
def test_the_count_begins_anew_with_the_year_in_taipei(
    world: Scenario, now: datetime, allowed: object
) -> None:
    for _ in range(2):
        revoke(world)
        as_new(world)
        world.wait(hours=1)

    world.clock.advance_to(now)

    answer = world.centre.send_code(BROWSER, action="revoke", session=SESSION)
    assert (not isinstance(answer, CodeNotSent)) is allowed


def test_wrong_codes_and_staff_do_not_count_as_online_revocations(world: Scenario) -> None:
    for _ in range(2):
        revoke(world, code="x")
    world.app.back_office.ask_change(BROWSER, Change.REVOKE, who="teller 7", why="asked for")
    as_new(world)

    assert isinstance(revoke(world), CodeAnswer)


@pytest.mark.parametrize("state", ["revoked", "superseded", "pending", "expired"])
def test_what_is_not_in_force_is_not_revoked_online(world: Scenario, state: str) -> None:
    with world.app.store.transaction() as work:
        work.certificates.change(work.certificates.get(BROWSER), state=state)

    answer = world.centre.send_code(BROWSER, action="revoke", session=SESSION)

    assert answer == CodeNotSent(why=RefusalReason.CERTIFICATE_STATE.why(certificate_state=state))


@pytest.mark.parametrize("certificate", [TOKEN, 99])
def test_a_token_or_an_unknown_certificate_is_not_revoked_online(
    world: Scenario, certificate: int
) -> None:
    sent, code = world.code(action="revoke")

    answer = world.centre.revoke(certificate, challenge=sent.challenge, code=code, session=SESSION)
    world.drain()

    assert not isinstance(answer, CodeAnswer) or answer.result is CodeResult.WRONG
    assert world.certificate(TOKEN).state == "active"
