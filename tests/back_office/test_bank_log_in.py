"""Staff come to the console from the bank's own log-in, with the roles of their groups."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from back_office.bank_log_in import StaffBankLogIn
from back_office.console.app import console_app
from back_office.staff import Staff, StaffRole
from renewal.secret import Secret
from renewal.store import audit
from templates.bank_file import sample_bank
from templates.rendering import MessageRenderer
from tests.back_office.run_bank import opened_bank
from tests.servers.oidc_issuer import CLIENT, SECRET, local_issuer
from web.oidc.issuer import OidcIssuer
from web.oidc.provider import OidcProvider, SignOnError, SignOnFault
from web.oidc.sign_on import SignOn
from xuqi.bank_log_in import roles_of
from xuqi.serving.http import listening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

    from tests.back_office.run_bank import RunBank
    from tests.servers.oidc_issuer import LocalIssuer

ROLES = roles_of("CN=Makers,OU=Bank=maker; CN=Makers,OU=Bank=operator; g-7=auditor")


def log_in_of(issuer: LocalIssuer, bank: RunBank) -> StaffBankLogIn:
    clock = bank.store.clock
    provider = OidcProvider(issuer=issuer.url, client=CLIENT, secret=Secret(SECRET.encode()))
    return StaffBankLogIn(
        sign_on=SignOn(provider=provider, issuer=OidcIssuer(issuer.url, clock), clock=clock),
        name_claim="employee",
        groups_claim="groups",
        roles=ROLES,
    )


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunBank]:
    with opened_bank(tmp_path_factory.mktemp("staff")) as bank:
        yield bank


@pytest.fixture(scope="module")
def issuer(bank: RunBank) -> Iterator[LocalIssuer]:
    with local_issuer(bank.store.clock.now) as issuer:
        yield issuer


@contextmanager
def served(bank: RunBank, issuer: LocalIssuer) -> Iterator[str]:
    app = console_app(
        bank.store,
        bank.policies,
        renderer=MessageRenderer(sample_bank()),
        bank_log_in=log_in_of(issuer, bank),
    )
    with listening(app, "127.0.0.1", 0) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("groups", "roles"),
    [
        (["CN=Makers,OU=Bank", "other"], {StaffRole.MAKER, StaffRole.OPERATOR}),
        ("g-7", {StaffRole.AUDITOR}),
        (["g-7", "g-7", 7, None], {StaffRole.AUDITOR}),
    ],
)
def test_groups_become_roles(
    bank: RunBank, issuer: LocalIssuer, groups: object, roles: set[StaffRole]
) -> None:
    member = log_in_of(issuer, bank).who({"employee": "e-1", "groups": groups})

    assert (member.name, set(member.roles)) == ("e-1", roles)


@pytest.mark.parametrize(
    "claims",
    [
        {"employee": "e-1"},
        {"employee": "e-1", "groups": ["administrator", "maker"]},
        {"employee": "e-1", "groups": {"g-7": True}},
        {"groups": ["g-7"]},
        {"employee": " e-1", "groups": ["g-7"]},
        {"employee": "e\n1", "groups": ["g-7"]},
        {"employee": "e" * 65, "groups": ["g-7"]},
        {"employee": ["e-1"], "groups": ["g-7"]},
    ],
)
def test_nobody_comes_in_without_a_name_and_a_group_that_has_a_role(
    bank: RunBank, issuer: LocalIssuer, claims: dict[str, object]
) -> None:
    with pytest.raises(SignOnError) as refused:
        log_in_of(issuer, bank).who(claims)

    assert refused.value.fault is SignOnFault.UNKNOWN


@pytest.mark.slow
def test_a_member_of_staff_comes_from_the_bank_and_leaves_by_it(
    bank: RunBank, issuer: LocalIssuer, chromium: Browser, tmp_path: Path
) -> None:
    issuer.who = {"sub": "4711", "employee": "e-1", "groups": ["g-7"]}
    complaints: list[str] = []
    with served(bank, issuer) as url:
        page = chromium.new_page(base_url=url, locale="zh-TW")
        page.on("console", lambda said: complaints.append(said.text))
        page.route("**/favicon.ico", lambda route: route.fulfill(status=204))
        page.goto("/login")
        violations = Axe().run(page).response["violations"]
        page.screenshot(path=tmp_path / "log-in.png", full_page=True)
        page.get_by_role("link", name="用本行員工帳號登入").click()
        expect(page.locator(".x-who")).to_contain_text("稽核")
        page.get_by_role("button", name="登出").click()
        expect(page.get_by_text("logged out with hint xuqi")).to_be_visible()
        page.goto("/")
        expect(page).to_have_url(f"{url}/login")
        page.close()

    with bank.store.snapshot() as look:
        trail = [(row["who"], row["did"], row["why"]) for row in audit.entries(look)]
    assert ("e-1", "log in with the bank", "auditor") in trail
    assert (violations, complaints) == ([], [])


@pytest.mark.slow
def test_an_account_of_the_console_does_not_open_where_the_bank_logs_in(
    bank: RunBank, issuer: LocalIssuer, chromium: Browser
) -> None:
    password = Staff(bank.store).add("lin", [StaffRole.MAKER], who="root", why="the test's")
    with served(bank, issuer) as url:
        page = chromium.new_page(base_url=url, locale="en")
        page.goto("/login")
        page.locator("[name=name]").fill("lin")
        page.locator("[name=password]").fill(password)
        page.locator("main button").click()
        expect(page.get_by_text("Please log in with the bank")).to_be_visible()
        page.close()
