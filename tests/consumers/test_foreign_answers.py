"""Has the CA answer with something else than it was asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from renewal.errors import NotNowError
from simulation.client import BrowserKey
from tests.scenario.outside import OPENING_BALANCE
from tests.scenario.rows import id_number_of
from tests.scenario.sample import BROWSER, CARD

if TYPE_CHECKING:
    from renewal.db.rows import Renewal
    from renewal.gateways.ca.port import IssuanceRequest
    from tests.scenario.scenario import Scenario
    from token_station.station import Station

STRANGER = ec.generate_private_key(ec.SECP256R1())


def made(
    request: IssuanceRequest,
    *,
    key: ec.EllipticCurvePublicKey | None = None,
    name: str | None = None,
    more: timedelta = timedelta(0),
    signs_certificates: bool = False,
) -> bytes:
    """A certificate that is as asked but for what is said."""
    csr = x509.load_der_x509_csr(request.csr)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name or request.common_name)])
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "CA")]))
        .public_key(key or csr.public_key())
        .serial_number(4711)
        .not_valid_before(request.not_before)
        .not_valid_after(request.not_after + more)
        .add_extension(usage, critical=True)
    )
    return builder.sign(STRANGER, SHA256()).public_bytes(Encoding.DER)


FORGED = {
    "another key": lambda request, _der: made(request, key=STRANGER.public_key()),
    "another subject": lambda request, _der: made(request, name="B987654321-00-000001"),
    "another end": lambda request, _der: made(request, more=timedelta(seconds=1)),
    "a certificate of a CA": lambda request, _der: made(request, signs_certificates=True),
    "garbage": lambda _request, _der: b"no certificate",
    "nothing": lambda _request, _der: b"",
}


def card_at_the_ca(world: Scenario, station: Station | None = None) -> Renewal:
    renewal = world.requested(CARD)
    world.at_the_branch(station or world.station(CARD), rounds=2)
    return world.renewal(renewal.id)


@pytest.mark.shows("D04")
@pytest.mark.parametrize("how", FORGED)
def test_an_answer_that_is_not_what_was_asked_for_is_a_matter_for_staff(
    world: Scenario, how: str
) -> None:
    world.weather.forged = FORGED[how]

    now = card_at_the_ca(world)

    # The hold stays while nobody knows what the CA has done; the old one stays in force.
    assert (now.state, now.fee_state, now.new_certificate) == ("sent to CA", "held", None)
    assert world.certificate(CARD).state == "active"
    assert [op for op, _ in world.booked()] == ["hold"]
    [(consumer, why)] = world.dead()
    assert consumer == "issuance"
    assert id_number_of(CARD) not in why
    assert world.decisions(CARD, "CA")[-1][0] == "wrong answer"


def test_staff_can_have_it_asked_again_once_the_ca_is_mended(world: Scenario) -> None:
    world.weather.forged = FORGED["another key"]
    station = world.station(CARD)
    renewal = card_at_the_ca(world, station)
    world.weather.forged = lambda _request, der: der
    [(letter,)] = world.rows("SELECT id FROM dead_letters")

    world.app.back_office.replay_dead_letter(letter, who="teller 7", why="the CA is mended")
    world.at_the_branch(station)

    assert world.renewal(renewal.id).state == "done"
    assert [op for op, _ in world.booked()] == ["hold", "capture"]


def test_staff_can_end_it_and_all_is_given_back(world: Scenario) -> None:
    world.weather.forged = FORGED["another key"]
    renewal = card_at_the_ca(world)
    mails = len(world.outside("mail"))

    world.app.back_office.end(renewal.id, who="teller 7", why="the CA says it was its mistake")
    world.drain()

    assert world.renewal(renewal.id).state == "refused"
    assert [op for op, _ in world.booked()] == ["hold", "void"]
    assert world.at_the_bank(CARD) == (OPENING_BALANCE, OPENING_BALANCE)
    new = world.renewal(renewal.id).new_certificate or 0
    assert world.certificate(new).state == "revoked"  # the CA had made one, which we now know
    assert world.status_at_ca(new) == "revoked"
    assert world.certificate(CARD).state == "active"
    assert len(world.outside("mail")) == mails + 1  # that the renewal is refused, and no more
    [line] = world.rows("SELECT who, did, object FROM audit")
    assert line == ("teller 7", "end renewal", f"renewal {renewal.id}")


@pytest.mark.parametrize("state", ["confirmed", "fee held", "sent to CA"])
def test_staff_cannot_end_what_the_machine_is_finding_out(world: Scenario, state: str) -> None:
    renewal, _ = world.confirmed()
    with world.app.store.transaction() as work:
        work.renewals.change(work.renewals.get(renewal.id), state=state)

    with pytest.raises(NotNowError, match="renewal_in_progress"):
        world.app.back_office.end(renewal.id, who="teller 7", why="impatient")

    assert world.rows("SELECT count(*) FROM audit") == [(0,)]


def test_a_lost_answer_is_found_and_not_asked_for_again(world: Scenario) -> None:
    left = ["lost"]
    world.weather.ca = lambda op, _id: left.pop() if op == "issue" and left else None

    renewal, _ = world.confirmed()
    world.drain_over(timedelta(minutes=10))

    assert world.renewal(renewal.id).state == "issued"
    ours = [line for line in world.outside("ca") if line["request_id"] == f"{renewal.id}/issue"]
    assert len(ours) == 1


@pytest.mark.parametrize("fault", ["unavailable", "lost"])
def test_the_old_one_is_revoked_as_soon_as_the_ca_can_be_asked(world: Scenario, fault: str) -> None:
    left = [fault] * 3
    world.weather.ca = lambda op, _id: left.pop() if op == "revoke" and left else None
    renewal, key = world.issued()

    world.centre.prove(renewal.id, key.sign(renewal.challenge))
    world.drain()
    assert world.renewal(renewal.id).state == "activated"
    world.drain_over(timedelta(hours=2))

    assert world.renewal(renewal.id).state == "done"
    assert [line["op"] for line in world.outside("ca")].count("revoke") == 1
    assert world.certificate(BROWSER).state == "revoked"


def test_what_is_asked_of_the_ca_does_not_move_with_the_clock(world: Scenario) -> None:
    world.weather.ca = lambda op, _id: "unavailable" if op == "issue" else None
    renewal, _ = world.confirmed(BrowserKey.new())
    world.drain()
    asked = world.renewal(renewal.id)
    world.wait(days=3)
    world.weather.ca = lambda _op, _id: None

    world.drain_over(timedelta(hours=1))

    issued = world.renewal(renewal.id)
    assert issued.state == "issued"
    assert (issued.not_before, issued.not_after) == (asked.not_before, asked.not_after)
    assert asked.not_after == datetime(2027, 3, 2, 15, 59, 59, tzinfo=UTC)


def test_what_the_ca_has_refused_is_asked_for_once(world: Scenario) -> None:
    world.weather.ca = lambda op, _id: "refused" if op == "issue" else None

    renewal, _ = world.confirmed()
    world.drain()

    assert world.renewal(renewal.id).state == "refused"
    assert world.renewal(renewal.id).new_certificate is None
    assert world.dead() == []
