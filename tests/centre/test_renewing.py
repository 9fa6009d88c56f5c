"""Tries to renew in a browser what may not be, twice, or with a key that is not one's own."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec.structs import replace

from renewal.db.rows import Renewal
from renewal.errors import NotNowError, XuqiError
from renewal.eventlog.embedded import EmbeddedLog
from renewal.rules.csr import BadRequestError
from renewal.rules.proof import ProofError
from scheduler import jobs
from schema.codec import decode
from schema.events import TokenJobRequested
from schema.reasons import RefusalReason
from simulation.client import BrowserKey
from tests.scenario.acts import SESSION, TERMS
from tests.scenario.refusals import refused
from tests.scenario.rows import BRANCH
from tests.scenario.sample import BROWSER, CARD, END, PRODUCTS, TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from centre.actions import CodeAnswer
    from tests.scenario.scenario import Scenario

Private = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def request(key: Private, name: str = "", *, mail: str = "") -> bytes:
    names = [x509.NameAttribute(x509.NameOID.COMMON_NAME, name)] if name else []
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names))
    if mail:
        other = x509.SubjectAlternativeName([x509.RFC822Name(mail)])
        builder = builder.add_extension(other, critical=False)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.DER)


def confirm(world: Scenario, renewal: Renewal, csr: bytes) -> CodeAnswer:
    sent, code = world.code()
    return world.centre.confirm(
        renewal.id,
        challenge=sent.challenge,
        code=code,
        session=SESSION,
        **world.handed_in(renewal, csr),
    )


def without_present_key(world: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    """The product does not ask for the present key: the other customer's is on a token."""
    product = PRODUCTS[BROWSER]
    policy = world.app.policies.of(product)
    lax = replace(policy, confirm=replace(policy.confirm, present_key=False))
    monkeypatch.setitem(world.app.policies.by_product, product, lax)


def at_once(*deeds: Callable[[], object]) -> list[object]:
    """Do all of them from threads that start together; an error is an answer."""
    together = Barrier(len(deeds))

    def do(deed: Callable[[], object]) -> object:
        together.wait()
        try:
            return deed()
        except XuqiError as error:
            return error

    with ThreadPoolExecutor(len(deeds)) as pool:
        return list(pool.map(do, deeds))


@pytest.mark.shows("B03")
def test_of_two_browsers_that_ask_at_once_one_renews(world: Scenario) -> None:
    answers = at_once(*[lambda: world.centre.request(BROWSER)] * 8)

    assert sum(isinstance(answer, Renewal) for answer in answers) == 1
    assert answers.count(RefusalReason.UNDER_WAY) == 7
    assert world.rows("SELECT count(*) FROM renewals") == [(1,)]


P256 = ec.generate_private_key(ec.SECP256R1())
GOOD = request(P256)
BROKEN = {
    "nothing": b"",
    "garbage": b"\x30\x82\x01\x00 no request",
    "cut off": GOOD[:-1],
    "signed with another key": GOOD[:-8] + bytes(8),
    "P-384": request(ec.generate_private_key(ec.SECP384R1())),
    "RSA of 1024 bits": request(rsa.generate_private_key(65537, 1024)),  # noqa: S505 - it must be refused
    "Ed25519": request(ed25519.Ed25519PrivateKey.generate()),
    "names its subject": request(P256, "A123456781-00-000001"),
    "asks for more": request(P256, mail="me@example.com"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_request_that_cannot_be_used_spends_no_try(world: Scenario, how: str) -> None:
    renewal = world.requested(BROWSER)

    with pytest.raises(BadRequestError) as caught:
        confirm(world, renewal, BROKEN[how])

    assert "A123456781" not in str(caught.value)
    assert world.rows("SELECT tries FROM challenges") == [(0,)]
    assert world.renewal(renewal.id).state == "requested"


def test_an_rsa_key_of_2048_bits_is_renewed(world: Scenario) -> None:
    renewal = world.requested(BROWSER)

    assert confirm(world, renewal, request(rsa.generate_private_key(65537, 2048))).result == "right"
    world.drain()

    assert world.renewal(renewal.id).state == "issued"


def test_the_key_of_the_old_certificate_is_not_renewed(world: Scenario) -> None:
    renewal = world.requested(BROWSER)

    with refused(BadRequestError, "used before"):
        confirm(world, renewal, world.old_keys[BROWSER].request())


def test_a_key_is_used_once_across_all_customers(world: Scenario) -> None:
    _, key = world.confirmed()
    with world.app.store.transaction() as work:  # customer 2 has a certificate in the browser, too
        work.certificates.change(work.certificates.get(TOKEN), product="securities-browser")
    other = world.centre.request(TOKEN)
    assert isinstance(other, Renewal)

    with refused(BadRequestError, "used before"):
        confirm(world, other, key.request())


def test_one_key_for_two_customers_at_once_is_taken_once(
    world: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_present_key(world, monkeypatch)
    with world.app.store.transaction() as work:
        work.certificates.change(work.certificates.get(TOKEN), product="securities-browser")
    key = BrowserKey.new()
    renewals = {number: world.centre.request(number) for number in (BROWSER, TOKEN)}
    codes = {number: world.code(certificate=number) for number in renewals}

    def deed(number: int) -> Callable[[], object]:
        renewal, (sent, code) = renewals[number], codes[number]
        assert isinstance(renewal, Renewal)
        return lambda: world.centre.confirm(
            renewal.id,
            challenge=sent.challenge,
            code=code,
            session=SESSION,
            **world.handed_in(renewal, key.request()),
        )

    answers = at_once(deed(BROWSER), deed(TOKEN))

    assert sum(isinstance(answer, BadRequestError) for answer in answers) == 1
    assert world.rows("SELECT count(*) FROM renewals WHERE state = 'confirmed'") == [(1,)]


@pytest.mark.shows("B07")
@pytest.mark.parametrize("of", ["nobody", "the request alone", "another challenge"])
def test_without_the_present_keys_approval_of_this_renewal_nothing_is_confirmed(
    world: Scenario, of: str
) -> None:
    renewal = world.requested(BROWSER)
    sent, code = world.code()
    csr = BrowserKey.new().request()
    foreign = replace(renewal, challenge=b"another")
    handed_in = {
        "nobody": world.handed_in(renewal, csr) | {"approval": None},
        "the request alone": world.handed_in(renewal, csr)
        | {"approval": world.old_keys[BROWSER].approval(csr, world.der(BROWSER))},
        "another challenge": world.handed_in(foreign, csr),
    }[of]

    with pytest.raises((NotNowError, ProofError)):
        world.centre.confirm(
            renewal.id, challenge=sent.challenge, code=code, session=SESSION, **handed_in
        )

    assert world.rows("SELECT tries, used_at FROM challenges") == [(0, None)]
    assert world.renewal(renewal.id).state == "requested"


@pytest.mark.shows("A08")
def test_the_terms_that_were_agreed_to_are_kept(world: Scenario) -> None:
    renewal, _ = world.confirmed()

    assert renewal.terms_sha256 == hashlib.sha256(TERMS).digest()


def test_confirming_twice_changes_nothing(world: Scenario) -> None:
    renewal, key = world.confirmed()

    with pytest.raises(NotNowError):
        confirm(world, renewal, key.request())
    with pytest.raises(NotNowError):
        confirm(world, renewal, BrowserKey.new().request())

    now = world.renewal(renewal.id)
    assert (now.csr, now.spki_sha256) == (renewal.csr, renewal.spki_sha256)
    assert [line["op"] for line in world.outside("ca")].count("issue") == 4  # one of them new


def test_of_two_confirmations_at_once_one_counts(world: Scenario) -> None:
    renewal = world.requested(BROWSER)
    sent, code = world.code()
    keys = [BrowserKey.new() for _ in range(4)]

    def deed(key: BrowserKey) -> Callable[[], object]:
        return lambda: world.centre.confirm(
            renewal.id,
            challenge=sent.challenge,
            code=code,
            session=SESSION,
            **world.handed_in(renewal, key.request()),
        )

    at_once(*map(deed, keys))

    events = world.rows("SELECT count(*) FROM events WHERE kind = 'renewal-confirmed.v1'")
    assert events == [(1,)]
    assert world.renewal(renewal.id).state == "confirmed"
    assert world.rows("SELECT count(*) FROM decisions WHERE what = 'used'") == [(1,)]


def test_what_is_not_issued_cannot_be_collected_or_proven(world: Scenario) -> None:
    renewal, key = world.confirmed()

    assert world.centre.collect(renewal.id) is None
    with pytest.raises(NotNowError):
        world.centre.prove(renewal.id, key.sign(renewal.challenge))


def test_only_the_new_key_over_this_challenge_proves(world: Scenario) -> None:
    renewal, key = world.issued()
    world.centre.collect(renewal.id)
    wrong = {
        "another key": BrowserKey.new().sign(renewal.challenge),
        "the old key": world.old_keys[BROWSER].sign(renewal.challenge),
        "another challenge": key.sign(bytes(32)),
        "no signature": b"",
        "garbage": bytes(70),
    }

    for signature in wrong.values():
        with pytest.raises(ProofError):
            world.centre.prove(renewal.id, signature)

    assert world.certificate(BROWSER).state == "active"
    assert world.renewal(renewal.id).state == "delivered"
    assert world.status_at_ca(BROWSER) == "good"


def test_proving_twice_changes_nothing(world: Scenario) -> None:
    renewal, key = world.issued()
    signature = key.sign(renewal.challenge)

    world.centre.prove(renewal.id, signature)
    world.centre.prove(renewal.id, signature)
    world.drain()
    world.centre.prove(renewal.id, signature)
    world.drain()

    assert world.renewal(renewal.id).state == "done"
    assert [line["op"] for line in world.outside("ca")].count("revoke") == 1


def test_what_was_given_up_cannot_be_proven(world: Scenario) -> None:
    renewal, key = world.issued()
    world.wait(days=14)
    jobs.tend(world.app.store, world.app.policies)

    with pytest.raises(NotNowError):
        world.centre.prove(renewal.id, key.sign(renewal.challenge))
    world.drain()

    new = world.renewal(renewal.id).new_certificate
    assert world.renewal(renewal.id).state == "abandoned"
    assert world.certificate(BROWSER).state == "active"
    assert world.status_at_ca(BROWSER) == "good"
    assert world.status_at_ca(new or 0) == "revoked"


@pytest.mark.parametrize("turn", range(4))
def test_of_giving_up_and_proving_at_once_one_wins(world: Scenario, turn: int) -> None:
    renewal, key = world.issued()
    signature = key.sign(renewal.challenge)
    deeds: list[Callable[[], object]] = [
        lambda: world.centre.decline(renewal.id),
        lambda: world.centre.prove(renewal.id, signature),
    ]

    answers = at_once(*(deeds if turn % 2 else deeds[::-1]))
    world.drain()

    now = world.renewal(renewal.id)
    assert sum(isinstance(answer, NotNowError) for answer in answers) == 1
    in_force = BROWSER if now.state == "abandoned" else now.new_certificate or 0
    other = now.new_certificate or 0 if now.state == "abandoned" else BROWSER
    assert now.state in {"abandoned", "done"}
    assert world.certificate(in_force).state == "active"
    assert world.status_at_ca(in_force) == "good"
    assert world.status_at_ca(other) == "revoked"


@pytest.mark.parametrize("state", ["confirmed", "fee held", "sent to CA"])
def test_what_the_bank_or_the_ca_is_asked_about_cannot_be_declined(
    world: Scenario, state: str
) -> None:
    renewal, _ = world.confirmed()
    with world.app.store.transaction() as work:
        work.renewals.change(work.renewals.get(renewal.id), state=state)

    with pytest.raises(NotNowError):
        world.centre.decline(renewal.id)


def test_a_declined_renewal_can_be_asked_for_again(world: Scenario) -> None:
    first = world.requested(BROWSER)
    world.centre.decline(first.id)
    world.drain()

    second = world.requested(BROWSER)

    assert second.id != first.id
    assert world.certificate(BROWSER).state == "active"


# --- what is on a token ---------------------------------------------------------------------------


def token_renewal(world: Scenario, certificate: int) -> Renewal:
    if certificate == TOKEN:
        world.paid()
    return world.requested(certificate)


@pytest.mark.shows("A06")
@pytest.mark.parametrize("certificate", [TOKEN, CARD])
def test_a_token_is_not_confirmed_by_a_code(world: Scenario, certificate: int) -> None:
    renewal = token_renewal(world, certificate)
    sent, code = world.code()

    with pytest.raises(NotNowError, match="renewal_belongs_to_station"):
        world.centre.confirm(
            renewal.id,
            challenge=sent.challenge,
            code=code,
            session=SESSION,
            **world.handed_in(renewal, BrowserKey.new().request()),
        )

    assert world.renewal(renewal.id).state == "requested"


@pytest.mark.shows("A06")
@pytest.mark.parametrize("certificate", [TOKEN, CARD])
def test_a_token_is_neither_collected_nor_proven_in_a_browser(
    world: Scenario, certificate: int
) -> None:
    renewal = token_renewal(world, certificate)
    station = world.station(certificate)
    world.drain()
    station.take()
    station.work()
    world.drain()
    assert world.renewal(renewal.id).state == "issued"

    with pytest.raises(NotNowError, match="renewal_belongs_to_station"):
        world.centre.collect(renewal.id)
    with pytest.raises(NotNowError, match="renewal_belongs_to_station"):
        world.centre.prove(renewal.id, b"")

    assert world.renewal(renewal.id).state == "issued"


# --- who and when ---------------------------------------------------------------------------------


@pytest.mark.shows("C02")
@pytest.mark.parametrize(
    ("customer_class", "operator", "answer"),
    [
        (2, "only user", None),
        (2, "administrator", RefusalReason.WRONG_OPERATOR),
        (2, "SUPER001", RefusalReason.WRONG_OPERATOR),
        (3, "administrator", None),
        (3, "only user", RefusalReason.WRONG_OPERATOR),
        (3, "SUPER001", RefusalReason.WRONG_OPERATOR),
        (4, "SUPER001", None),
        (4, "administrator", RefusalReason.WRONG_OPERATOR),
        (4, "super001", RefusalReason.WRONG_OPERATOR),
        (1, "administrator", RefusalReason.WRONG_OPERATOR),
        (9, "", RefusalReason.WRONG_OPERATOR),
    ],
)
def test_only_the_right_operator_of_a_class_renews(
    world: Scenario, customer_class: int, operator: str, answer: RefusalReason | None
) -> None:
    with world.app.store.transaction() as work:
        row = work.enrolments.get((CARD, "cooperative-card"))
        work.enrolments.change(row, customer_class=customer_class, operator=operator)

    got = world.centre.request(CARD, branch=BRANCH)

    assert isinstance(got, Renewal) if answer is None else got == answer


@pytest.mark.shows("A02")
@pytest.mark.parametrize(
    ("certificate", "after_end", "answer"),
    [
        (CARD, timedelta(0), None),
        (CARD, timedelta(seconds=1), RefusalReason.EXPIRED),
        (BROWSER, timedelta(seconds=1), None),
        (BROWSER, timedelta(days=30), None),
        (BROWSER, timedelta(days=30, seconds=1), RefusalReason.WINDOW_OVER),
    ],
)
def test_the_last_second_of_the_window_is_in_it(
    world: Scenario, certificate: int, after_end: timedelta, answer: RefusalReason | None
) -> None:
    world.clock.advance_to(END + after_end)

    got = world.centre.request(certificate, branch=BRANCH if certificate == CARD else None)

    assert isinstance(got, Renewal) if answer is None else got == answer


@pytest.mark.shows("A02")
def test_what_was_asked_for_in_time_is_finished_after_the_window(world: Scenario) -> None:
    world.clock.advance_to(END)
    renewal = world.requested(CARD)
    world.wait(days=1)

    world.at_the_branch(world.station(CARD))

    assert world.renewal(renewal.id).state == "done"


@pytest.mark.shows("A13")
@pytest.mark.shows("C11")
def test_a_new_validity_begins_and_ends_where_the_policy_says(world: Scenario) -> None:
    world.paid()
    token, card = world.requested(TOKEN), world.requested(CARD)
    world.at_the_branch(world.station(TOKEN, CARD))

    new_token = world.certificate(world.renewal(token.id).new_certificate or 0)
    new_card = world.certificate(world.renewal(card.id).new_certificate or 0)

    assert (new_token.not_before, new_token.not_after) == (
        END,
        datetime(2027, 3, 20, 15, 59, 59, tzinfo=UTC),
    )
    assert new_card.not_after == datetime(2028, 3, 20, 15, 59, 59, tzinfo=UTC)


@pytest.mark.shows("B14")
@pytest.mark.parametrize("password", ["abc", "abcdefghijk", "abc-1", "密碼密碼", ""])
def test_a_backup_password_has_four_to_ten_letters_and_digits(
    world: Scenario, password: str
) -> None:
    renewal, key = world.issued()
    certificate = world.centre.collect(renewal.id)
    assert certificate is not None

    with pytest.raises(ValueError, match="4 to 10"):
        key.backup(certificate, password)
    assert key.backup(certificate, "abcd")
    assert key.backup(certificate, "Abcdefgh12")


def test_what_another_product_has_on_the_token_is_kept(world: Scenario) -> None:
    """Two products' certificates lie on one token: renewing one takes no place of the other."""
    other = hashlib.sha256(b"of the other product").digest()
    with world.app.store.transaction() as work:
        new = {"id": 91, "product": PRODUCTS[CARD], "slot": "of the other", "serial": "91"}
        row = replace(work.certificates.get(TOKEN), **new, certificate_sha256=other)
        work.certificates.put(row)
    world.paid()

    world.requested(TOKEN)
    world.drain()

    reader = EmbeddedLog(world.app.store).reader("tests", [f"stations.{BRANCH}"])
    with closing(reader):
        (record,) = reader.poll(9, timedelta(0))
    job = decode(record.body)
    assert isinstance(job, TokenJobRequested)
    mine = world.certificate(TOKEN).certificate_sha256
    assert job.keep_sha256 == tuple(sorted([mine.hex(), other.hex()]))
