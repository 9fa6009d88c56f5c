"""The life of a token, and what each step of it does to the certificates on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from back_office.tokens import MOVES, TokenActions
from renewal.errors import NotNowError, XuqiError
from renewal.lifecycle import tokens
from renewal.store import audit
from schema.events import MAX_KEY, Change
from schema.states import TOKEN as LIFE
from schema.states import TokenState
from tests.scenario.rows import BRANCH
from tests.scenario.sample import BROWSER, CARD, TOKEN, TOKEN_SERIALS, open_sample
from xuqi.check import run_checks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.scenario.scenario import Scenario

SERIAL = TOKEN_SERIALS[TOKEN]
BLANK = "0a0b0c0d"
WHO = {"who": "lin", "why": "at the counter"}


@pytest.fixture
def bank(world: Scenario) -> Scenario:
    return world


@pytest.fixture(scope="module")
def still(first_world: Scenario, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    """A bank in which nothing happens but the state of one token."""
    opened = open_sample(tmp_path_factory.mktemp("still") / "home", like=first_world)
    yield opened
    opened.close()


def actions(bank: Scenario) -> TokenActions:
    return TokenActions(bank.store)


def state_of(bank: Scenario, serial: str = SERIAL) -> str:
    with bank.store.snapshot() as look:
        return tokens.known(look, serial).state


def moved(bank: Scenario, *steps: str, serial: str = SERIAL) -> None:
    for step in steps:
        actions(bank).move(serial, step, **WHO)
    bank.drain()


@pytest.mark.parametrize(
    ("steps", "state", "certificate", "at_the_ca"),
    [
        (("hold",), "on hold", "suspended", "on hold"),
        (("hold", "resume"), "active", "active", "good"),
        (("lost",), "lost", "revoked", "revoked"),
        (("hold", "lost"), "lost", "revoked", "revoked"),
        (("damaged",), "damaged", "revoked", "revoked"),
        (("return",), "returned", "revoked", "revoked"),
        (("lost", "return", "destroy"), "destroyed", "revoked", "revoked"),
        (("return", "restock"), "in stock", "revoked", "revoked"),
    ],
    ids=lambda part: "-".join(part) if isinstance(part, tuple) else None,
)
def test_each_step_of_a_tokens_life_does_to_its_certificates_what_is_promised(
    bank: Scenario, steps: tuple[str, ...], state: str, certificate: str, at_the_ca: str
) -> None:
    moved(bank, *steps)

    assert state_of(bank) == state
    assert bank.certificate(TOKEN).state == certificate
    assert bank.status_at_ca(TOKEN).value == at_the_ca
    assert bank.certificate(CARD).state == "active", "another token's"
    assert run_checks(bank.app).counts.total() == 0


@pytest.mark.parametrize("step", ["hold", "lost", "damaged", "return"])
def test_a_token_that_is_out_of_hand_stops_before_its_ca_has_answered(
    bank: Scenario, step: str
) -> None:
    actions(bank).move(SERIAL, step, **WHO)

    assert bank.certificate(TOKEN).state == "suspended"
    assert bank.centre.request(TOKEN, branch=BRANCH) == "certificate_suspended"


def test_a_hold_that_is_lifted_does_not_revive_what_somebody_else_has_suspended(
    bank: Scenario,
) -> None:
    bank.app.back_office.ask_change(TOKEN, Change.SUSPEND, **WHO)
    bank.drain()

    moved(bank, "hold", "resume")

    assert state_of(bank) == "active"
    assert bank.certificate(TOKEN).state == "suspended"


def test_a_suspension_that_was_asked_for_during_the_hold_outlives_it(bank: Scenario) -> None:
    moved(bank, "hold")
    bank.app.back_office.ask_change(TOKEN, Change.SUSPEND, **WHO)

    moved(bank, "resume")

    assert bank.certificate(TOKEN).state == "suspended"


def test_a_second_hold_revives_no_more_than_it_has_suspended_itself(bank: Scenario) -> None:
    moved(bank, "hold", "resume")
    bank.app.back_office.ask_change(TOKEN, Change.SUSPEND, **WHO)
    bank.drain()

    moved(bank, "hold", "resume")

    assert bank.certificate(TOKEN).state == "suspended"


def test_the_superseded_certificate_on_a_lost_token_is_revoked_too(bank: Scenario) -> None:
    bank.requested(CARD)
    bank.at_the_branch(bank.station(CARD))
    assert bank.certificate(CARD).state == "superseded"

    moved(bank, "lost", serial=TOKEN_SERIALS[CARD])

    states = bank.rows("SELECT state FROM certificates WHERE customer = :c", c=CARD)
    assert states == [("revoked",), ("revoked",)]


def test_the_ca_is_told_that_the_key_of_a_lost_token_may_be_in_other_hands(
    bank: Scenario,
) -> None:
    moved(bank, "lost")
    moved(bank, "damaged", serial=TOKEN_SERIALS[CARD])

    assert ("revoked", "keyCompromise") in bank.decisions(TOKEN, "CA")
    assert ("revoked", "keyCompromise") not in bank.decisions(CARD, "CA")


def test_a_renewal_that_waits_for_a_lost_token_ends(bank: Scenario) -> None:
    renewal = bank.requested(CARD)

    moved(bank, "lost", serial=TOKEN_SERIALS[CARD])

    assert bank.renewal(renewal.id).state == "refused"
    assert bank.status_at_ca(CARD).value == "revoked"


def test_a_new_token_is_put_into_stock_assigned_and_collected(bank: Scenario) -> None:
    actions(bank).register("0A 0B 0C 0D", BRANCH, **WHO)
    actions(bank).assign(BLANK, BROWSER, **WHO)
    moved(bank, "activate", serial=BLANK)

    with bank.store.snapshot() as look:
        token = look.tokens.get(BLANK)
        trail = [row["did"] for row in audit.entries(look)]
    assert (token.state, token.customer, token.branch) == ("active", BROWSER, BRANCH)
    assert trail[-3:] == ["token register", "token assign", "token activate"]


def test_an_assigned_token_that_is_given_back_is_nobodys_again(bank: Scenario) -> None:
    actions(bank).register(BLANK, BRANCH, **WHO)
    actions(bank).assign(BLANK, BROWSER, **WHO)

    moved(bank, "return", serial=BLANK)

    with bank.store.snapshot() as look:
        token = look.tokens.get(BLANK)
    assert (token.state, token.customer) == ("in stock", None)


def drawn(state: TokenState, step: str) -> bool:
    return any(way.source == state and way.through == f"token {step}" for way in LIFE.transitions)


UNDRAWN = [
    pytest.param(state, step, id=f"{state}: {step}")
    for state in TokenState
    for step in sorted(MOVES)
    if not drawn(state, step)
]


@pytest.mark.parametrize(("state", "step"), UNDRAWN)
def test_a_step_that_is_not_drawn_is_refused_and_changes_nothing(
    still: Scenario, state: TokenState, step: str
) -> None:
    with still.store.transaction() as work:
        work.tokens.change(tokens.known(work, SERIAL), state=state.value)

    with pytest.raises(NotNowError) as refused:
        actions(still).move(SERIAL, step, **WHO)

    assert refused.value.reason.code == "token_cannot_become"
    assert state_of(still) == state
    assert still.certificate(TOKEN).state == "active"


def test_a_token_that_nobody_knows_is_named_with_what_to_do(bank: Scenario) -> None:
    with pytest.raises(XuqiError, match="xuqi token register"):
        actions(bank).move("ffffffff", "lost", **WHO)


def test_each_move_is_told_once_on_the_log(bank: Scenario) -> None:
    moved(bank, "hold", "resume")

    told = bank.rows("SELECT identity FROM events WHERE kind = 'token-moved.v1' ORDER BY seq")
    assert told == [(f"token-moved.v1:{SERIAL}:1",), (f"token-moved.v1:{SERIAL}:2",)]


def test_the_longest_serial_fits_onto_the_log_and_a_longer_one_is_refused(bank: Scenario) -> None:
    longest = "s" * tokens.MAX_SERIAL

    actions(bank).register(longest, BRANCH, **WHO)

    [(key,)] = bank.rows("SELECT key FROM events WHERE kind = 'token-moved.v1'")
    assert len(key) == MAX_KEY
    with pytest.raises(XuqiError, match="1 to 50 characters"):
        actions(bank).register(longest + "s", BRANCH, **WHO)
