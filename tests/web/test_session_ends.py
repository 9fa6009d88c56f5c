"""A new password logs out whoever is logged in with the old one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from back_office.staff import FACE as CONSOLE
from back_office.staff import Staff, StaffRole
from centre.accounts import FACE as CENTRE
from centre.accounts import Accounts
from tests.scenario.sample import BROWSER
from web.sessions import StoredSessions

if TYPE_CHECKING:
    from tests.scenario.scenario import Scenario
    from web.sessions import Session

PASSWORD = "a very long password"  # noqa: S105 - of a customer and a clerk in a story


def logged_in(world: Scenario, face: str, subject: str, **body: str) -> Session:
    sessions = StoredSessions(world.app.store)
    session = sessions.rotate(sessions.start(face), subject=subject)
    return sessions.keep(session, **body)


def goes_on(world: Scenario, session: Session) -> bool:
    return StoredSessions(world.app.store).find(session.id, session.face) is not None


@pytest.mark.parametrize("typed", ["LIN01", "lin01"])
def test_a_customers_new_password_ends_the_sessions_of_that_user_alone(
    world: Scenario, typed: str
) -> None:
    mine = logged_in(world, CENTRE, str(BROWSER), user_code="LIN01")
    colleague = logged_in(world, CENTRE, str(BROWSER), user_code="LIN02")
    somebody = logged_in(world, CENTRE, str(BROWSER + 1), user_code="LIN01")

    Accounts(world.app.store).set_password(BROWSER, typed, PASSWORD)

    assert not goes_on(world, mine)
    assert goes_on(world, colleague)
    assert goes_on(world, somebody)


def test_a_clerks_new_password_ends_every_session_but_the_one_it_was_changed_in(
    world: Scenario,
) -> None:
    staff = Staff(world.app.store)
    staff.add("lin", tuple(StaffRole), who="root", why="the test's")
    here, there = (logged_in(world, CONSOLE, "lin") for _ in range(2))
    other = logged_in(world, CONSOLE, "chen")

    staff.set_password("lin", PASSWORD, session=here.id)

    assert (goes_on(world, here), goes_on(world, there), goes_on(world, other)) == (
        True, False, True,
    )  # fmt: skip
