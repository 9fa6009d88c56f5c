"""Says to the house, in a station's name, what no station should."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from msgspec import structs

from renewal.rules.statements import StationIdentity
from schema.codec import decode
from schema.events import TokenDeclined, TokenDeclinedV1, TokenRequestSigned, TokenWritten
from simulation.client import BrowserKey
from tests.scenario.rows import BRANCH
from tests.scenario.sample import BROWSER, CARD, TOKEN, TOKEN_SERIALS
from tests.scenario.tokens import enrolled

if TYPE_CHECKING:
    from renewal.db.rows import Renewal
    from schema.events import Event, TokenEvent
    from tests.scenario.scenario import Scenario


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def say(world: Scenario, *events: TokenEvent) -> None:
    """
    What a station says that has its true key, whatever it says.
    """
    identity = enrolled(world.app.store, world.home, BRANCH)
    signed = []
    for event in events:
        token = event.token_serial or TOKEN_SERIALS[CARD]
        bound = structs.replace(event, token_serial=token)
        signed.append(identity.signed(bound, at=world.clock.now()))
    world.app.log.append(signed)
    world.drain()


def request_of(world: Scenario, certificate: int, renewal: Renewal) -> TokenRequestSigned:
    """What the token's station says honestly, not yet delivered."""
    station = world.station(certificate)
    world.drain()
    station.take()
    kept: list[Event] = []
    station.log = _Kept(kept)  # type: ignore[assignment]
    station.work()
    station.incoming.close()
    [event] = kept
    assert isinstance(event, TokenRequestSigned)
    assert event.renewal == renewal.id
    return event


class _Kept:
    def __init__(self, events: list[Event]) -> None:
        self._events = events

    def append(self, events: list[Event]) -> None:
        self._events += events


def with_other(event: TokenRequestSigned, **fields: str) -> TokenRequestSigned:
    kept = {name: getattr(event, name) for name in event.__struct_fields__}
    return TokenRequestSigned(**{**kept, **fields})


STRANGER = StationIdentity(BRANCH, Ed25519PrivateKey.generate())
FALSE: dict[str, Any] = {
    "by nobody": lambda event, _own, _at: event,
    "by a key that is not enrolled": lambda event, _own, at: STRANGER.signed(event, at=at),
    "in the name of a key that is": lambda event, own, at: structs.replace(
        STRANGER.signed(event, at=at), station=own.number
    ),
    "and changed afterwards": lambda event, own, at: structs.replace(
        own.signed(event, at=at), why="something else"
    ),
    "for another renewal": lambda event, own, at: structs.replace(
        own.signed(structs.replace(event, renewal="R00000002-01"), at=at), renewal=event.renewal
    ),
    "of another token": lambda event, own, at: own.signed(
        structs.replace(event, token_serial=TOKEN_SERIALS[TOKEN]), at=at
    ),
    "before the renewal was asked for": lambda event, own, at: own.signed(
        event, at=at - timedelta(days=1)
    ),
    "tomorrow": lambda event, own, at: own.signed(event, at=at + timedelta(days=1)),
}


@pytest.mark.parametrize("how", FALSE)
def test_a_false_statement_is_a_dead_letter_and_the_renewal_goes_on_waiting(
    world: Scenario, how: str
) -> None:
    renewal = world.requested(CARD)
    own = enrolled(world.app.store, world.home, BRANCH)
    event = TokenDeclined(renewal=renewal.id, token_serial=TOKEN_SERIALS[CARD], why="forged")

    world.app.log.append([FALSE[how](event, own, world.clock.now())])
    world.drain()

    assert world.renewal(renewal.id).state == "requested"
    [(consumer, why)] = world.dead()
    assert consumer == "records"
    assert why.startswith("a false statement: ")


def test_the_station_of_another_branch_and_one_that_was_revoked_are_not_believed(
    world: Scenario,
) -> None:
    renewal = world.requested(CARD)
    elsewhere = enrolled(world.app.store, world.home, "002")
    own = enrolled(world.app.store, world.home, BRANCH)
    world.app.back_office.revoke_station(own.number, who="T01", why="stolen")
    event = TokenDeclined(renewal=renewal.id, token_serial=TOKEN_SERIALS[CARD], why="forged")
    lie = StationIdentity(BRANCH, elsewhere.private)

    said = [one.signed(event, at=world.clock.now()) for one in (elsewhere, lie, own)]
    world.app.log.append(said)
    world.drain()

    assert world.renewal(renewal.id).state == "requested"
    assert [why for _, why in world.dead()] == [
        "a false statement: the renewal is not at that station's branch",
        "a false statement: the station is of another branch than it says",
        "a false statement: no station is enrolled with that key",
    ]


def test_what_a_station_of_before_said_without_a_signature_is_not_believed(world: Scenario) -> None:
    renewal = world.requested(CARD)

    world.app.log.append([TokenDeclinedV1(renewal=renewal.id, why="?")])
    world.drain()

    assert world.renewal(renewal.id).state == "requested"
    assert [consumer for consumer, _ in world.dead()] == ["records"]


@pytest.mark.shows("D08")
@pytest.mark.parametrize(
    "how",
    [
        "proof of another request",
        "proof by another token",
        "another token's serial",
        "a request with another key",
        "no proof",
        "garbage",
        "not base64",
    ],
)
def test_a_forged_request_is_never_sent_to_the_ca(world: Scenario, how: str) -> None:
    world.paid()
    other = request_of(world, TOKEN, world.requested(TOKEN))
    renewal = world.requested(CARD)
    honest = request_of(world, CARD, renewal)
    mine = b64(BrowserKey.new().request())
    forged = {
        "proof of another request": with_other(honest, proof=other.proof),
        "proof by another token": with_other(honest, csr=other.csr, proof=other.proof),
        "another token's serial": with_other(honest, token_serial=TOKEN_SERIALS[TOKEN]),
        "a request with another key": with_other(honest, csr=mine),
        "no proof": with_other(honest, proof=""),
        "garbage": with_other(honest, csr=b64(b"no request"), proof=b64(b"no proof")),
        "not base64": with_other(honest, proof="?"),
    }

    say(world, forged[how])

    now = world.renewal(renewal.id)
    assert now.state == "requested"
    assert now.csr is None
    assert [consumer for consumer, _ in world.dead()] == ["records"]
    assert world.certificate(CARD).state == "active"
    assert [line["op"] for line in world.outside("ca")].count("issue") == 3
    assert world.booked() == [("debit", "P00000002-01/debit")]


def test_a_request_for_a_key_that_was_used_is_refused(world: Scenario) -> None:
    first = world.requested(CARD)
    honest = request_of(world, CARD, first)
    say(world, honest)
    assert world.renewal(first.id).state == "issued"
    world.centre.decline(first.id)
    world.drain()
    second = world.requested(CARD)

    say(world, with_other(honest, renewal=second.id))

    assert world.renewal(second.id).state == "requested"  # it was signed for the first one
    assert [why for _, why in world.dead()] == ["the proof signs other content than this"]


def test_a_request_that_comes_again_changes_nothing(world: Scenario) -> None:
    renewal = world.requested(CARD)
    honest = request_of(world, CARD, renewal)
    say(world, honest)
    before = world.renewal(renewal.id)

    say(world, honest, with_other(honest, proof="?"))

    assert world.renewal(renewal.id) == before


def issued(world: Scenario) -> Renewal:
    renewal = world.requested(CARD)
    say(world, request_of(world, CARD, renewal))
    now = world.renewal(renewal.id)
    assert now.state == "issued"
    return now


@pytest.mark.shows("D05")
@pytest.mark.parametrize("how", ["wrong hash", "old certificate", "wrong key", "nothing", "text"])
def test_a_forged_writing_never_activates(world: Scenario, how: str) -> None:
    renewal = issued(world)
    new = hashlib.sha256(world.der(renewal.new_certificate or 0)).hexdigest()
    old = hashlib.sha256(world.der(CARD)).hexdigest()
    stranger = ec.generate_private_key(ec.SECP256R1())
    signature = b64(stranger.sign(renewal.challenge, ec.ECDSA(SHA256())))
    forged = {
        "wrong hash": TokenWritten(
            renewal=renewal.id, certificate_sha256="0" * 64, signature=signature
        ),
        "old certificate": TokenWritten(
            renewal=renewal.id, certificate_sha256=old, signature=signature
        ),
        "wrong key": TokenWritten(renewal=renewal.id, certificate_sha256=new, signature=signature),
        "nothing": TokenWritten(renewal=renewal.id, certificate_sha256=new, signature=""),
        "text": TokenWritten(renewal=renewal.id, certificate_sha256=new, signature="?"),
    }

    say(world, forged[how])

    assert world.renewal(renewal.id).state == "issued"
    assert world.certificate(CARD).state == "active"
    assert [op for op, _ in world.booked()] == ["hold"]
    assert [consumer for consumer, _ in world.dead()] == ["records"]


def test_a_proof_for_another_challenge_confirms_nothing(world: Scenario) -> None:
    renewal = world.requested(CARD)
    world.drain()
    with world.app.store.transaction() as work:  # the station has signed the challenge of before
        work.renewals.change(work.renewals.get(renewal.id), challenge=bytes(32))
    station = world.station(CARD)

    world.at_the_branch(station)

    assert world.renewal(renewal.id).state == "requested"
    assert world.certificate(CARD).state == "active"
    assert world.dead() == [("records", "the proof signs other content than this")]


@pytest.mark.parametrize("state", ["requested", "confirmed"])
def test_a_writing_before_the_certificate_is_there_is_nothing(world: Scenario, state: str) -> None:
    renewal = world.requested(CARD)
    if state == "confirmed":
        world.weather.bank = lambda _booking: "unavailable"
        say(world, request_of(world, CARD, renewal))

    say(world, TokenWritten(renewal=renewal.id, certificate_sha256="0" * 64, signature=""))

    assert world.renewal(renewal.id).state == state


def test_a_station_says_nothing_about_a_certificate_in_a_browser(world: Scenario) -> None:
    renewal, key = world.issued()
    new = hashlib.sha256(world.der(renewal.new_certificate or 0)).hexdigest()
    signature = b64(key.sign(renewal.challenge))

    say(
        world,
        TokenWritten(renewal=renewal.id, certificate_sha256=new, signature=signature),
        TokenDeclined(renewal=renewal.id, why="forged"),
        TokenRequestSigned(renewal=renewal.id, token_serial="", csr="", proof=""),
    )

    assert world.renewal(renewal.id).state == "issued"
    assert [consumer for consumer, _ in world.dead()] == ["records"] * 3
    assert world.certificate(BROWSER).state == "active"


def test_a_station_that_speaks_of_an_unknown_renewal_is_a_dead_letter(world: Scenario) -> None:
    say(world, TokenDeclined(renewal="R99999999-01", why="?"))

    assert [consumer for consumer, _ in world.dead()] == ["records"]


# --- declined -------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["requested", "confirmed", "sent to CA", "issued"])
def test_a_station_that_declines_ends_the_renewal_and_gives_everything_back(
    world: Scenario, state: str
) -> None:
    renewal = world.requested(CARD)
    if state == "confirmed":
        world.weather.bank = lambda _booking: "unavailable"
    if state == "sent to CA":
        world.weather.ca = lambda _op, _request_id: "unavailable"
    if state != "requested":
        say(world, request_of(world, CARD, renewal))
    assert world.renewal(renewal.id).state == state

    say(world, TokenDeclined(renewal=renewal.id, why="the customer has left"))
    world.weather.bank = lambda _booking: None
    world.weather.ca = lambda _op, _request_id: None
    world.drain_over()

    now = world.renewal(renewal.id)
    assert now.state == "abandoned"
    assert "the customer has left" in (now.why or "")
    assert world.certificate(CARD).state == "active"
    assert world.status_at_ca(CARD) == "good"
    if state != "requested":
        assert [op for op, _ in world.booked()] == ["hold", "void"]
        assert world.status_at_ca(now.new_certificate or 0) == "revoked"
    assert world.dead() == []
    assert world.rows("SELECT count(*) FROM parked") == [(0,)]


def test_declining_what_is_done_changes_nothing(world: Scenario) -> None:
    renewal = world.requested(CARD)
    world.at_the_branch(world.station(CARD))

    say(world, TokenDeclined(renewal=renewal.id, why="too late"))

    assert world.renewal(renewal.id).state == "done"


# --- the envelope ---------------------------------------------------------------------------------


def test_another_branch_cannot_read_what_is_sealed_for_one(world: Scenario) -> None:
    from renewal.sealing import NotForUsError, branch_key, opened  # noqa: PLC0415 - used here alone

    renewal = issued(world)
    [(body,)] = world.rows("SELECT body FROM events WHERE kind = 'token-certificate-ready.v1'")
    sealed = decode(body).sealed  # type: ignore[attr-defined]
    ours = branch_key(world.app.keys.stations, "001")

    assert opened(ours, sealed, renewal.id) == world.der(renewal.new_certificate or 0)
    for key, text, about in (
        (branch_key(world.app.keys.stations, "002"), sealed, renewal.id),
        (ours, sealed, "R00000003-02"),
        (ours, sealed[:-8] + "AAAAAAA=", renewal.id),
        (ours, "", renewal.id),
        (ours, "not base64 ?", renewal.id),
    ):
        with pytest.raises(NotForUsError):
            opened(key, text, about)
