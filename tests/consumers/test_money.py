"""Lets the bank and the CA fail in every way at every booking, and counts the money."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from renewal.db.rows import Payment
from renewal.errors import GatewayUnavailableError, GatewayUnsureError
from renewal.ledger import checks
from scheduler import jobs
from schema.events import Change
from tests.scenario.acts import SESSION
from tests.scenario.outside import OPENING_BALANCE
from tests.scenario.sample import BROWSER, CARD, END, TOKEN, open_sample, policies_with

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from renewal.gateways.bank.port import Booking
    from tests.scenario.scenario import Scenario

FEE = 900
BANK = (None, "unavailable", "lost", "refused")
CA = (None, "unavailable", "lost", "refused")


def once_at_bank(op: str, fault: str | None) -> Callable[[Booking], str | None]:
    """
    The first booking of this kind meets the fault; a refusal stays one, as the bank's rules say.
    """
    left = [fault]

    def at(booking: Booking) -> str | None:
        return left.pop() if booking.op.value == op and left else None

    return at


class Silence:
    """The bank that does what it is asked just now, and then neither answers nor can be asked."""

    def __init__(self, world: Scenario, op: str) -> None:
        self.is_over = False
        self._op, self._heard = op, False
        world.weather.bank = self._lost
        world.bank._closed = self._closed

    def _lost(self, booking: Booking) -> str | None:
        return "lost" if booking.op.value == self._op and not self._heard else None

    def _closed(self) -> bool:
        closed, self._heard = self._heard and not self.is_over, True
        return closed


def once_at_ca(op: str, fault: str | None) -> Callable[[str, str], str | None]:
    left = [fault]
    return lambda asked, _request_id: left.pop() if asked == op and left else None


def assert_books_agree(world: Scenario) -> None:
    """The books balance, nothing is held in vain, and they say what the bank's own ledger says."""
    with world.app.store.snapshot() as look:
        assert checks.recompute(look) == []
    taken = sum(OPENING_BALANCE - world.at_the_bank(number)[0] for number in (TOKEN, CARD))
    held = sum(balance - free for balance, free in map(world.at_the_bank, (TOKEN, CARD)))
    [clearing] = world.rows(
        "SELECT coalesce(sum(posted), 0), coalesce(sum(pending_debits), 0) FROM accounts"
        " WHERE id = 'customer clearing'"
    )
    assert clearing == (taken, held)
    each = [id_ for _, id_ in world.booked()]
    assert len(each) == len(set(each))


def card_renewed(world: Scenario) -> str:
    """Renew the card while the clock goes on for a day; return how it ended."""
    renewal = world.requested(CARD)
    station = world.station(CARD)
    for _ in range(6):
        world.drain_over(timedelta(hours=1), step=timedelta(minutes=10))
        station.take()
        station.work()
    world.drain_over(timedelta(hours=2), step=timedelta(minutes=10))
    return world.renewal(renewal.id).state


@pytest.mark.shows("D03")
@pytest.mark.shows("D04")
@pytest.mark.parametrize(("hold", "issue"), list(itertools.product(BANK, CA)))
def test_a_hold_and_the_ca_fail_in_every_combination(
    world: Scenario, hold: str | None, issue: str | None
) -> None:
    world.weather.bank = once_at_bank("hold", hold)
    world.weather.ca = once_at_ca("issue", issue)

    ended = card_renewed(world)

    expected: tuple[str, list[str]]
    if hold == "refused":
        expected = ("refused", [])
    elif issue == "refused":
        expected = ("refused", ["hold", "void"])
    else:
        expected = ("done", ["hold", "capture"])
    assert (ended, [op for op, _ in world.booked()]) == expected
    assert world.dead() == []
    assert_books_agree(world)


@pytest.mark.shows("D03")
@pytest.mark.parametrize("fault", ["unavailable", "lost"])
@pytest.mark.parametrize("op", ["capture", "void"])
def test_the_end_of_a_hold_is_found_out_and_done_once(world: Scenario, op: str, fault: str) -> None:
    world.weather.bank = once_at_bank(op, fault)
    if op == "void":
        world.weather.ca = once_at_ca("issue", "refused")

    ended = card_renewed(world)

    assert ended == ("done" if op == "capture" else "refused")
    assert [done for done, _ in world.booked()] == ["hold", op]
    left = OPENING_BALANCE - FEE if op == "capture" else OPENING_BALANCE
    assert world.at_the_bank(CARD) == (left, left)
    assert world.dead() == []
    assert_books_agree(world)


@pytest.mark.parametrize(("op", "state"), [("capture", "activated"), ("void", "refused")])
def test_a_bank_that_refuses_to_end_a_hold_is_a_matter_for_staff(
    world: Scenario, op: str, state: str
) -> None:
    world.weather.bank = once_at_bank(op, "refused")
    if op == "void":
        world.weather.ca = once_at_ca("issue", "refused")

    ended = card_renewed(world)

    assert ended == state
    assert [consumer for consumer, _ in world.dead()] == ["billing"]
    assert world.at_the_bank(CARD) == (OPENING_BALANCE, OPENING_BALANCE - FEE)
    assert_books_agree(world)


@pytest.mark.parametrize("heard", [True, False])
def test_a_refusal_of_ours_that_was_mended_is_not_held_against_the_customer(
    world: Scenario,
    heard: bool,  # noqa: FBT001 - a column of the table
) -> None:
    renewal = world.requested(CARD)
    station = world.station(CARD)
    world.drain()
    station.take()
    station.work()
    with world.app.store.transaction() as work:
        row = work.renewals.get(renewal.id)
        work.renewals.change(row, fee_amount=0)
    if not heard:
        world.weather.bank = once_at_bank("hold", "lost")
    world.drain_over(timedelta(hours=2), step=timedelta(minutes=10))
    [(letter,)] = world.rows("SELECT id FROM dead_letters WHERE state = 'open'")
    with world.app.store.transaction() as work:
        row = work.renewals.get(renewal.id)
        work.renewals.change(row, fee_amount=FEE)
    world.app.back_office.replay_dead_letter(letter, who="teller 7", why="mended")

    world.drain()

    assert [op for op, _ in world.booked()] == ["hold"]
    assert world.renewal(renewal.id).fee_state == "held"
    assert world.rows("SELECT id FROM messages WHERE kind = 'refused'") == []
    assert_books_agree(world)


@pytest.mark.parametrize("end", ["staff", "stopped"])
def test_a_hold_that_was_done_unheard_is_given_back_when_the_renewal_has_ended(
    world: Scenario, end: str
) -> None:
    silence = Silence(world, "hold")
    renewal = world.requested(CARD)
    station = world.station(CARD)
    world.drain()
    station.take()
    station.work()
    world.drain_over(timedelta(days=20), step=timedelta(hours=6))
    assert [consumer for consumer, _ in world.dead()] == ["billing"]
    if end == "staff":
        world.app.back_office.end(renewal.id, who="teller 7", why="the bank is away")
        world.drain()
    else:
        with world.app.store.transaction() as work:
            work.certificates.change(work.certificates.get(CARD), state="suspended")
        [(letter,)] = world.rows("SELECT id FROM dead_letters")
        world.app.back_office.replay_dead_letter(letter, who="teller 7", why="it is back")
    silence.is_over = True
    world.drain_over(timedelta(hours=3), step=timedelta(minutes=10))

    assert world.renewal(renewal.id).state == "refused"
    assert [op for op, _ in world.booked()] == ["hold", "void"]
    assert world.at_the_bank(CARD) == (OPENING_BALANCE, OPENING_BALANCE)
    assert_books_agree(world)


def test_an_empty_account_ends_the_renewal_without_the_ca(world: Scenario) -> None:
    with world.app.store.transaction() as work:
        row = work.enrolments.get((CARD, "cooperative-card"))
        sealed = work.cipher.seal("empty 1", "enrolments.account")
        work.enrolments.change(row, account_sealed=sealed)

    ended = card_renewed(world)

    assert ended == "refused"
    assert world.booked() == []
    assert [line["op"] for line in world.outside("ca")].count("issue") == 3
    assert_books_agree(world)


def test_an_account_that_changes_meanwhile_is_not_the_one_that_was_held_on(world: Scenario) -> None:
    def changed(op: str, _request_id: str) -> None:
        if op == "issue":
            with world.app.store.transaction() as work:
                row = work.enrolments.get((CARD, "cooperative-card"))
                other = work.cipher.seal("009999999999", "enrolments.account")
                work.enrolments.change(row, account_sealed=other)

    world.weather.ca = changed

    assert card_renewed(world) == "done"
    assert world.at_the_bank(CARD) == (OPENING_BALANCE - FEE,) * 2
    assert_books_agree(world)


# --- paid first -----------------------------------------------------------------------------------


def payment_state(world: Scenario) -> list[str]:
    return [state for (state,) in world.rows("SELECT state FROM payments ORDER BY id")]


@pytest.mark.shows("D03")
def test_of_many_payments_at_once_one_is_debited(world: Scenario) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: world.centre.pay(TOKEN), range(8)))
    world.drain()

    assert sum(isinstance(answer, Payment) for answer in answers) == 1
    assert [op for op, _ in world.booked()] == ["debit"]
    assert_books_agree(world)


@pytest.mark.shows("D03")
@pytest.mark.parametrize("debit", BANK)
@pytest.mark.parametrize("refund", [None, "unavailable", "lost"])
def test_a_debit_and_its_refund_fail_in_every_combination(
    world: Scenario, debit: str | None, refund: str | None
) -> None:
    faults = {"debit": [debit], "refund": [refund]}
    world.weather.bank = lambda b: faults[b.op.value].pop() if faults[b.op.value] else None
    world.paid()
    world.drain_over(timedelta(hours=1), step=timedelta(minutes=5))

    world.clock.advance_to(END + timedelta(seconds=1))
    jobs.leave(world.app.store, world.app.policies)
    world.drain_over(timedelta(hours=1), step=timedelta(minutes=5))

    refused = debit == "refused"
    assert payment_state(world) == ["refused" if refused else "refunded"]
    assert [op for op, _ in world.booked()] == ([] if refused else ["debit", "refund"])
    assert world.at_the_bank(TOKEN) == (OPENING_BALANCE, OPENING_BALANCE)
    assert world.dead() == []
    assert_books_agree(world)


def test_a_debit_that_becomes_known_after_the_window_is_paid_back(world: Scenario) -> None:
    silence = Silence(world, "debit")
    world.clock.advance_to(END - timedelta(minutes=1))
    world.paid()
    world.clock.advance_to(END + timedelta(seconds=1))
    jobs.leave(world.app.store, world.app.policies)
    world.drain()
    assert payment_state(world) == ["asked"]

    silence.is_over = True
    world.drain_over(timedelta(hours=6), step=timedelta(minutes=10))

    assert payment_state(world) == ["refunded"]
    assert [op for op, _ in world.booked()] == ["debit", "refund"]
    assert_books_agree(world)


def test_what_can_no_longer_be_renewed_is_not_debited(world: Scenario) -> None:
    world.weather.bank = once_at_bank("debit", "unavailable")
    world.clock.advance_to(END - timedelta(seconds=10))
    world.paid()
    world.clock.advance_to(END + timedelta(seconds=1))
    jobs.leave(world.app.store, world.app.policies)
    world.drain_over(timedelta(hours=1), step=timedelta(minutes=5))

    assert payment_state(world) == ["refused"]
    assert world.booked() == []


def test_a_payment_without_an_account_is_refused_and_can_be_made_later(world: Scenario) -> None:
    with world.app.store.transaction() as work:
        row = work.enrolments.get((TOKEN, "corporate-token"))
        account = row.account_sealed
        work.enrolments.change(row, account_sealed=None)
    assert world.paid().state == "refused"
    with world.app.store.transaction() as work:
        row = work.enrolments.get((TOKEN, "corporate-token"))
        work.enrolments.change(row, account_sealed=account)

    assert world.paid().state == "paid"
    assert world.dead() == []


def let_account_be(world: Scenario, account: str | None) -> None:
    """The bank sends other data of the customer meanwhile."""
    with world.app.store.transaction() as work:
        row = work.enrolments.get((TOKEN, "corporate-token"))
        sealed = None if account is None else work.cipher.seal(account, "enrolments.account")
        work.enrolments.change(row, account_sealed=sealed)


@pytest.mark.parametrize("pinned", [True, False], ids=["pinned", "by an older program"])
def test_a_debit_that_was_done_unheard_is_found_out_though_the_account_is_gone(
    world: Scenario, *, pinned: bool
) -> None:
    silence = Silence(world, "debit")
    world.paid()
    let_account_be(world, None)
    if not pinned:
        with world.app.store.transaction() as work:
            [(payment,)] = world.rows("SELECT id FROM payments")
            work.payments.change(work.payments.get(payment), account_sealed=None)

    silence.is_over = True
    world.drain_over(timedelta(hours=1), step=timedelta(minutes=5))

    assert payment_state(world) == ["paid"]
    assert world.dead() == []
    assert_books_agree(world)


def test_no_account_is_pinned_to_a_debit_that_may_have_come_from_another(world: Scenario) -> None:
    """An older program has asked for it, and the customer has had another account since."""
    silence = Silence(world, "debit")
    world.paid()
    [(payment,)] = world.rows("SELECT id FROM payments")
    with world.app.store.transaction() as work:
        work.payments.change(work.payments.get(payment), account_sealed=None)
    let_account_be(world, "009999999999")

    silence.is_over = True
    world.drain_over(timedelta(hours=1), step=timedelta(minutes=5))

    assert world.rows("SELECT state, account_sealed FROM payments") == [("paid", None)]


def test_what_was_never_debited_is_refused_when_the_account_is_gone(world: Scenario) -> None:
    world.weather.bank = once_at_bank("debit", "unavailable")
    world.paid()
    let_account_be(world, None)
    with world.app.store.transaction() as work:
        [(payment,)] = world.rows("SELECT id FROM payments")
        work.payments.change(work.payments.get(payment), account_sealed=None)

    world.drain_over(timedelta(hours=1), step=timedelta(minutes=5))

    assert payment_state(world) == ["refused"]
    assert (world.booked(), world.dead()) == ([], [])


def test_what_the_bank_never_saw_is_not_debited_when_the_account_is_gone(
    world: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(_booking: Booking) -> None:
        raise GatewayUnsureError("the line broke")

    def away(_id: str) -> None:
        raise GatewayUnavailableError("the bank is away")

    with monkeypatch.context() as broken:
        broken.setattr(world.bank, "book", lost)
        broken.setattr(world.bank, "inquire", away)
        world.paid()
    let_account_be(world, None)
    with world.app.store.transaction() as work:  # as an older program left it
        [(payment,)] = world.rows("SELECT id FROM payments")
        work.payments.change(work.payments.get(payment), account_sealed=None)

    world.drain_over(timedelta(hours=1), step=timedelta(minutes=5))

    assert payment_state(world) == ["refused"]
    assert (world.booked(), world.dead()) == ([], [])


def test_a_refund_goes_where_the_debit_came_from(world: Scenario) -> None:
    world.paid()
    let_account_be(world, "009999999999")

    world.clock.advance_to(END + timedelta(seconds=1))
    jobs.leave(world.app.store, world.app.policies)
    world.drain_over(timedelta(hours=1), step=timedelta(minutes=5))

    assert payment_state(world) == ["refunded"]
    assert world.at_the_bank(TOKEN) == (OPENING_BALANCE, OPENING_BALANCE)
    assert world.dead() == []
    assert_books_agree(world)


def test_what_was_paid_for_one_that_was_never_resumed_is_paid_back(world: Scenario) -> None:
    world.paid()
    world.app.back_office.ask_change(TOKEN, Change.SUSPEND, who="teller 7", why="asked for")
    world.drain()
    jobs.tend(world.app.store, world.app.policies)
    assert payment_state(world) == ["paid"]

    world.clock.advance_to(END + timedelta(seconds=1))
    jobs.leave(world.app.store, world.app.policies)
    jobs.tend(world.app.store, world.app.policies)
    world.drain_over(timedelta(hours=1), step=timedelta(minutes=5))

    assert payment_state(world) == ["refunded"]
    assert_books_agree(world)


def test_what_was_paid_for_one_whose_slot_another_has_taken_is_paid_back(world: Scenario) -> None:
    world.paid()
    with world.app.store.transaction() as work:  # as an import of a newer one leaves it
        row = work.certificates.get(TOKEN)
        work.certificates.change(row, state="superseded", remind_at=None)

    jobs.tend(world.app.store, world.app.policies)
    world.drain_over(timedelta(hours=1), step=timedelta(minutes=5))

    assert payment_state(world) == ["refunded"]
    assert_books_agree(world)


@dataclass(frozen=True)
class Case:
    certificate: int
    was: str
    becomes: str
    booked: list[str]
    state: str


PREPAID = Case(TOKEN, "prepaid", "hold", ["debit"], "consumed")
HELD = Case(CARD, "hold", "prepaid", ["hold", "capture"], "captured")


@pytest.mark.parametrize("case", [PREPAID, HELD], ids=lambda case: case.was)
def test_a_renewal_is_paid_as_it_was_when_it_was_asked_for(
    first_world: Scenario, tmp_path: Path, case: Case
) -> None:
    """The product's policy says otherwise while it is under way."""
    before = open_sample(tmp_path / "before", like=first_world)
    with closing(before):
        if case is PREPAID:
            before.paid()
        renewal = before.requested(case.certificate)
    says = (f'how = "{case.was}"', f'how = "{case.becomes}"')
    policies = policies_with(tmp_path / "policies", *says)

    with closing(open_sample(tmp_path / "after", policies=policies, like=before)) as after:
        after.at_the_branch(after.station(case.certificate))
        after.drain()

        ended = after.renewal(renewal.id)
        assert (ended.state, ended.fee_state) == ("done", case.state)
        assert [op for op, _ in after.booked()] == case.booked
        assert_books_agree(after)


def test_a_refused_payment_is_made_again_under_another_id(world: Scenario) -> None:
    world.weather.bank = once_at_bank("debit", "refused")
    first = world.paid()
    second = world.paid()

    assert (first.state, second.state) == ("refused", "paid")
    assert first.id != second.id
    assert_books_agree(world)


def test_an_abandoned_renewal_gives_its_entitlement_to_the_next(world: Scenario) -> None:
    world.paid()
    first = world.requested(TOKEN)
    world.centre.decline(first.id)
    world.drain()

    second = world.requested(TOKEN)
    world.at_the_branch(world.station(TOKEN))

    assert world.renewal(second.id).state == "done"
    assert [op for op, _ in world.booked()] == ["debit"]
    assert payment_state(world) == ["consumed"]
    assert_books_agree(world)


def test_a_free_renewal_moves_no_money(world: Scenario) -> None:
    renewal, key = world.issued()
    world.centre.prove(renewal.id, key.sign(renewal.challenge))
    world.drain()

    assert world.renewal(renewal.id).state == "done"
    assert world.outside("bank") == []
    assert world.centre.send_code(BROWSER, action="renew", session=SESSION)
