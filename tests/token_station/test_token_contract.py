"""Holds what a session promises on cards of every manner."""

from __future__ import annotations

import hashlib
import json
import random
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from renewal.rules.proof import verify_possession, verify_renewal_proof
from tests.token_station.tokens import (
    MANAGEMENT_KEY,
    PIN,
    PUK,
    SERIAL,
    START,
    WRONG_PIN,
    Desk,
    PretendCa,
    request_key,
)
from token_station.errors import (
    BadPinFormatError,
    CardError,
    CardRemovedError,
    KeyMismatchError,
    LastTryError,
    NoFreeKeySlotError,
    NotAuthorizedError,
    OtherCardError,
    PinBlockedError,
    PinWrongError,
    PukBlockedError,
    PukWrongError,
    ReadBackError,
    TooLargeError,
    UnsupportedError,
)
from token_station.piv.keys import P256, RSA2048
from token_station.piv.session import PivSession, open_token
from token_station.signing import csr, renewal_proof
from token_station.simulator.card import SimulatedCard
from token_station.simulator.card_profiles import JAVACARD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from token_station.port import TokenSession, Transport
    from token_station.simulator.card_profiles import CardProfile

NEW_PIN = "246802"


def deeds(desk: Desk) -> list[dict[str, str | None]]:
    return [json.loads(line) for line in desk.ledger_path.read_text().splitlines()]


def other_spki() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


# -- the renewal ---------------------------------------------------------------


@pytest.mark.shows("A12")
@pytest.mark.shows("A11")
def test_after_a_renewal_both_certificates_are_on_the_same_token(desk: Desk) -> None:
    new = desk.renew(desk.session())

    session: TokenSession = desk.session()
    rows = session.certificates()
    assert session.info().serial == SERIAL
    assert [(row.key_slot, row.der) for row in rows] == [("9C", desk.old), ("9A", new)]
    ends = [x509.load_der_x509_certificate(row.der).not_valid_after_utc for row in rows]
    assert ends == [START + timedelta(days=365), START + timedelta(days=730)]


@pytest.mark.shows("A12")
def test_after_a_renewal_both_keys_sign_for_their_certificates(desk: Desk) -> None:
    new = desk.renew(desk.session())

    session = desk.session()
    for place, certificate in (("9C", desk.old), ("9A", new)):
        signature = session.sign(place, b"challenge", pin=PIN)
        verify_possession(certificate, b"challenge", signature)


def test_a_renewal_takes_25_commands(desk: Desk) -> None:
    session, counted = desk.counted_session()

    desk.renew(session)

    assert len(counted.frames) == 25


def test_places_alternate(desk: Desk) -> None:
    second = desk.renew(desk.session())
    session = desk.session()

    place = session.choose_key_slot(keep=[second])

    assert place == "9C"


def test_a_token_of_rsa_is_renewed(tmp_path: Path, manners: CardProfile, ca: PretendCa) -> None:
    desk = Desk(tmp_path, manners=manners, ca=ca, algorithm=RSA2048)

    new = desk.renew(desk.session())

    signature = desk.session().sign("9A", b"challenge", pin=PIN)
    verify_possession(new, b"challenge", signature)


@pytest.mark.shows("D08")
def test_the_card_tells_the_ledger_what_was_done_to_it(desk: Desk) -> None:
    desk.renew(desk.session())

    told = [(deed["op"], deed["slot"]) for deed in deeds(desk)]
    assert told == [
        ("generate", "9C"),
        ("put", "9C"),
        ("insert", None),
        ("generate", "9A"),
        ("verify", None),
        ("sign", "9A"),
        ("verify", None),
        ("sign", "9C"),
        ("verify", None),
        ("sign", "9A"),
        ("put", "9A"),
    ]
    assert {deed["result"] for deed in deeds(desk)} == {"ok"}


def test_a_request_names_nobody(desk: Desk) -> None:
    session = desk.session()
    session.generate("9A", P256)

    request = csr(session, "9A", PIN)

    assert x509.load_der_x509_csr(request).subject == x509.Name([])
    assert b"A123456789" not in request


def test_the_old_key_signs_for_the_new_request(desk: Desk) -> None:
    session = desk.session()
    session.generate("9A", P256)
    request = csr(session, "9A", PIN)

    proof = renewal_proof(session, "9C", PIN, request)

    verify_renewal_proof(proof, request, desk.old)
    assert b"A123456789" not in proof


# -- PIN -----------------------------------------------------------------------


def test_a_wrong_pin_is_told_with_the_tries_left_and_tried_once(
    desk: Desk, manners: CardProfile
) -> None:
    session = desk.session()

    with pytest.raises(PinWrongError) as caught:
        session.sign("9C", b"data", pin=WRONG_PIN)

    assert caught.value.left == manners.pin_tries - 1
    assert desk.card.pin_left == manners.pin_tries - 1
    assert session.tries_left() == manners.pin_tries - 1


def test_the_last_try_is_never_spent_without_a_release(desk: Desk, manners: CardProfile) -> None:
    session = desk.session()
    for _ in range(manners.pin_tries - 1):
        with pytest.raises(PinWrongError):
            session.verify_pin(WRONG_PIN)

    attempts: list[Callable[[], object]] = [
        lambda: session.verify_pin(PIN),
        lambda: session.sign("9C", b"data", pin=PIN),
        lambda: session.change_pin(PIN, NEW_PIN),
        lambda: csr(session, "9C", PIN),
        lambda: renewal_proof(session, "9C", PIN, b"request"),
    ]
    for attempt in attempts:
        session.remember_key("9C", request_key_of(desk.old))
        with pytest.raises(LastTryError):
            attempt()

    assert desk.card.pin_left == 1


def request_key_of(certificate: bytes) -> bytes:
    key = x509.load_der_x509_certificate(certificate).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def test_a_released_last_try_is_tried(desk: Desk, manners: CardProfile) -> None:
    session = desk.session()
    for _ in range(manners.pin_tries - 1):
        with pytest.raises(PinWrongError):
            session.verify_pin(WRONG_PIN)

    signature = session.sign("9C", b"data", pin=PIN, last_try_released=True)

    verify_possession(desk.old, b"data", signature)
    assert desk.card.pin_left == manners.pin_tries


class Altered:
    """Answers some commands in the card's stead."""

    def __init__(
        self, transport: Transport | None, answer: Callable[[bytes], tuple[bytes, int] | None]
    ) -> None:
        assert transport is not None
        self._transport = transport
        self._answer = answer

    def transmit(self, frame: bytes) -> tuple[bytes, int]:
        return self._answer(frame) or self._transport.transmit(frame)


class Shared(Altered):
    """
    A card that another program reaches too; it keeps what was sent while it was alone with us.
    """

    def __init__(self, transport: Transport | None) -> None:
        super().__init__(transport, self._note)
        self.alone = False
        self.sent_alone: list[int] = []

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        self.alone = True
        yield
        self.alone = False

    @contextmanager
    def lent(self) -> Iterator[None]:
        self.alone = False
        yield

    def _note(self, frame: bytes) -> None:
        if self.alone:
            self.sent_alone.append(frame[1])


def test_no_other_program_comes_between_pin_and_signature(desk: Desk) -> None:
    shared = Shared(desk.reader.connect())
    session = PivSession(shared, MANAGEMENT_KEY)
    session.generate("9A", P256)

    csr(session, "9A", PIN)

    assert shared.sent_alone == [0x20, 0x20, 0x87]


def test_a_card_that_does_not_tell_its_tries_may_be_at_the_last(desk: Desk) -> None:
    query = bytes.fromhex("0020008000")
    silent = Altered(desk.reader.connect(), lambda f: (b"", 0x6A80) if f == query else None)
    session = PivSession(silent, MANAGEMENT_KEY)
    assert session.tries_left() is None

    with pytest.raises(LastTryError, match="does not tell"):
        session.verify_pin(PIN)

    session.verify_pin(PIN, last_try_released=True)


@pytest.mark.parametrize(("status", "left"), [(0x63C2, 2), (0x63CF, 15), (0x6300, 2)])
def test_a_card_tells_a_wrong_pin_in_its_own_way(
    ca: PretendCa, tmp_path: Path, status: int, left: int
) -> None:
    desk = Desk(tmp_path, manners=replace(JAVACARD, pin_tries=3), ca=ca)
    verify = bytes.fromhex("00200080083133353739")
    odd = Altered(desk.reader.connect(), lambda f: (b"", status) if f.startswith(verify) else None)

    with pytest.raises(PinWrongError) as caught:
        PivSession(odd, MANAGEMENT_KEY).verify_pin(PIN)

    assert caught.value.left == left


def test_a_card_that_does_not_know_the_management_key_is_not_written(desk: Desk) -> None:
    second_half = bytes.fromhex("0087039B16")
    liar = bytes.fromhex("7C0A8208") + bytes(8)
    impostor = Altered(
        desk.reader.connect(), lambda f: (liar, 0x9000) if f.startswith(second_half) else None
    )

    with pytest.raises(NotAuthorizedError, match="does not know"):
        PivSession(impostor, MANAGEMENT_KEY).generate("9A", P256)


@pytest.mark.parametrize("refusal", [0x6982, 0x6A84, 0x6F00])
def test_a_refused_write_is_an_error_with_its_status(desk: Desk, refusal: int) -> None:
    full = Altered(desk.reader.connect(), lambda f: (b"", refusal) if f[1] == 0xDB else None)
    session = PivSession(full, MANAGEMENT_KEY)
    certificate = desk.ca.certify(session.generate("9A", P256))

    with pytest.raises(NotAuthorizedError if refusal == 0x6982 else CardError):
        session.write_certificate("9A", certificate)


def test_what_is_no_piv_token_is_said_to_be_none(desk: Desk) -> None:
    other = Altered(desk.reader.connect(), lambda _: (b"", 0x6A82))

    with pytest.raises(UnsupportedError, match="not a PIV token"):
        PivSession(other, MANAGEMENT_KEY)


@pytest.mark.parametrize("chuid", [(b"", 0x6A82), (bytes.fromhex("53123410") + bytes(16), 0x9000)])
def test_a_token_without_a_serial_is_not_used(desk: Desk, chuid: tuple[bytes, int]) -> None:
    nameless = Altered(desk.reader.connect(), lambda f: chuid if f[1] == 0xCB else None)

    with pytest.raises(UnsupportedError, match="no serial"):
        PivSession(nameless, MANAGEMENT_KEY)


def test_the_right_pin_fills_the_counter_for_good(desk: Desk) -> None:
    with pytest.raises(PinWrongError):
        desk.session().verify_pin(WRONG_PIN)
    desk.session().verify_pin(PIN)

    desk.reader.insert(SimulatedCard(desk.card_path, desk.manners))

    assert desk.session().tries_left() == desk.manners.pin_tries


def test_a_blocked_pin_is_said_to_be_blocked(desk: Desk, manners: CardProfile) -> None:
    session = desk.session()
    for _ in range(manners.pin_tries - 1):
        with pytest.raises(PinWrongError):
            session.verify_pin(WRONG_PIN)

    with pytest.raises(PinBlockedError):
        session.verify_pin(WRONG_PIN, last_try_released=True)

    assert session.tries_left() == 0
    with pytest.raises(PinBlockedError):
        session.sign("9C", b"data", pin=PIN, last_try_released=True)


def test_the_unblocking_code_sets_a_new_pin(desk: Desk, manners: CardProfile) -> None:
    session = desk.session()
    for _ in range(manners.pin_tries):
        with pytest.raises((PinWrongError, PinBlockedError)):
            session.verify_pin(WRONG_PIN, last_try_released=True)

    session.unblock_pin(PUK, NEW_PIN)

    verify_possession(desk.old, b"data", session.sign("9C", b"data", pin=NEW_PIN))


def test_the_last_known_try_of_the_unblocking_code_is_kept(
    desk: Desk, manners: CardProfile
) -> None:
    session = desk.session()
    for left in range(manners.puk_tries - 1, 0, -1):
        with pytest.raises(PukWrongError) as caught:
            session.unblock_pin("00000000", NEW_PIN)
        assert caught.value.left == left

    with pytest.raises(LastTryError):
        session.unblock_pin(PUK, NEW_PIN)
    assert desk.card.puk_left == 1

    with pytest.raises(PukBlockedError):
        session.unblock_pin("00000000", NEW_PIN, last_try_released=True)


@pytest.mark.shows("A07")
def test_the_pin_is_changed(desk: Desk) -> None:
    session = desk.session()

    session.change_pin(PIN, NEW_PIN)

    verify_possession(desk.old, b"data", session.sign("9C", b"data", pin=NEW_PIN))
    with pytest.raises(PinWrongError):
        session.verify_pin(PIN)


NO_PINS = ("", "12", "123456789", "一二三四五六", "١٢٣٤٥٦", "12 3456")
NO_NEW_PINS = (*NO_PINS, "12345", "12345a", "12345\n")


@pytest.mark.parametrize("bad", NO_NEW_PINS)
def test_a_pin_that_cannot_be_one_never_reaches_the_card(desk: Desk, bad: str) -> None:
    session, counted = desk.counted_session()
    counted.frames.clear()

    attempts: list[Callable[[], object]] = [
        lambda: session.change_pin(PIN, bad),
        lambda: session.unblock_pin(PUK, bad),
        lambda: session.unblock_pin("1234567", bad),
    ]
    if bad in NO_PINS:  # of the others, some token may have one
        attempts += [lambda: session.verify_pin(bad), lambda: session.change_pin(bad, PIN)]
    for attempt in attempts:
        with pytest.raises(BadPinFormatError) as caught:
            attempt()
        assert not bad or bad not in str(caught.value)

    assert counted.frames == []


def test_the_card_itself_may_take_a_pin_of_two_digits(desk: Desk, manners: CardProfile) -> None:
    short = bytes.fromhex("0024008010") + PIN.encode().ljust(8, b"\xff") + b"12".ljust(8, b"\xff")
    transport = desk.reader.connect()
    assert transport is not None
    PivSession(transport, MANAGEMENT_KEY)

    _, status = transport.transmit(short)

    assert status == (0x9000 if manners.short_pin_accepted else 0x6A80)


# -- places and keys -----------------------------------------------------------


def test_the_place_of_a_kept_certificate_is_refused(desk: Desk) -> None:
    session = desk.session()
    session.choose_key_slot(keep=[desk.old])
    certificate = desk.ca.certify(request_key_of(desk.old))

    with pytest.raises(NoFreeKeySlotError):
        session.generate("9C", P256)
    with pytest.raises(NoFreeKeySlotError):
        session.write_certificate("9C", certificate, pin=PIN)

    assert desk.session().read_certificate("9C") == desk.old


def test_there_is_no_place_when_both_are_kept(desk: Desk) -> None:
    new = desk.renew(desk.session())

    with pytest.raises(NoFreeKeySlotError):
        desk.session().choose_key_slot(keep=[desk.old, new])


@pytest.mark.parametrize("content", ["700301020371", "7003010203710100FE00"])
def test_an_unreadable_place_is_not_free_while_a_kept_certificate_is_missing(
    desk: Desk, content: str
) -> None:
    new = desk.renew(desk.session())
    spoil(desk, "5FC105", content)

    assert [row.der for row in desk.session().certificates()] == [desk.old]
    assert desk.session().choose_key_slot(keep=[desk.old]) == "9A"
    with pytest.raises(NoFreeKeySlotError):
        desk.session().choose_key_slot(keep=[desk.old, new])


def test_a_place_may_hold_the_key_of_a_kept_certificate_that_was_lost(desk: Desk) -> None:
    memory = json.loads(desk.card_path.read_text())
    del memory["objects"]["5FC10A"]
    desk.card_path.write_text(json.dumps(memory))
    desk.reader.insert(desk.card)

    with pytest.raises(NoFreeKeySlotError):
        desk.session().choose_key_slot(keep=[desk.old])

    assert desk.session().choose_key_slot(keep=[]) == "9C"


def spoil(desk: Desk, tag: str, content: str) -> None:
    memory = json.loads(desk.card_path.read_text())
    memory["objects"][tag] = content
    desk.card_path.write_text(json.dumps(memory))
    desk.reader.insert(desk.card)


def test_a_certificate_for_another_key_is_not_written(desk: Desk) -> None:
    session = desk.session()
    session.generate("9A", P256)

    for pin in (None, PIN):
        with pytest.raises(KeyMismatchError):
            session.write_certificate("9A", desk.ca.certify(other_spki()), pin=pin)

    assert session.read_certificate("9A") is None


def test_in_a_new_session_the_key_itself_proves_that_it_matches(desk: Desk) -> None:
    spki = desk.session().generate("9A", P256)
    right, wrong = desk.ca.certify(spki), desk.ca.certify(other_spki())
    session = desk.session()

    with pytest.raises(UnsupportedError):
        session.write_certificate("9A", right)
    with pytest.raises(KeyMismatchError):
        session.write_certificate("9A", wrong, pin=PIN)
    session.write_certificate("9A", right, pin=PIN)

    assert session.read_certificate("9A") == right


def test_a_remembered_key_is_used_after_the_token_came_back(desk: Desk) -> None:
    spki = desk.session().generate("9A", P256)
    session = desk.session()

    session.remember_key("9A", spki)

    assert request_key(csr(session, "9A", PIN)) == spki
    session.write_certificate("9A", desk.ca.certify(spki))


def test_a_key_remembered_wrongly_is_found_out(desk: Desk) -> None:
    session = desk.session()
    session.generate("9A", P256)

    session.remember_key("9A", other_spki())

    with pytest.raises(KeyMismatchError):
        csr(session, "9A", PIN)


def test_an_unknown_key_makes_no_request(desk: Desk) -> None:
    with pytest.raises(UnsupportedError):
        csr(desk.session(), "9A", PIN)
    with pytest.raises(UnsupportedError):
        renewal_proof(desk.session(), "9A", PIN, b"request")
    with pytest.raises(UnsupportedError):
        desk.session().sign("9A", b"data", pin=PIN)


def test_an_empty_place_does_not_sign(desk: Desk) -> None:
    session = desk.session()
    session.remember_key("9A", other_spki())

    with pytest.raises(CardError, match="6A88"):
        session.sign("9A", b"data", pin=PIN)


@pytest.mark.parametrize(("place", "algorithm"), [("9F", P256), ("9A", "RSA-1024"), ("", P256)])
def test_what_no_token_has_is_refused_by_name(desk: Desk, place: str, algorithm: str) -> None:
    with pytest.raises(UnsupportedError):
        desk.session().generate(place, algorithm)


# -- writing -------------------------------------------------------------------


def test_a_certificate_too_large_is_refused_before_the_card_sees_it(desk: Desk) -> None:
    session, counted = desk.counted_session()
    spki = session.generate("9A", P256)
    session.write_certificate("9A", desk.ca.certify(spki))
    small = session.read_certificate("9A")
    counted.frames.clear()

    with pytest.raises(TooLargeError):
        session.write_certificate("9A", desk.ca.certify(spki, padding=incompressible(6000)))

    assert counted.frames == []
    assert session.read_certificate("9A") == small


def incompressible(size: int) -> bytes:
    return random.Random(7).randbytes(size)


def test_a_large_certificate_is_packed_and_comes_back_whole(desk: Desk) -> None:
    session = desk.session()
    large = desk.ca.certify(session.generate("9A", P256), padding=b"x" * 5000)

    session.write_certificate("9A", large)

    assert desk.session().read_certificate("9A") == large
    assert json.loads(desk.card_path.read_text())["objects"]["5FC105"].startswith("70")
    put = deeds(desk)[-1]
    assert put["sha256"] == hashlib.sha256(large).hexdigest()


def test_the_wrong_management_key_writes_nothing(desk: Desk) -> None:
    session = open_token(desk.reader, bytes(24))

    with pytest.raises(NotAuthorizedError):
        session.generate("9A", P256)

    assert not [deed for deed in deeds(desk) if deed["slot"] == "9A"]


@pytest.mark.parametrize("size", [0, 7, 16, 32])
def test_a_management_key_of_another_kind_is_refused(desk: Desk, size: int) -> None:
    with pytest.raises(NotAuthorizedError):
        open_token(desk.reader, bytes(size)).authorize_write()


def test_written_means_read_back(desk: Desk) -> None:
    forgetful = Altered(desk.reader.connect(), lambda f: (b"", 0x9000) if f[1] == 0xDB else None)
    session = PivSession(forgetful, MANAGEMENT_KEY)
    certificate = desk.ca.certify(session.generate("9A", P256))

    with pytest.raises(ReadBackError):
        session.write_certificate("9A", certificate)


# -- the card in the reader ----------------------------------------------------


def test_an_empty_reader_has_no_token(desk: Desk) -> None:
    desk.reader.pull()

    with pytest.raises(CardRemovedError, match="Desk 1"):
        desk.session()


def test_a_session_is_dead_for_good_once_the_token_was_pulled(desk: Desk) -> None:
    session = desk.session()
    desk.reader.pull()
    desk.reader.insert(desk.card)

    with pytest.raises(CardRemovedError):
        session.tries_left()

    assert desk.session().read_certificate("9C") == desk.old


def test_another_token_is_known_by_its_serial(desk: Desk) -> None:
    other = desk.make_card("0a0b0c0d")
    desk.reader.insert(other)
    session = desk.session()

    with pytest.raises(OtherCardError, match=r"029dc2d0.*0a0b0c0d"):
        session.assert_serial(SERIAL)

    session.assert_serial("0a0b0c0d")


def test_a_serial_may_be_a_whole_guid(desk: Desk) -> None:
    guid = "00112233445566778899aabbccddeeff"
    desk.reader.insert(desk.make_card(guid))

    assert desk.session().serial == guid


@pytest.mark.parametrize("serial", ["", "029DC2D0", "token-1", "029dc2d", "0" * 8, "0" * 32])
def test_a_card_is_not_made_with_another_form_of_serial(desk: Desk, serial: str) -> None:
    with pytest.raises(ValueError, match="serial"):
        desk.make_card(serial)


def test_nothing_that_shows_itself_shows_a_secret(desk: Desk) -> None:
    session = desk.session()

    shown = f"{session!r} {session} {desk.card!r} {desk.reader!r} {session.info()!r}"

    for secret in (PIN, PUK, MANAGEMENT_KEY.hex()):
        assert secret not in shown


def test_a_card_that_tells_its_keys_needs_no_memory(tmp_path: Path, ca: PretendCa) -> None:
    desk = Desk(tmp_path, manners=replace(JAVACARD, has_metadata=True), ca=ca)
    spki = desk.session().generate("9A", P256)

    session = desk.session()

    assert session.public_key("9A") == spki
    assert session.public_key("9D") is None
    assert request_key(csr(session, "9A", PIN)) == spki
