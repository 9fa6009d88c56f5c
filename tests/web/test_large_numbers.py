"""A number too large for any table is nobody's, at each address of each face."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi.routing import APIRoute

from back_office.console.app import console_app
from back_office.staff import Staff, StaffRole
from centre.accounts import Accounts
from centre.pages.app import centre_app
from templates.bank_file import sample_bank
from tests.scenario.rows import id_number_of
from tests.scenario.sample import BROWSER, open_sample
from xuqi.serving.http import listening

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastapi import FastAPI

    from tests.scenario.scenario import Scenario

LARGE = (str(2**63), str(2**64), "9" * 30, "9" * 5000)
PASSWORD = "a very long password"  # noqa: S105 - of a customer and a clerk in a story
HEADERS = {"Sec-Fetch-Site": "same-origin", "Accept-Language": "en"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    opened = open_sample(tmp_path_factory.mktemp("large") / "bank")
    Accounts(opened.app.store).set_password(BROWSER, "LIN01", PASSWORD)
    staff = Staff(opened.app.store)
    staff.add("lin", tuple(StaffRole), who="root", why="the test's")
    staff.set_password("lin", PASSWORD)
    yield opened
    opened.close()


def centre(world: Scenario) -> FastAPI:
    app = world.app
    return centre_app(app.store, app.centre, app.policies, bank=sample_bank())


def console(world: Scenario) -> FastAPI:
    app = world.app
    return console_app(app.store, app.policies, renderer=app.renderer, branches=("001",))


LOG_IN: dict[Callable[[Scenario], FastAPI], dict[str, str]] = {
    centre: {"id_number": id_number_of(BROWSER), "user_code": "LIN01", "password": PASSWORD},
    console: {"name": "lin", "password": PASSWORD},
}


def routes(app: FastAPI) -> list[tuple[str, APIRoute]]:
    """Every address but those that end the session, or change what one logs in with."""
    found = [
        context.original_route
        for included in app.routes
        for context in getattr(included, "effective_route_contexts", list)()
    ]
    routes = [one for one in found if isinstance(one, APIRoute)]
    kept = [one for one in routes if not re.search("log|password", one.path)]
    return [(method, one) for one in kept for method in sorted(one.methods or ())]


def asked(route: APIRoute, number: str) -> dict[str, Any]:
    """What its fields get: the number where it takes one, whatever else elsewhere."""
    words = {"number": number}
    query = {field.alias: number for field in route.dependant.query_params}
    form = {field.alias: number for field in route.dependant.body_params}
    return {"params": query, "data": form} if form else {"params": query, "json": words}


@pytest.mark.parametrize("number", LARGE, ids=("2**63", "2**64", "30 nines", "5000 nines"))
@pytest.mark.parametrize("face", [centre, console])
def test_no_address_of_a_face_breaks(
    world: Scenario, face: Callable[[Scenario], FastAPI], number: str
) -> None:
    app, broken, tried = face(world), {}, 0
    with (
        listening(app, "127.0.0.1", 0) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=HEADERS, timeout=60) as client,
    ):
        client.post("/login", data=LOG_IN[face])
        assert client.get("/").status_code == 200
        for method, route in routes(app):
            path = re.sub(r"\{[^}]*\}", number, route.path)
            tried += 1
            try:
                status = client.request(method, path, **asked(route, number)).status_code
            except httpx.TransportError:  # a head that is too long is refused while it is sent
                assert len(number) > 1000, route.path
                continue
            if status >= 500:
                broken[method, route.path] = status

    assert broken == {}
    assert tried > 20
