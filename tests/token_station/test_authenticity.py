"""Lets tokens prove themselves: copies and foreign ones are refused by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.token_station.makers import Maker, copy_objects
from tests.token_station.tokens import MANAGEMENT_KEY, SERIAL, START, Desk
from token_station.errors import NotGenuineError
from token_station.piv.session import open_blank
from token_station.simulator import card_memory
from token_station.simulator.card import SimulatedCard, blank
from token_station.simulator.reader import SimulatedReader
from token_station.trust_anchors import TrustAnchors, TrustAnchorsError

if TYPE_CHECKING:
    from pathlib import Path

    from token_station.piv.authenticity import Authenticity
    from token_station.simulator.card_profiles import CardProfile


@pytest.fixture(scope="module")
def maker() -> Maker:
    return Maker()


def put_in(desk: Desk) -> None:
    desk.reader.insert(SimulatedCard(desk.card_path, desk.manners, desk.ledger))


def proofs(desk: Desk, maker: Maker) -> Authenticity:
    return desk.session().authenticity(maker.anchors, START)


def test_a_token_with_a_card_key_proves_itself(desk: Desk, maker: Maker) -> None:
    maker.give_card_key(desk.card_path)
    put_in(desk)

    proofs(desk, maker).check(("9C", desk.old))


def test_a_copy_of_a_token_with_a_card_key_is_refused(desk: Desk, maker: Maker) -> None:
    maker.give_card_key(desk.card_path)
    desk.make_card("11112222")
    copy = desk.path / "11112222.json"
    copy_objects(desk.card_path, copy)
    desk.reader.insert(SimulatedCard(copy, desk.manners))

    assert desk.session().serial == SERIAL
    with pytest.raises(NotGenuineError, match="not_genuine_key"):
        proofs(desk, maker).check(("9C", desk.old))


@pytest.mark.parametrize(
    ("serial", "until", "why"),
    [
        ("11112222", None, "not_genuine_serial"),
        (None, START - timedelta(seconds=1), "not_genuine_issuer"),
    ],
)
def test_a_card_key_of_another_token_or_past_its_time_is_refused(
    desk: Desk, maker: Maker, serial: str | None, until: datetime | None, why: str
) -> None:
    late = datetime(2052, 1, 1, tzinfo=UTC)
    maker.give_card_key(desk.card_path, serial=serial, until=until or late)
    put_in(desk)

    with pytest.raises(NotGenuineError, match=why):
        proofs(desk, maker).check(("9C", desk.old))


def test_another_maker_s_token_is_refused(desk: Desk, maker: Maker) -> None:
    Maker().give_card_key(desk.card_path)
    put_in(desk)

    with pytest.raises(NotGenuineError, match="not_genuine_issuer"):
        proofs(desk, maker).check(("9C", desk.old))


def test_the_maker_attests_the_key_in_force_and_the_new_one(desk: Desk, maker: Maker) -> None:
    maker.give_attestation(desk.card_path)
    put_in(desk)
    session = desk.session()

    proof = session.authenticity(maker.anchors, START)
    proof.check(("9C", desk.old))
    proof.check_made("9A", session.generate("9A", desk.algorithm))

    with pytest.raises(NotGenuineError, match="not_genuine_key"):
        proof.check_made("9A", session.public_key("9C") or b"")
    with pytest.raises(NotGenuineError, match="not_genuine_key"):
        proof.check(("9A", desk.old))  # a certificate of another key


def test_a_copy_of_an_attested_token_is_refused(desk: Desk, maker: Maker) -> None:
    maker.give_attestation(desk.card_path)
    desk.make_card("11112222")
    copy = desk.path / "11112222.json"
    copy_objects(desk.card_path, copy)
    desk.reader.insert(SimulatedCard(copy, desk.manners))

    with pytest.raises(NotGenuineError, match="not_genuine_key"):
        proofs(desk, maker).check(("9C", desk.old))


def test_an_attestation_by_what_may_not_attest_or_of_another_token_is_refused(
    desk: Desk, maker: Maker
) -> None:
    maker.give_attestation(desk.card_path, ca=False)
    put_in(desk)
    with pytest.raises(NotGenuineError, match="not_genuine_issuer"):
        proofs(desk, maker).check(("9C", desk.old))

    maker.give_attestation(desk.card_path)
    memory = card_memory.load(desk.card_path)
    memory.serial = "11112222"  # what its maker calls it; it tells another serial
    card_memory.save(desk.card_path, memory)
    put_in(desk)
    with pytest.raises(NotGenuineError, match="not_genuine_serial"):
        proofs(desk, maker).check(("9C", desk.old))


def test_a_token_without_either_passes_by_its_certificate_and_a_blank_one_does_not(
    desk: Desk, maker: Maker, manners: CardProfile, tmp_path: Path
) -> None:
    proofs(desk, maker).check(("9C", desk.old))
    reader = SimulatedReader("Desk 2")
    reader.insert(blank(tmp_path / "blank.json", manners, number="0badcafe"))
    token = open_blank(reader, "0badcafe", MANAGEMENT_KEY)

    token.authenticity(TrustAnchors(), START).check(None)  # nobody is asked to vouch
    with pytest.raises(NotGenuineError, match="not_genuine_nothing"):
        token.authenticity(maker.anchors, START).check(None)


def test_a_blank_token_of_the_maker_s_passes_and_another_s_does_not(
    maker: Maker, manners: CardProfile, tmp_path: Path
) -> None:
    path = tmp_path / "blank.json"
    blank(path, manners, number="0badcafe")
    for by, fits in ((maker, True), (Maker(), False)):
        by.give_attestation(path)
        reader = SimulatedReader("Desk 2")
        reader.insert(SimulatedCard(path, manners))
        proof = open_blank(reader, "0badcafe", MANAGEMENT_KEY).authenticity(maker.anchors, START)
        if fits:
            proof.check(None)
            continue
        with pytest.raises(NotGenuineError, match="not_genuine_issuer"):
            proof.check(None)


def test_anchors_are_read_from_pem_and_nothing_else(maker: Maker) -> None:
    text = maker.root.public_bytes(Encoding.PEM).decode()

    assert TrustAnchors.read(text, where="anchors.pem") == maker.anchors
    with pytest.raises(TrustAnchorsError, match=r"anchors\.pem"):
        TrustAnchors.read("nothing", where="anchors.pem")
