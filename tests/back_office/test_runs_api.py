"""A program does by the API what staff do at the pages, with the same rights and second person."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import schemathesis
from hypothesis import given, settings
from schemathesis.checks import not_a_server_error

from back_office.console.app import console_app
from back_office.staff import Staff, StaffRole
from templates.bank_file import sample_bank
from templates.rendering import MessageRenderer
from tests.back_office.run_bank import CHECKER, MAKER, RunBank, opened_bank
from xuqi.serving.http import listening

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "a clerk's very long password"  # noqa: S105 - of a clerk in a story
ALL = "root"  #: has every role
ROLES = {MAKER: (StaffRole.MAKER,), CHECKER: (StaffRole.CHECKER,), ALL: tuple(StaffRole)}
QUICK = settings(max_examples=4, deadline=None, database=None)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunBank]:
    with opened_bank(tmp_path_factory.mktemp("api")) as bank:
        bank.certificates(6)
        staff = Staff(bank.store)
        for name, roles in ROLES.items():
            staff.add(name, roles, who="root", why="the test's")
            staff.set_password(name, PASSWORD)
        yield bank


@pytest.fixture(scope="module")
def programs(bank: RunBank) -> Iterator[dict[str, httpx.Client]]:
    app = console_app(bank.store, bank.policies, renderer=MessageRenderer(sample_bank()))
    with listening(app, "127.0.0.1", 0) as port, ExitStack() as closing:
        made = {}
        for name in (*ROLES, ""):
            client = closing.enter_context(
                httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=60)
            )
            if name:
                body = {"name": name, "password": PASSWORD}
                token = client.post("/sessions", json=body).raise_for_status().json()["token"]
                client.headers["Authorization"] = f"Bearer {token}"
            made[name] = client
        yield made


def test_a_run_goes_from_the_file_to_its_start_through_two_programs(
    bank: RunBank, programs: dict[str, httpx.Client]
) -> None:
    maker, checker = programs[MAKER], programs[CHECKER]
    upload = {"file": ("十二月.csv", "憑證編號\n1\n2\n99\n".encode())}

    run = maker.post("/runs/from-file", files=upload).raise_for_status().json()["run"]
    again = maker.post("/runs/from-file", files=upload)
    wrong = maker.get(f"/runs/{run}/errors").json()
    seen = maker.get(f"/runs/{run}/preview").json()
    maker.post(f"/runs/{run}/submission", json={"why": "December"}).raise_for_status()
    own = maker.post(f"/runs/{run}/approval", json={"why": "mine"})
    checker.post(f"/runs/{run}/approval", json={"why": "looked at it"}).raise_for_status()
    maker.post(f"/runs/{run}/start", json={"why": "go"}).raise_for_status()
    bank.advance()
    shown = maker.get(f"/runs/{run}").json()

    assert again.status_code == 409
    assert [(one["row"], one["code"]) for one in wrong] == [(4, "V105")]
    assert (seen["rows"], seen["messages"][0]["messages"]) == (3, 2)
    assert own.status_code == 403
    assert shown["items"]["handed on"] == 2
    assert "V105" in maker.get(f"/runs/{run}/result").text


def test_nobody_approves_an_own_run_whatever_roles_they_have(
    programs: dict[str, httpx.Client],
) -> None:
    every = programs[ALL]
    run = every.post("/runs", json={"product": "securities-browser"}).raise_for_status().json()
    every.post(f"/runs/{run['run']}/submission", json={"why": "all"}).raise_for_status()

    answer = every.post(f"/runs/{run['run']}/approval", json={"why": "mine"})

    assert answer.status_code == 409
    assert answer.json()["code"] == "run_own"


def test_a_run_has_the_hours_that_it_was_made_with(
    bank: RunBank, programs: dict[str, httpx.Client]
) -> None:
    maker, card = programs[MAKER], {"product": "cooperative-card"}

    kept = maker.post("/runs", json={**card, "hours": "10:00-16:30"}).raise_for_status().json()
    usual = maker.post("/runs", json=card).raise_for_status().json()
    wrong = maker.post("/runs", json={**card, "hours": "16:30-10:00"})

    with bank.store.snapshot() as look:
        rows = [look.runs.get(one["run"]) for one in (kept, usual)]
    assert [(one.begins_at, one.ends_at) for one in rows] == [
        ("10:00", "16:30"), ("09:00", "21:00"),
    ]  # fmt: skip
    assert (wrong.status_code, wrong.json()["code"]) == (409, "run_hours_unreadable")


@pytest.mark.parametrize("path", ["/runs", "/runs/1", "/runs/1/result"])
def test_who_is_not_logged_in_is_told_nothing(programs: dict[str, httpx.Client], path: str) -> None:
    answer = programs[""].get(path)

    assert (answer.status_code, answer.json()["code"]) == (401, "E9401")


def test_no_input_breaks_the_api(programs: dict[str, httpx.Client]) -> None:
    client = programs[ALL]
    origin = str(client.base_url).removesuffix("/api/v1/")
    schema = schemathesis.openapi.from_url(f"{origin}/api/v1/openapi.json")
    headers, tried = {"Authorization": client.headers["Authorization"]}, 0

    def tried_with(case: Any) -> None:  # noqa: ANN401 - schemathesis' case
        nonlocal tried
        tried += 1
        case.call_and_validate(base_url=origin, headers=headers, checks=[not_a_server_error])

    found: Any
    for found in schema.get_all_operations():
        operation = found.ok()
        if "/sessions" not in operation.path:
            QUICK(given(case=operation.as_strategy())(lambda case: tried_with(case)))()  # noqa: PLW0108 - it is decorated once

    assert tried > 30
