"""A customer without a certificate applies for one: who may, once, and what becomes of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from msgspec.structs import replace

from centre.overview import Do, LineState, overview
from renewal.db.rows import Renewal
from renewal.errors import NotNowError
from renewal.lifecycle import applications, renewals
from renewal.rules.eligibility import why_not_apply
from scheduler import jobs
from schema.policy import Apply, load_policies
from schema.reasons import EndReason, RefusalReason
from schema.taipei import day_of, end_of
from simulation.client import BrowserKey
from tests.centre.test_renewing import at_once
from tests.scenario.acts import SESSION, TERMS
from tests.scenario.refusals import refused
from tests.scenario.rows import id_number_of
from tests.scenario.sample import BROWSER, CARD, PRODUCTS, TOKEN
from xuqi.check import counts

if TYPE_CHECKING:
    from centre.overview import Overview
    from tests.scenario.scenario import Scenario

PRODUCT = PRODUCTS[BROWSER]
NEWCOMER = 11
NOW = datetime(2026, 3, 2, 2, tzinfo=UTC)
POLICY = load_policies()[PRODUCT]


# --- the rule -------------------------------------------------------------------------------------

LONG_AGO, SOON = NOW - timedelta(days=90), NOW + timedelta(days=10)
CASES: dict[str, tuple[dict[str, Any], RefusalReason | None]] = {
    "nothing yet": ({}, None),
    "at the branch": ({"policy": replace(POLICY, apply=None)}, RefusalReason.APPLY_AT_BRANCH),
    "no account": ({"is_enrolled": False}, RefusalReason.NO_ACCOUNT),
    "not their role": (
        {"policy": replace(POLICY, apply=Apply(operators={"2": "only user"}))},
        RefusalReason.WRONG_OPERATOR,
    ),
    "their role": (
        {
            "policy": replace(POLICY, apply=Apply(operators={"2": "only user"})),
            "customer_class": "2",
            "operator": "only user",
        },
        None,
    ),
    "under way": ({"slot_has_open_renewal": True}, RefusalReason.UNDER_WAY),
    "in force": ({"in_slot": [("active", SOON)]}, RefusalReason.HAS_CERTIFICATE),
    "not left yet": ({"in_slot": [("active", LONG_AGO)]}, RefusalReason.HAS_CERTIFICATE),
    "on hold": ({"in_slot": [("suspended", SOON)]}, RefusalReason.HAS_CERTIFICATE),
    "expired, renewable": (
        {"in_slot": [("expired", NOW - timedelta(days=30))]},
        RefusalReason.HAS_CERTIFICATE,
    ),
    "expired beyond the window": (
        {"in_slot": [("expired", NOW - timedelta(days=30, seconds=1))]},
        None,
    ),
    "revoked": ({"in_slot": [("revoked", SOON), ("superseded", SOON)]}, None),
}


@pytest.mark.parametrize("case", CASES)
def test_who_may_apply_for_what_is_decided_by_the_policy_and_the_slot(case: str) -> None:
    differs, why = CASES[case]
    usual: dict[str, Any] = {
        "now": NOW,
        "policy": POLICY,
        "is_enrolled": True,
        "customer_class": None,
        "operator": None,
        "slot_has_open_renewal": False,
        "in_slot": [],
    }

    assert why_not_apply(**(usual | differs)) is why


# --- its life -------------------------------------------------------------------------------------


def seen(world: Scenario, customer: int) -> Overview:
    with world.store.snapshot() as look:
        return overview(look, customer, world.policies)


def issued(world: Scenario, customer: int = NEWCOMER) -> tuple[Renewal, BrowserKey]:
    application, key = world.applied(customer, PRODUCT)
    world.drain()
    return world.renewal(application.id), key


def in_force(world: Scenario, customer: int = NEWCOMER) -> Renewal:
    application, key = issued(world, customer)
    world.centre.collect(application.id)
    world.centre.prove(application.id, key.sign(application.challenge))
    world.drain()
    return world.renewal(application.id)


@pytest.fixture
def newcomer(world: Scenario) -> Scenario:
    world.enrol(NEWCOMER, PRODUCT)
    return world


@pytest.mark.shows("B01", "B02", "B05", "B10", "C03")
def test_a_first_certificate_is_applied_for_issued_proven_and_told(newcomer: Scenario) -> None:
    [offer] = seen(newcomer, NEWCOMER).offers
    application, key = issued(newcomer)
    der = newcomer.centre.collect(application.id)
    newcomer.centre.prove(application.id, key.sign(application.challenge))
    newcomer.drain()

    done = newcomer.renewal(application.id)
    certificate = newcomer.certificate(done.certificate)
    read = x509.load_der_x509_certificate(der or b"")
    name = read.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
    assert (offer.do, offer.application) == (Do.APPLY, None)
    assert (done.state, done.old_state, done.fee_state) == ("done", "none", "none")
    assert done.new_certificate == done.certificate == certificate.id
    assert (certificate.state, certificate.customer) == ("active", NEWCOMER)
    assert name == f"{id_number_of(NEWCOMER)}-00-{certificate.id:06d}"
    first_day = day_of(certificate.not_before)
    assert certificate.not_after == end_of(first_day.replace(year=first_day.year + 1))
    kinds = newcomer.rows("SELECT kind, channel FROM messages ORDER BY id")
    assert kinds.count(("code", "sms")) == kinds.count(("code", "mail")) == 1
    assert ("renewed", "mail") in kinds
    after = seen(newcomer, NEWCOMER)
    assert after.offers == []
    assert [(line.state, line.do) for line in after.lines] == [(LineState.NORMAL, Do.REVOKE)]
    assert set(counts(newcomer.app).values()) == {0}


def test_what_was_applied_for_is_renewed_like_any_other(newcomer: Scenario) -> None:
    done = in_force(newcomer)
    ends = newcomer.certificate(done.certificate).not_after
    newcomer.at(ends - timedelta(days=3))

    renewed = newcomer.renewed(certificate=done.certificate)

    assert renewed.id == f"R{done.certificate:08d}-02"
    assert renewed.state == "done"
    assert newcomer.certificate(done.certificate).state == "revoked"
    assert set(counts(newcomer.app).values()) == {0}


@pytest.mark.shows("B03")
def test_of_two_desks_that_apply_at_once_one_does(newcomer: Scenario) -> None:
    answers = at_once(*[lambda: newcomer.centre.apply(NEWCOMER, PRODUCT)] * 8)

    assert sum(isinstance(answer, Renewal) for answer in answers) == 1
    assert answers.count(RefusalReason.UNDER_WAY) == 7
    assert newcomer.rows("SELECT count(*) FROM renewals") == [(1,)]


def test_a_certificate_taken_in_meanwhile_does_not_get_the_number_that_was_given(
    newcomer: Scenario,
) -> None:
    application = newcomer.centre.apply(NEWCOMER, PRODUCT)
    newcomer.enrol(12, PRODUCT)

    other = newcomer.centre.apply(12, PRODUCT)

    assert isinstance(application, Renewal)
    assert isinstance(other, Renewal)
    assert other.certificate == application.certificate + 1


@pytest.mark.parametrize("number", [TOKEN, CARD])
def test_a_token_or_card_is_handed_out_at_the_branch(world: Scenario, number: int) -> None:
    world.enrol(NEWCOMER, PRODUCTS[number])

    assert world.centre.apply(NEWCOMER, PRODUCTS[number]) is RefusalReason.APPLY_AT_BRANCH
    assert [one.do for one in seen(world, NEWCOMER).offers] == [Do.BRANCH]


@pytest.mark.shows("B05", "B17")
def test_after_a_revocation_the_row_offers_to_apply_and_the_new_one_is_the_only_one(
    world: Scenario,
) -> None:
    sent, code = world.code(action="revoke")
    world.centre.revoke(BROWSER, challenge=sent.challenge, code=code, session=SESSION)
    world.drain()
    [before] = seen(world, BROWSER).lines

    done = in_force(world, BROWSER)

    assert (before.state, before.do) == (LineState.REVOKED, Do.APPLY)
    states = world.rows("SELECT id, state FROM certificates WHERE customer = 1 ORDER BY id")
    assert states == [(BROWSER, "revoked"), (done.certificate, "active")]
    assert [line.do for line in seen(world, BROWSER).lines] == [Do.REVOKE]
    assert set(counts(world.app).values()) == {0}


def test_after_the_window_the_row_offers_to_apply(world: Scenario) -> None:
    world.go_to(world.certificate(BROWSER).not_after + timedelta(days=31))
    jobs.leave(world.store, world.policies)
    [line] = seen(world, BROWSER).lines

    application = world.centre.apply(BROWSER, PRODUCT)

    assert (line.state, line.do) == (LineState.EXPIRED, Do.APPLY)
    assert isinstance(application, Renewal)
    [line] = seen(world, BROWSER).lines
    assert (line.do, line.renewal) == (Do.GO_ON, application.id)


# --- how it ends otherwise ------------------------------------------------------------------------


def test_a_certificate_that_was_never_proven_is_taken_back_and_another_may_be_applied_for(
    newcomer: Scenario,
) -> None:
    application, _ = issued(newcomer)
    newcomer.centre.decline(application.id)
    newcomer.drain()

    assert newcomer.renewal(application.id).state == "abandoned"
    assert newcomer.certificate(application.certificate).state == "revoked"
    assert isinstance(newcomer.centre.apply(NEWCOMER, PRODUCT), Renewal)
    assert set(counts(newcomer.app).values()) == {0}


def test_one_that_is_left_lying_is_given_up(newcomer: Scenario) -> None:
    application = newcomer.centre.apply(NEWCOMER, PRODUCT)
    assert isinstance(application, Renewal)
    newcomer.wait(days=POLICY.abandon_after_days + 1)

    jobs.tend(newcomer.store, newcomer.policies)
    newcomer.drain()

    assert newcomer.renewal(application.id).state == "abandoned"
    assert [one.application for one in seen(newcomer, NEWCOMER).offers] == [None]


def test_one_whose_customer_got_a_certificate_elsewhere_meanwhile_is_refused(
    newcomer: Scenario,
) -> None:
    application, key = issued(newcomer)
    newcomer.add(99, NOW + timedelta(days=300), customer=NEWCOMER)
    newcomer.change(99, slot=application.slot)

    with pytest.raises(NotNowError):
        newcomer.centre.prove(application.id, key.sign(application.challenge))
    newcomer.drain()

    row = newcomer.renewal(application.id)
    assert (row.state, row.why) == ("refused", RefusalReason.HAS_CERTIFICATE.value)
    assert newcomer.certificate(application.certificate).state == "revoked"


def test_one_that_staff_end_leaves_no_message_of_a_renewal(newcomer: Scenario) -> None:
    application = newcomer.centre.apply(NEWCOMER, PRODUCT)
    assert isinstance(application, Renewal)
    with newcomer.store.transaction() as work:
        row = work.renewals.get(application.id)
        renewals.refuse(work, row, EndReason.DECLINED_BY_CA, newcomer.policies)

    newcomer.drain()

    assert newcomer.rows("SELECT kind FROM messages") == []
    assert newcomer.rows("SELECT count(*) FROM dead_letters") == [(0,)]


def test_a_code_to_renew_does_not_confirm_an_application(newcomer: Scenario) -> None:
    application = newcomer.centre.apply(NEWCOMER, PRODUCT)
    assert isinstance(application, Renewal)
    sent, code = newcomer.code(certificate=application.certificate, action="renew")

    answer = newcomer.centre.confirm(
        application.id, challenge=sent.challenge, code=code, session=SESSION,
        csr=BrowserKey.new().request(), terms=TERMS,
    )  # fmt: skip

    assert answer.result == "wrong"
    assert newcomer.renewal(application.id).state == "requested"


def test_a_renewal_still_wants_the_present_key(world: Scenario) -> None:
    renewal = world.requested(BROWSER)
    sent, code = world.code()

    with refused(NotNowError, ""):
        world.centre.confirm(
            renewal.id, challenge=sent.challenge, code=code, session=SESSION,
            csr=BrowserKey.new().request(), terms=TERMS,
        )  # fmt: skip


def test_the_rule_is_asked_without_beginning_anything(newcomer: Scenario) -> None:
    with newcomer.store.snapshot() as look:
        why = applications.why_not(look, NEWCOMER, PRODUCT, newcomer.policies)

    assert why is None
    assert newcomer.rows("SELECT count(*) FROM renewals") == [(0,)]
