"""The sample bank is open to a person: somebody to log in as, a mailbox, a clock that moves."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
import pytest

from renewal.db.rows import Payment, Renewal
from simulation.trial import BRANCH, CLERK, CLERK_PASSWORD, PASSWORD, Trial, lines, open_trial
from simulation.trial_pages import trial_app
from simulation.trial_station import trial_station
from tests.scenario.chinese import faults_of_page
from xuqi.serving.http import listening

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    opened = open_trial(tmp_path_factory.mktemp("trial") / "try", port=0)
    yield opened
    opened.app.store.close()


@pytest.fixture
def site(trial: Trial) -> Iterator[httpx.Client]:
    app = trial_app(trial, {"centre": "http://127.0.0.1:1"})
    with (
        listening(app, "127.0.0.1", 0) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        yield client


def test_the_page_says_whom_to_log_in_as(site: httpx.Client, trial: Trial) -> None:
    page = site.get("/").text

    assert PASSWORD in page
    assert faults_of_page(page) == []
    assert all(guest.person.id_number in page for guest in trial.guests)


def test_the_terminal_says_where_to_go_and_whom_to_be(trial: Trial) -> None:
    told = "\n".join(lines(trial, {"centre": "http://127.0.0.1:1"}))

    assert "http://127.0.0.1:1" in told
    assert all(guest.person.id_number in told for guest in trial.guests)
    assert set(trial.staff) == {"clerk", "chief"}
    assert all(password in told for password in trial.staff.values())


def test_a_clock_that_was_moved_on_brings_the_reminders_that_are_due(
    site: httpx.Client, trial: Trial
) -> None:
    before = trial.clock.now()

    moved = site.post(
        "/clock", data={"minutes": 7 * 24 * 60}, headers={"Origin": str(site.base_url)}
    )
    work(trial)

    assert moved.status_code == httpx.codes.SEE_OTHER
    assert trial.clock.now() - before >= timedelta(days=7)
    to = {one["to"] for one in site.get("/messages").json()["messages"]}
    assert to


def test_nobody_moves_the_clock_from_another_page(site: httpx.Client, trial: Trial) -> None:
    before = trial.clock.moved

    refused = site.post("/clock", data={"minutes": 60}, headers={"Origin": "http://elsewhere.test"})

    assert refused.status_code == httpx.codes.FORBIDDEN
    assert trial.clock.moved == before


def test_a_guest_s_token_is_renewed_at_the_trial_s_station(trial: Trial) -> None:
    company = trial.guests[1].person
    app, token = trial.app, company.holdings[0]
    payment = app.centre.pay(token.certificate)
    assert isinstance(payment, Payment)
    work(trial)
    renewal = app.centre.request(token.certificate, branch=BRANCH)
    assert isinstance(renewal, Renewal)
    work(trial)

    with (
        trial_station(trial, port=0) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", follow_redirects=True) as client,
    ):
        client.headers["Origin"] = str(client.base_url).rstrip("/")
        client.post("/login", data={"name": CLERK, "password": CLERK_PASSWORD})
        readers = client.get("/").text
        eventually(lambda: renewal.id in client.get(f"/find?serial={token.token}").text)
        client.post(f"/jobs/{renewal.id}/pin", data={"pin": token.pin})
        eventually(lambda: state_after_work(trial, renewal.id) == "done")

    assert readers.count(token.token) >= 1
    assert trial.guests[2].person.holdings[0].token in readers


def state_after_work(trial: Trial, renewal: str) -> str:
    work(trial)
    with trial.app.store.snapshot() as look:
        return look.renewals.get(renewal).state


def eventually(holds: Callable[[], bool]) -> None:
    for _ in range(300):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError("it has not come")


def work(trial: Trial) -> None:
    """What the served consumers do."""
    for consumer in trial.app.consumers():
        delivery = trial.app.runner(consumer)
        while delivery.run_once():
            pass
        delivery.reader.close()
