"""What the manuals promise about the pages, of which nobody needs a browser to see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from centre.overview import Do, LineState, action_of
from schema.policy import load_policies
from tests.centre.pages.addresses import OF_BROWSER, OF_TOKEN, OPEN
from tests.centre.pages.conftest import PASSWORD, USER_CODE
from tests.scenario.chinese import faults_of_page
from tests.scenario.rows import id_number_of
from tests.scenario.sample import BROWSER, CARD, TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.centre.pages.conftest import Desk

POLICIES = load_policies()
PHONE = "02-2345-6789"


@pytest.fixture
def reader(desk: Desk) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=desk.url, follow_redirects=True) as client:
        client.headers["Sec-Fetch-Site"] = "same-origin"
        yield client


def enter(client: httpx.Client, customer: int) -> str:
    asked = {
        "id_number": id_number_of(customer),
        "user_code": USER_CODE,
        "password": PASSWORD,
    }
    return client.post("/login", data=asked).raise_for_status().text


@pytest.mark.shows("A01")
def test_the_environment_page_names_the_browsers_that_are_supported(reader: httpx.Client) -> None:
    page = reader.get("/environment").text

    assert "Chrome、Edge（最近兩版）" in page
    assert "瀏覽器" in page


def test_no_page_shows_what_is_not_meant_for_people(desk: Desk, reader: httpx.Client) -> None:
    desk.release_password(TOKEN, "Release2026")
    found = {}
    for customer, addresses in ((None, OPEN), (BROWSER, OF_BROWSER), (TOKEN, OF_TOKEN)):
        if customer is not None:
            enter(reader, customer)
        for address in (*addresses, "/nowhere"):
            if wrong := faults_of_page(reader.get(address).text):
                found[address] = wrong

    assert found == {}


@pytest.mark.shows("B11")
def test_the_page_of_the_code_says_what_stops_it(desk: Desk, reader: httpx.Client) -> None:
    enter(reader, BROWSER)
    renewal = desk.world.requested(BROWSER)

    page = reader.get(f"/renew/{renewal.id}").text

    assert "拒收企業簡訊" in page
    assert "攔截簡訊的 App" in page


def test_who_confirms_knows_what_it_costs(desk: Desk, reader: httpx.Client) -> None:
    enter(reader, BROWSER)
    renewal = desk.world.requested(BROWSER)
    free = reader.get(f"/renew/{renewal.id}").text
    with desk.world.app.store.transaction() as work:  # as of a product whose fee is held
        work.renewals.change(work.renewals.get(renewal.id), fee_amount=1900, fee_state="quoted")

    page = reader.get(f"/renew/{renewal.id}").text

    assert "NT$" not in free
    assert "費用 NT$1,900" in page
    assert "新憑證交付後才扣款" in page


@pytest.mark.shows("A02", "A14", "C12")
@pytest.mark.parametrize("customer", [TOKEN, CARD])
def test_who_is_too_late_is_sent_to_the_branch_with_its_number_and_hours(
    desk: Desk, reader: httpx.Client, customer: int
) -> None:
    desk.world.wait(days=19)
    home = enter(reader, customer)

    page = reader.get(f"/token/renew?certificate={customer}").text

    assert "洽分行" in home
    assert "不能線上更新" in page
    assert PHONE in page
    assert "09:00–17:30" in page
    assert "/token/terms" not in page


@pytest.mark.shows("A15")
def test_a_payment_has_a_receipt_for_its_payer_alone(desk: Desk, reader: httpx.Client) -> None:
    payment = desk.world.paid()
    enter(reader, TOKEN)
    receipt = reader.get(f"/payments/{payment.id}").text
    listed = reader.get("/payments").text
    reader.cookies.clear()
    enter(reader, CARD)
    foreign = reader.get(f"/payments/{payment.id}")

    assert "NT$900" in receipt
    assert "已繳費" in receipt
    assert payment.id in listed
    assert foreign.status_code == 404


@pytest.mark.shows("B05")
@pytest.mark.parametrize(
    ("product", "state", "do"),
    [
        ("securities-browser", LineState.DUE, Do.RENEW),
        ("securities-browser", LineState.NORMAL, Do.REVOKE),
        ("securities-browser", LineState.SUSPENDED, Do.BRANCH),
        ("securities-browser", LineState.EXPIRED, Do.APPLY),
        ("securities-browser", LineState.REVOKED, Do.APPLY),
        ("corporate-token", LineState.DUE, Do.PAY),
        ("corporate-token", LineState.NORMAL, Do.SUSPEND),
        ("cooperative-card", LineState.DUE, Do.RENEW),
        ("cooperative-card", LineState.EXPIRED, Do.BRANCH),
        ("cooperative-card", LineState.REVOKED, Do.BRANCH),
    ],
)
def test_each_row_has_exactly_one_action(product: str, state: LineState, do: Do) -> None:
    found = action_of(state, POLICIES[product], under_way=None, payment=None)

    assert found is do
