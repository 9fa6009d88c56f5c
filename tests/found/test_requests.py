"""Holds that what the CA refuses is refused before a code is used up."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from renewal.errors import GatewayRefusedError
from renewal.gateways.ca.embedded import subject_key
from renewal.rules import csr as csr_rules
from schema.events import TokenRequestSigned
from tests.back_office.imports.making import a_customer
from tests.found.other_ca import request, seq, tlv
from tests.scenario.acts import SESSION
from tests.scenario.refusals import refused
from tests.scenario.rows import BRANCH
from tests.scenario.sample import BROWSER, TOKEN
from tests.scenario.tokens import enrolled

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.back_office.imports.making import Bank
    from tests.scenario.scenario import Scenario

INPUTS = Path(__file__).parent / "inputs"
WEAK = ("weak_close", "weak_small_factor", "weak_roca")


def as_cases(cases: dict[str, Callable[[], bytes]]) -> list[object]:
    return [pytest.param(made, id=id_) for id_, made in cases.items()]


def csr(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    hash_: hashes.HashAlgorithm | None = None,
) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, hash_ or hashes.SHA256()).public_bytes(Encoding.DER)  # type: ignore[arg-type]  # any hash is tried


def p256() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize("name", WEAK)
def test_a_key_that_anybody_can_break_is_refused_at_the_door(name: str) -> None:
    with pytest.raises(csr_rules.BadRequestError):
        csr_rules.check_request((INPUTS / f"{name}.der").read_bytes())


@pytest.mark.parametrize("name", WEAK)
def test_a_key_that_anybody_can_break_is_refused_by_the_ca(name: str) -> None:
    with pytest.raises(GatewayRefusedError):
        subject_key.from_request((INPUTS / f"{name}.der").read_bytes())


REFUSED_BY_THE_CA: dict[str, Callable[[], bytes]] = {
    "RSA-4096": lambda: csr(rsa.generate_private_key(65537, 4096)),
    "RSA of 2056 bits": lambda: csr(rsa.generate_private_key(65537, 2056)),
    "RSA with exponent 3": lambda: csr(rsa.generate_private_key(3, 2048)),
    "signed with SHA-224": lambda: csr(p256(), hashes.SHA224()),
    "signed with SHA3-256": lambda: csr(p256(), hashes.SHA3_256()),
}


@pytest.mark.parametrize("made", as_cases(REFUSED_BY_THE_CA))
def test_what_the_ca_will_refuse_costs_no_code(world: Scenario, made: Callable[[], bytes]) -> None:
    renewal = world.requested(BROWSER)
    sent, code = world.code()

    def hand_in(request: bytes) -> str:
        return world.centre.confirm(
            renewal.id,
            challenge=sent.challenge,
            code=code,
            session=SESSION,
            **world.handed_in(renewal, request),
        ).result.value

    with pytest.raises(csr_rules.BadRequestError):
        hand_in(made())

    assert hand_in(csr(p256())) == "right"


@pytest.mark.parametrize(
    "number",
    [
        "K1234567",
        "AB1234",
        "P12345678901",
        "549300ABCDEF12345678",
    ],
)
def test_a_customer_with_an_id_number_of_any_length_allowed_can_renew(number: str) -> None:
    from renewal.gateways.ca.embedded import profiles  # noqa: PLC0415 - beside what is held

    pattern = profiles.load()["signing"].common_name_pattern

    assert pattern.fullmatch(f"{number}-00-000001")


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_request_of_another_version_is_refused_with_a_reason(number: int) -> None:
    with refused(csr_rules.BadRequestError, "version"):
        csr_rules.check_request(request(p256(), number=number))


def test_a_request_of_another_version_from_a_station_never_breaks_the_consumer(
    world: Scenario,
) -> None:
    """Without the old key's proof it ends nobody's renewal, and staff are told why."""
    world.paid()
    renewal = world.requested(TOKEN)
    event = TokenRequestSigned(
        renewal=renewal.id,
        token_serial=world.certificate(TOKEN).token_serial or "",
        csr=base64.b64encode(request(p256(), number=1)).decode(),
        proof="AAAA",
    )
    station = enrolled(world.app.store, world.home, BRANCH)
    world.app.log.append([station.signed(event, at=world.clock.now())])

    world.drain()

    assert world.dead() == [("records", "the proof is not CMS SignedData")]
    assert world.renewal(renewal.id).state == "requested"


def test_a_request_in_pem_is_taken() -> None:
    der = csr(p256())
    text = x509.load_der_x509_csr(der).public_bytes(Encoding.PEM)

    assert csr_rules.in_der(text) == der


@pytest.mark.parametrize(
    "dress",
    [
        lambda pem: b"\xef\xbb\xbf" + pem,
        lambda pem: b"Certificate Request:\n    Data:\n" + pem,
        lambda pem: pem.replace(b"BEGIN CERT", b"BEGIN NEW CERT").replace(
            b"END CERT", b"END NEW CERT"
        ),
        lambda pem: pem.replace(b"\n", b"\r\n"),
        lambda pem: b"".join(pem.splitlines()[1:-1]),
    ],
    ids=["a mark", "text of openssl before it", "NEW", "CRLF", "bare base64"],
)
def test_a_request_in_any_dress_of_pem_is_taken(dress: Callable[[bytes], bytes]) -> None:
    der = csr(p256())

    assert csr_rules.in_der(dress(x509.load_der_x509_csr(der).public_bytes(Encoding.PEM))) == der


def test_a_private_key_handed_in_by_mistake_is_named() -> None:
    text = p256().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    with refused(csr_rules.BadRequestError, "hand in the CSR"):
        csr_rules.in_der(text)


def test_a_subject_is_refused_and_how_to_make_one_without_is_said() -> None:
    """It is kept and travels as it is: a name in it would be personal data on the log."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "whoever it says")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    named = builder.sign(p256(), hashes.SHA256()).public_bytes(Encoding.DER)

    with refused(csr_rules.BadRequestError, r"openssl req -new .* -subj /"):
        csr_rules.check_request(named)


def test_keys_that_are_sound_are_taken() -> None:
    requests = [csr(p256()), *(csr(rsa.generate_private_key(65537, 2048)) for _ in range(3))]

    assert [len(csr_rules.check_request(request)) for request in requests] == [32] * 4


@pytest.mark.parametrize("broken", [b"", b"\x30\x00", seq(tlv(2, b"\0")), b"no request"])
def test_what_is_no_request_is_refused_with_a_reason(broken: bytes) -> None:
    with refused(csr_rules.BadRequestError, "PKCS#10"):
        csr_rules.check_request(broken)


def test_an_import_notes_nothing_of_an_id_number_that_can_be_certified(bank: Bank) -> None:
    assert bank.customers(a_customer(id_number="AB1234")).noted == {}
