"""What every certification authority promises, on each that we have."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from renewal.errors import GatewayRefusedError
from renewal.gateways.ca.null import NullCa
from renewal.gateways.ca.port import (
    CertificationAuthority,
    IssuanceRequest,
    Issued,
    Status,
)
from schema.events import RevocationReason
from tests.renewal.gateways.ca.asking import (
    END,
    START,
    csr,
    open_ca,
    parsed,
    public_key,
    request,
    serial_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["embedded", "null"])
def ca(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CertificationAuthority]:
    if request.param == "null":
        yield NullCa()
        return
    embedded = open_ca(tmp_path)
    yield embedded
    embedded.close()


@pytest.fixture
def checking(ca: CertificationAuthority, request: pytest.FixtureRequest) -> CertificationAuthority:
    """The CA, where it is asked to check or to sign: the null one does neither."""
    if isinstance(ca, NullCa):
        why = "the null CA neither checks nor signs: it is for benchmarks only"
        request.node.add_marker(pytest.mark.xfail(strict=True, reason=why))
    return ca


def issued(ca: CertificationAuthority, asked: IssuanceRequest) -> bytes:
    answer = ca.issue(asked)
    assert isinstance(answer, Issued)
    return answer.certificate


def refusal(ca: CertificationAuthority, asked: IssuanceRequest) -> str:
    with pytest.raises(GatewayRefusedError) as caught:
        ca.issue(asked)
    return caught.value.code


@pytest.mark.shows("D04")
def test_a_certificate_holds_the_key_the_name_and_the_validity_that_were_asked(
    ca: CertificationAuthority,
) -> None:
    certificate = parsed(issued(ca, request(1)))

    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert spki == public_key(1)
    assert "CN=J220230000-00-000001" in certificate.subject.rfc4514_string()
    assert "not ours" not in certificate.subject.rfc4514_string()
    assert certificate.not_valid_before_utc == START
    assert certificate.not_valid_after_utc == END


def test_the_same_request_again_gives_the_identical_certificate(
    ca: CertificationAuthority,
) -> None:
    first = issued(ca, request())

    assert issued(ca, request()) == first


@pytest.mark.parametrize(
    "changed",
    [
        {"common_name": "J220230000-00-000009"},
        {"not_after": END + timedelta(seconds=1)},
        {"not_before": START + timedelta(seconds=1)},
        {"csr": csr(9)},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_the_same_id_for_something_else_is_refused(
    ca: CertificationAuthority, changed: dict[str, object]
) -> None:
    first = issued(ca, request())

    assert refusal(ca, request(0, **changed)) == "duplicateCertReq"
    assert issued(ca, request()) == first


def test_a_request_is_found_by_its_id(ca: CertificationAuthority) -> None:
    certificate = issued(ca, request())

    assert ca.recover("renewal-0") == Issued(certificate=certificate)


def test_a_request_that_never_came_is_not_found(ca: CertificationAuthority) -> None:
    issued(ca, request())

    assert ca.recover("renewal-1") is None


def test_serials_have_at_least_64_bits_and_differ(ca: CertificationAuthority) -> None:
    serials = {serial_of(issued(ca, request(number))) for number in range(20)}

    assert len(serials) == 20
    assert all(64 < serial.bit_length() <= 159 for serial in serials)


def test_what_was_never_issued_is_unknown(ca: CertificationAuthority) -> None:
    issued(ca, request())

    assert ca.status(4711) == Status.UNKNOWN


def test_revocation_is_for_good(ca: CertificationAuthority) -> None:
    serial = serial_of(issued(ca, request()))

    ca.revoke(serial, RevocationReason.SUPERSEDED, request_id="r-1")
    ca.revoke(serial, RevocationReason.KEY_COMPROMISE, request_id="r-2")

    assert ca.status(serial) == Status.REVOKED
    with pytest.raises(GatewayRefusedError, match="revoked for good"):
        ca.suspend(serial, request_id="r-3")
    with pytest.raises(GatewayRefusedError, match="revoked for good"):
        ca.resume(serial, request_id="r-4")
    assert ca.status(serial) == Status.REVOKED


def test_a_certificate_is_suspended_and_resumed(ca: CertificationAuthority) -> None:
    serial = serial_of(issued(ca, request()))

    ca.suspend(serial, request_id="s-1")
    ca.suspend(serial, request_id="s-2")
    assert ca.status(serial) == Status.ON_HOLD

    ca.resume(serial, request_id="s-3")
    ca.resume(serial, request_id="s-4")
    assert ca.status(serial) == Status.GOOD


def test_a_suspended_certificate_can_be_revoked(ca: CertificationAuthority) -> None:
    serial = serial_of(issued(ca, request()))
    ca.suspend(serial, request_id="s-1")

    ca.revoke(serial, RevocationReason.CESSATION_OF_OPERATION, request_id="r-1")

    assert ca.status(serial) == Status.REVOKED


def test_changes_to_what_was_never_issued_are_refused(ca: CertificationAuthority) -> None:
    with pytest.raises(GatewayRefusedError, match="no certificate 1267"):
        ca.revoke(0x1267, RevocationReason.SUPERSEDED, request_id="r-1")
    with pytest.raises(GatewayRefusedError, match="no certificate 1267"):
        ca.suspend(0x1267, request_id="s-1")
    with pytest.raises(GatewayRefusedError, match="no certificate 1267"):
        ca.resume(0x1267, request_id="s-2")


def test_a_key_is_used_once_across_all_customers(checking: CertificationAuthority) -> None:
    issued(checking, request(1))

    assert refusal(checking, request(2, csr=csr(1))) == "duplicateCertReq"


def test_a_request_signed_by_another_key_is_refused(checking: CertificationAuthority) -> None:
    signature_changed = csr()[:-1] + bytes((csr()[-1] ^ 1,))

    assert refusal(checking, request(csr=signature_changed)) == "badPOP"


def test_a_late_repetition_does_not_suspend_again(checking: CertificationAuthority) -> None:
    serial = serial_of(issued(checking, request()))
    checking.suspend(serial, request_id="s-1")
    checking.resume(serial, request_id="s-2")

    checking.suspend(serial, request_id="s-1")

    assert checking.status(serial) == Status.GOOD


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"not_before": START - timedelta(days=2), "not_after": START}, "badTime"),
        ({"not_after": END + timedelta(days=600)}, "badTime"),
        ({"common_name": "somebody else"}, "badDataFormat"),
        ({"profile": "no such"}, "badRequest"),
        ({"csr": b"not a request"}, "badRequest"),
        ({"request_id": ""}, "badRequest"),
    ],
    ids=["over", "too long", "name", "profile", "garbage", "no id"],
)
def test_what_the_profile_does_not_allow_is_refused(
    checking: CertificationAuthority, wrong: dict[str, object], code: str
) -> None:
    assert refusal(checking, replace(request(), **wrong)) == code  # type: ignore[arg-type]  # each case changes another field
