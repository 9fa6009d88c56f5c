"""A customer comes from the bank's own log-in, and leaves by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import pytest

from centre.accounts import Accounts
from centre.bank_log_in import CustomerLogIn
from centre.pages.app import centre_app
from renewal.secret import Secret
from templates.bank_file import sample_bank
from tests.scenario.sample import open_sample
from tests.servers.oidc_issuer import CLIENT, SECRET, local_issuer
from web.oidc.issuer import OidcIssuer
from web.oidc.provider import OidcProvider
from web.oidc.sign_on import SignOn
from xuqi.serving.http import listening

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.scenario.scenario import Scenario
    from tests.servers.oidc_issuer import LocalIssuer

PASSWORD_FORM = {"id_number": "A123456789", "user_code": "MARY01", "password": "a long password"}


@dataclass
class BankDoor:
    """The centre with the bank's log-in alone, and a browser before it."""

    world: Scenario
    issuer: LocalIssuer
    browser: httpx.Client

    def come(self, **claims: object) -> httpx.Response:
        """Press the button, let the bank log in whom the claims say, and come back."""
        self.issuer.honest()
        self.issuer.who = {"sub": "4711", **claims}
        return self.browser.get(self.returned())

    def returned(self) -> str:
        """The address to which the bank leads back."""
        begun = self.browser.get("/login/bank")
        return httpx.get(begun.headers["Location"]).headers["Location"]

    def home_with(self, session_id: str) -> str:
        """Where the first page leads whoever comes with this cookie."""
        cookie = {"Cookie": f"xuqi-centre={session_id}"}
        found = httpx.get(f"{self.browser.base_url}", headers=cookie)
        return str(found.headers.get("Location"))

    def cookies(self) -> set[str]:
        return set(self.browser.cookies.keys())


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BankDoor]:
    world = open_sample(tmp_path_factory.mktemp("bank-door") / "home")
    store = world.app.store
    with local_issuer(store.clock.now) as issuer:
        provider = OidcProvider(issuer=issuer.url, client=CLIENT, secret=Secret(SECRET.encode()))
        log_in = CustomerLogIn(
            sign_on=SignOn(
                provider=provider, issuer=OidcIssuer(issuer.url, store.clock), clock=store.clock
            ),
            customer_claim="customer_number",
            user_code_claim="user_code",
        )
        app = centre_app(
            store, world.app.centre, world.app.policies, bank=sample_bank(), bank_log_in=log_in
        )
        with (
            listening(app, "127.0.0.1", 0) as port,
            httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as browser,
        ):
            yield BankDoor(world, issuer, browser)
    world.close()


@pytest.fixture
def door(served: BankDoor) -> BankDoor:
    served.browser.cookies.clear()
    return served


@pytest.mark.shows("C01")
def test_a_customer_comes_from_the_bank_and_sees_their_certificates(door: BankDoor) -> None:
    back = door.come(customer_number="customer 1")
    home = door.browser.get("/")

    assert (back.status_code, back.headers["Location"]) == (303, "/")
    assert home.status_code == 200
    assert door.cookies() == {"xuqi-centre"}


def test_the_session_of_before_ends_and_the_new_one_has_a_new_id(door: BankDoor) -> None:
    door.come(customer_number="customer 1")
    first = door.browser.cookies["xuqi-centre"]

    door.come(customer_number="customer 1")

    assert door.browser.cookies["xuqi-centre"] != first
    assert door.home_with(first) == "/login"


def test_an_address_that_was_used_logs_nobody_in_again(door: BankDoor) -> None:
    door.issuer.honest()
    door.issuer.who = {"sub": "4711", "customer_number": "customer 1"}
    address = door.returned()
    waiting = door.browser.cookies["xuqi-centre-oidc"]
    door.browser.get(address)
    door.browser.cookies.clear()

    again = httpx.get(address, headers={"Cookie": f"xuqi-centre-oidc={waiting}"})

    assert (again.status_code, "E4822" in again.text) == (400, True)


def test_an_address_that_another_browser_has_begun_logs_nobody_in(door: BankDoor) -> None:
    planted = door.returned()
    door.browser.cookies.clear()

    assert "E4822" in door.browser.get(planted).text


def test_the_cookie_of_a_log_in_that_was_begun_opens_no_page(door: BankDoor) -> None:
    door.browser.get("/login/bank")
    waiting = door.browser.cookies["xuqi-centre-oidc"]

    assert door.home_with(waiting) == "/login"


@pytest.mark.parametrize(
    "claims", [{}, {"customer_number": "C99999999"}, {"customer_number": 1}, {"user_code": "MARY"}]
)
def test_a_customer_whom_nobody_has_on_file_is_told_so(
    door: BankDoor, claims: dict[str, object]
) -> None:
    told = door.come(**claims)

    assert (told.status_code, "E4825" in told.text) == (403, True)
    assert "xuqi-centre" not in door.cookies()


@pytest.mark.shows("C01", "C02")
def test_the_user_code_of_the_claims_decides_the_role(door: BankDoor) -> None:
    Accounts(door.world.app.store).add(
        2, "ADMIN2", customer_class=3, operator="administrator", who="root", why="the test's"
    )
    session = door.come(customer_number="customer 2", user_code="admin2")
    found = door.browser.get("/")
    other = door.come(customer_number="customer 2", user_code="made-up")
    unnamed = door.come(customer_number="customer 2")

    assert (session.status_code, found.status_code) == (303, 200)
    assert "E4825" in other.text
    assert "E4825" in unnamed.text


def test_a_wrong_answer_of_the_bank_is_a_page_with_what_to_do(door: BankDoor) -> None:
    door.issuer.honest()
    door.issuer.says = {"nonce": "another"}

    told = door.browser.get(door.returned(), headers={"Accept-Language": "en"})

    assert (told.status_code, "E4824" in told.text) == (401, True)


def test_who_logs_out_is_led_on_to_the_banks_log_out(door: BankDoor) -> None:
    door.come(customer_number="customer 1")

    page = door.browser.post("/log-out", headers={"Sec-Fetch-Site": "same-origin"})

    assert page.status_code == 200
    assert f"url={door.issuer.url}/end?client_id={CLIENT}" in page.text
    assert "id_token_hint=" in page.text
    assert "log-out" not in page.text
    assert door.browser.get("/").headers["Location"] == "/login"


def test_where_the_bank_logs_in_there_are_no_passwords_of_ours(door: BankDoor) -> None:
    page = door.browser.get("/login")
    form = door.browser.post("/login", data=PASSWORD_FORM)
    program = door.browser.post("/api/v1/sessions", json=PASSWORD_FORM)

    assert 'href="/login/bank"' in page.text
    assert 'type="password"' not in page.text
    assert form.status_code == 405
    assert program.json()["code"] == "E4826"
    assert door.browser.get("/password").status_code == 404


def test_the_id_token_is_not_readable_in_the_table_of_sessions(door: BankDoor) -> None:
    door.come(customer_number="customer 1", name="A Canary")

    database = door.world.app.store
    with database.engine.connect() as connection:
        bodies = connection.exec_driver_sql("select body from sessions").scalars().all()

    assert any("id_token" in body for body in bodies)
    assert not any("eyJ" in body or "Canary" in body for body in bodies)
