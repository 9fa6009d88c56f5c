"""A program does by the API what a person does at the pages."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import schemathesis
from cryptography import x509
from hypothesis import given, settings
from schemathesis.checks import not_a_server_error

from renewal.rules.proof import confirmation
from simulation.client import BrowserKey
from tests.centre.pages.conftest import PASSWORD, USER_CODE
from tests.scenario.patience import patiently
from tests.scenario.rows import id_number_of
from tests.scenario.sample import BROWSER, CARD, TOKEN, TOKEN_SERIALS
from token_station.reader_views import ReaderStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.centre.pages.conftest import Desk

QUICK = settings(max_examples=15, deadline=None, database=None)


@pytest.fixture
def api(desk: Desk) -> Iterator[httpx.Client]:
    """A program that has logged in as the customer of the browser certificate."""
    with httpx.Client(base_url=f"{desk.url}/api/v1") as client:
        client.headers["Authorization"] = f"Bearer {log_in(client, BROWSER)}"
        client.event_hooks["response"].append(lambda answer: goes_on(client, answer))
        yield client


def goes_on(client: httpx.Client, answer: httpx.Response) -> None:
    """After a right code the session has another token."""
    token = answer.headers.get("Session-Token")
    if token:
        client.headers["Authorization"] = f"Bearer {token}"


def log_in(client: httpx.Client, customer: int) -> str:
    asked = {
        "id_number": id_number_of(customer),
        "user_code": USER_CODE,
        "password": PASSWORD,
    }
    token: str = client.post("/sessions", json=asked).raise_for_status().json()["token"]
    return token


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def approval(desk: Desk, renewal: str, request: bytes) -> bytes:
    """The present key's signature, by another program than ours."""
    content = confirmation(renewal, desk.world.renewal(renewal).challenge, request)
    return desk.world.old_keys[BROWSER].approval(content, desk.world.der(BROWSER))


def until(client: httpx.Client, renewal: str, *states: str) -> dict[str, Any]:
    for _ in patiently():
        told: dict[str, Any] = client.get(f"/renewals/{renewal}").json()
        if told["state"] in states:
            return told
    raise AssertionError(told)


def test_a_program_renews_by_the_api(api: httpx.Client, desk: Desk) -> None:
    key = BrowserKey.new()
    renewal = api.post("/renewals", json={"certificate": BROWSER}).json()["renewal"]
    sent = api.post("/codes", json={"certificate": BROWSER, "purpose": "renew"}).json()
    terms = api.get("/terms/securities-browser").json()
    confirmation = {
        "challenge": sent["challenge"],
        "code": desk.code(),
        "terms_sha256": terms["sha256"],
    }
    request, before = key.request(), api.headers["Authorization"]
    confirmation |= {"csr": encoded(request), "approval": encoded(approval(desk, renewal, request))}
    api.post(f"/renewals/{renewal}/confirmation", json=confirmation).raise_for_status()
    fresh = api.headers["Authorization"]
    with httpx.Client(base_url=api.base_url, headers={"Authorization": before}) as thief:
        stale = thief.get("/certificates")
    told = until(api, renewal, "issued")
    der = base64.b64decode(api.post(f"/renewals/{renewal}/certificate").json()["certificate"])
    signature = encoded(key.sign(base64.b64decode(told["challenge"])))

    proven = api.post(f"/renewals/{renewal}/proof", json={"signature": signature}).json()

    assert fresh != before
    assert stale.status_code == 401
    assert proven["state"] in {"activated", "done"}
    assert x509.load_der_x509_certificate(der).public_key() == key.private.public_key()
    assert desk.world.rows("SELECT count(*) FROM agreements") == [(1,)]
    assert api.get(f"/certificates/{BROWSER}/timeline").json()


@pytest.mark.shows("B07")
def test_without_the_present_keys_approval_nothing_is_confirmed(
    api: httpx.Client, desk: Desk
) -> None:
    renewal = api.post("/renewals", json={"certificate": BROWSER}).json()["renewal"]
    sent = api.post("/codes", json={"certificate": BROWSER, "purpose": "renew"}).json()
    asked = {
        "challenge": sent["challenge"],
        "code": desk.code(),
        "csr": encoded(BrowserKey.new().request()),
        "terms_sha256": api.get("/terms/securities-browser").json()["sha256"],
    }

    without = api.post(f"/renewals/{renewal}/confirmation", json=asked)
    of_another = asked | {"approval": encoded(approval(desk, renewal, BrowserKey.new().request()))}
    foreign = api.post(f"/renewals/{renewal}/confirmation", json=of_another)

    assert without.json()["code"] == "E4107"
    assert foreign.json()["code"] == "E4112"
    assert desk.world.rows("SELECT state FROM renewals") == [("requested",)]


def test_a_program_pays_by_the_api(desk: Desk) -> None:
    with httpx.Client(base_url=f"{desk.url}/api/v1") as client:
        client.headers["Authorization"] = f"Bearer {log_in(client, TOKEN)}"

        asked = client.post("/payments", json={"certificate": TOKEN}).json()
        for _ in patiently():
            [paid] = client.get("/payments").json()
            if paid["state"] != "asked":
                break

        again = client.post("/payments", json={"certificate": TOKEN}).json()
        receipt = client.get(f"/payments/{asked['payment']}").json()
        none = client.get("/payments/P00000009-01").json()
    assert (asked["state"], paid["state"]) == ("asked", "paid")
    assert again["code"] == "E4604"
    assert receipt == paid
    assert none["code"] == "E9404"


@pytest.mark.shows("A03", "A09", "A12")
def test_a_program_renews_a_token_that_the_branch_writes(desk: Desk) -> None:
    desk.release_password(TOKEN, "Release2026")
    with httpx.Client(base_url=f"{desk.url}/api/v1") as client:
        client.headers["Authorization"] = f"Bearer {log_in(client, TOKEN)}"
        terms = client.get("/terms/corporate-token").json()["sha256"]
        asked = {"certificate": TOKEN, "terms_sha256": terms}
        unpaid = client.post("/renewals", json=asked | {"release_password": "Release2026"})
        client.post("/payments", json={"certificate": TOKEN})
        desk.until("SELECT state FROM payments", [("paid",)])
        unreleased = client.post("/renewals", json=asked | {"release_password": "wrong"})
        unread = client.post("/renewals", json={"certificate": TOKEN})
        renewal = client.post("/renewals", json=asked | {"release_password": "Release2026"}).json()

        written(desk, TOKEN)

        told = until(client, renewal["renewal"], "activated", "done")
        shown = client.get("/certificates").json()
        desk.until("SELECT state FROM payments", [("consumed",)])
        paid = client.get("/payments").json()
    codes = [answer.json()["code"] for answer in (unpaid, unreleased, unread)]
    assert codes == ["E4601", "E4805", "E4207"]
    assert [one["token_serial"] for one in shown] == [TOKEN_SERIALS[TOKEN]] * 2
    assert told["new_certificate"] in {one["certificate"] for one in shown}
    assert [one["state"] for one in paid] == ["consumed"]


@pytest.mark.shows("C01", "C04", "C07")  # the third channel has pages of its own
def test_a_program_renews_a_card_and_its_fee_is_captured_when_it_is_written(desk: Desk) -> None:
    with httpx.Client(base_url=f"{desk.url}/api/v1") as client:
        client.headers["Authorization"] = f"Bearer {log_in(client, CARD)}"
        terms = client.get("/terms/cooperative-card").json()["sha256"]
        asked = {"certificate": CARD, "terms_sha256": terms}
        renewal = client.post("/renewals", json=asked).json()["renewal"]

        written(desk, CARD)

        told = until(client, renewal, "done")
    assert told["fee_state"] == "captured"


def written(desk: Desk, certificate: int) -> None:
    """What the branch does with the token."""
    station = desk.world.station(certificate)
    for _ in patiently():  # the pump has it in hand
        station.take()
        if station.work()[0].status is ReaderStatus.DONE:
            break
    station.incoming.close()


def test_the_api_tells_nobody_who_is_not_logged_in_anything(desk: Desk) -> None:
    with httpx.Client(base_url=f"{desk.url}/api/v1") as client:
        answers = [
            client.get("/certificates"),
            client.post("/renewals", json={"certificate": BROWSER}),
            client.get("/certificates", headers={"Authorization": "Bearer nothing"}),
        ]

    assert [answer.status_code for answer in answers] == [401, 401, 401]
    assert {answer.json()["code"] for answer in answers} == {"E9401"}


def test_no_input_breaks_the_api(api: httpx.Client, desk: Desk) -> None:
    schema = schemathesis.openapi.from_url(f"{desk.url}/api/v1/openapi.json")
    token = api.headers["Authorization"]
    tried = 0

    def tried_with(case: Any) -> None:  # noqa: ANN401 - schemathesis' case
        nonlocal tried
        tried += 1
        case.call_and_validate(
            base_url=desk.url, headers={"Authorization": token}, checks=[not_a_server_error]
        )

    found: Any
    for found in schema.get_all_operations():
        operation = found.ok()
        if not operation.path.endswith("/sessions/current"):
            _trying(operation, tried_with)()

    assert tried > 50


def _trying(operation: Any, act: Callable[[Any], None]) -> Callable[[], None]:  # noqa: ANN401 - schemathesis' operation
    """A property of its own for each operation: hypothesis decorates a function once."""

    def trying(case: Any) -> None:  # noqa: ANN401 - schemathesis' case
        act(case)

    made: Callable[[], None] = QUICK(given(case=operation.as_strategy())(trying))
    return made
