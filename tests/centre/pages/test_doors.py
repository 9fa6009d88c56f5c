"""Tries the pages and the interface for programs as somebody else's customer, page or session."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from centre.timeline import TOLD
from schema.reasons import DecisionKind
from tests.centre.pages.conftest import PASSWORD, USER_CODE
from tests.scenario.rows import id_number_of
from tests.scenario.sample import BROWSER, CARD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.centre.pages.conftest import Desk

ENTERED = {"challenge": "K00000003-0001", "code": "0000"}


@contextmanager
def logged_in(desk: Desk, customer: int) -> Iterator[httpx.Client]:
    asked = {
        "id_number": id_number_of(customer),
        "user_code": USER_CODE,
        "password": PASSWORD,
    }
    with httpx.Client(base_url=desk.url) as client:
        token = client.post("/api/v1/sessions", json=asked).raise_for_status().json()["token"]
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


def test_the_history_has_words_for_everything_that_is_told(desk: Desk) -> None:
    with desk.world.store.transaction() as work:
        for kind in sorted(TOLD):
            work.record_decision(CARD, DecisionKind(kind))

    with logged_in(desk, CARD) as client:
        answer = client.get("/history", headers={"Accept-Language": "en"})

    assert answer.status_code == 200
    assert "You downloaded the statement" in answer.text


def test_every_id_of_another_customer_is_unknown(desk: Desk) -> None:
    theirs = desk.world.requested(CARD)
    with logged_in(desk, BROWSER) as client:
        paths = client.get("/api/v1/openapi.json").json()["paths"]
        tried = {}
        for path, methods in paths.items():
            if "{certificate}" not in path and "{renewal}" not in path:
                continue
            mine = path.format(certificate=CARD, renewal=theirs.id)
            for method in methods:
                answer = client.request(method, mine, json=ENTERED if method != "get" else None)
                tried[method, path] = answer.status_code

    assert len(tried) > 5
    assert {case: status for case, status in tried.items() if status < 400} == {}
    assert desk.world.renewal(theirs.id).state == theirs.state
    assert desk.world.certificate(CARD).state == "active"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Cookie": "a=b"},
        {"Sec-Fetch-Site": "same-site", "Cookie": "a=b"},
        {"Origin": "https://evil.example", "Cookie": "a=b"},
        {"Origin": "null", "Cookie": "a=b"},
        {"Cookie": "a=b"},
        {"Sec-Fetch-Site": "cross-site", "Authorization": "Bearer x", "Cookie": "a=b"},
    ],
    ids=str,
)
def test_a_form_of_another_page_changes_nothing(desk: Desk, headers: dict[str, str]) -> None:
    answer = httpx.post(f"{desk.url}/login", data={"id_number": "A"}, headers=headers)

    assert answer.status_code == 403


def by_form(client: httpx.Client, customer: int) -> dict[str, str]:
    form = {"id_number": id_number_of(customer), "user_code": USER_CODE, "password": PASSWORD}
    assert client.post("/login", data=form).status_code == 303
    return {one.name: one.value or "" for one in client.cookies.jar if one.domain}


def test_a_session_that_was_planted_is_worth_nothing_after_the_log_in(desk: Desk) -> None:
    ours = {"base_url": desk.url, "headers": {"Sec-Fetch-Site": "same-origin"}}
    with httpx.Client(**ours) as attacker, httpx.Client(**ours) as victim:  # type: ignore[arg-type]
        planted = by_form(attacker, CARD)
        for name, value in planted.items():
            victim.cookies.set(name, value, domain="127.0.0.1")
        mine = by_form(victim, BROWSER)

        inside, outside = victim.get("/"), attacker.get("/")

    assert mine.keys() == planted.keys()
    assert mine != planted
    assert inside.status_code == 200
    assert outside.status_code != 200


def test_each_answer_has_its_headers_and_no_strange_host_is_served(desk: Desk) -> None:
    page = httpx.get(f"{desk.url}/login")
    hosts = ("evil.example", "127.0.0.1:x@evil.example", "127.0.0.1:80:80", "localhost:")
    strange = [httpx.get(f"{desk.url}/login", headers={"Host": host}) for host in hosts]

    assert "'nonce-" in page.headers["content-security-policy"]
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["cache-control"] == "no-store"
    assert "server" not in page.headers
    assert {answer.status_code for answer in strange} == {421}
