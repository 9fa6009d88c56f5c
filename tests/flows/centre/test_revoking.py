"""Tries to revoke online more often than allowed, without a code, or what is somebody else's."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from centre.actions import LIMIT_REACHED, Answer, CodeSaid, NotSent
from schema.events import Change
from tests.flows.world import BROWSER, SESSION, TOKEN, World


def revoke(world: World, certificate: int = BROWSER, *, code: str | None = None) -> object:
    sent, right = world.code(certificate=certificate, action="revoke")
    return world.centre.revoke(
        certificate, challenge=sent.challenge, code=code or right, session=SESSION
    )


def as_new(world: World) -> None:
    """
    The customer has got a certificate again, at the branch.
    """
    world.drain()
    with world.house.store.work() as work:
        work.certificates.change(work.certificates.get(BROWSER), state="active")


@pytest.mark.shows("B17")
def test_a_customer_revokes_with_a_code(world: World) -> None:
    answer = revoke(world)
    world.drain()

    assert isinstance(answer, Answer)
    assert answer.said is CodeSaid.RIGHT
    assert world.certificate(BROWSER).state == "revoked"
    assert world.status_at_ca(BROWSER) == "revoked"


@pytest.mark.shows("B17")
def test_without_the_right_code_nothing_is_revoked(world: World) -> None:
    answer = revoke(world, code="x")
    world.drain()

    assert isinstance(answer, Answer)
    assert answer.said is CodeSaid.WRONG
    assert world.certificate(BROWSER).state == "active"


def test_a_code_for_a_renewal_does_not_revoke(world: World) -> None:
    sent, code = world.code(action="renew")

    answer = world.centre.revoke(BROWSER, challenge=sent.challenge, code=code, session=SESSION)

    assert isinstance(answer, Answer)
    assert answer.said is CodeSaid.WRONG


@pytest.mark.shows("B17")
def test_the_third_revocation_of_a_year_is_for_the_branch(world: World) -> None:
    for _ in range(2):
        revoke(world)
        as_new(world)
        world.wait(hours=1)

    code = world.centre.send_code(BROWSER, action="revoke", session=SESSION)
    answer = world.centre.revoke(BROWSER, challenge="K00000001-0001", code="", session=SESSION)

    assert code == answer == NotSent(why=LIMIT_REACHED)


@pytest.mark.shows("B17")
@pytest.mark.parametrize(
    ("now", "allowed"),
    [
        (datetime(2026, 12, 31, 15, 59, 58, tzinfo=UTC), False),  # 23:59:58 in Taipei
        (datetime(2026, 12, 31, 16, 0, 0, tzinfo=UTC), True),  # New Year in Taipei
    ],
)
def test_the_count_begins_anew_with_the_year_in_taipei(
    world: World, now: datetime, allowed: object
) -> None:
    for _ in range(2):
        revoke(world)
        as_new(world)
        world.wait(hours=1)

    world.clock.advance_to(now)

    answer = world.centre.send_code(BROWSER, action="revoke", session=SESSION)
    assert (not isinstance(answer, NotSent)) is allowed


def test_wrong_codes_and_staff_do_not_count_as_online_revocations(world: World) -> None:
    for _ in range(2):
        revoke(world, code="x")
    world.house.back_office.ask_change(BROWSER, Change.REVOKE, who="teller 7", why="asked for")
    as_new(world)

    assert isinstance(revoke(world), Answer)


@pytest.mark.parametrize("state", ["revoked", "superseded", "pending", "expired"])
def test_what_is_not_in_force_is_not_revoked_online(world: World, state: str) -> None:
    with world.house.store.work() as work:
        work.certificates.change(work.certificates.get(BROWSER), state=state)

    answer = world.centre.send_code(BROWSER, action="revoke", session=SESSION)

    assert answer == NotSent(why=f"the certificate is {state}")


@pytest.mark.parametrize("certificate", [TOKEN, 99])
def test_a_token_or_an_unknown_certificate_is_not_revoked_online(
    world: World, certificate: int
) -> None:
    sent, code = world.code(action="revoke")

    answer = world.centre.revoke(certificate, challenge=sent.challenge, code=code, session=SESSION)
    world.drain()

    assert not isinstance(answer, Answer) or answer.said is CodeSaid.WRONG
    assert world.certificate(TOKEN).state == "active"
