"""Holds that OCSP and CRLs answer as clients, proxies and clocks of the world really ask."""

from __future__ import annotations

import base64
import os
import subprocess
import urllib.parse
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from renewal.gateways.ca.embedded import http
from tests.found.other_ca import integer, oid, pem, seq, tlv
from tests.renewal.gateways.ca.asking import START, open_ca, request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from renewal.gateways.ca.embedded.adapter import EmbeddedCa


@pytest.fixture
def ca(tmp_path: Path) -> Iterator[EmbeddedCa]:
    opened = open_ca(tmp_path)
    yield opened
    opened.close()


def question(ca: EmbeddedCa) -> bytes:
    """A request whose base64 has a plus, a slash and filling."""
    issuer = x509.load_der_x509_certificate(ca.issuing_certificate)
    certificate = x509.load_der_x509_certificate(ca.issue(request()).certificate)
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA1())  # noqa: S303 - as clients do
    for length in range(500):
        nonce = x509.OCSPNonce(os.urandom(16 + length % 16))
        asked = builder.add_extension(nonce, critical=False).build().public_bytes(Encoding.DER)
        text = base64.b64encode(asked).decode()
        if "+" in text and "/" in text and text.endswith("="):
            return asked
    raise AssertionError("no such request")


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")


GETS: dict[str, Callable[[str], str]] = {
    "quoted": lambda text: f"/ocsp/{_quoted(text)}",
    "not quoted": lambda text: f"/ocsp/{text}",
}
ODD_GETS: dict[str, Callable[[str], str]] = {
    "in absolute form, by a proxy": lambda text: f"http://pki.example/ocsp/{_quoted(text)}",
    "two slashes": lambda text: f"/ocsp//{_quoted(text)}",
    "no filling": lambda text: f"/ocsp/{_quoted(text.rstrip('='))}",
    "base64url": lambda text: f"/ocsp/{text.translate(str.maketrans('+/', '-_'))}",
    "quoted twice": lambda text: f"/ocsp/{_quoted(_quoted(text))}",
    "a plus as a blank": lambda text: "/ocsp/" + _quoted(text).replace("%2B", "%20"),
}


@pytest.mark.parametrize(
    "way",
    [
        *(pytest.param(it, id=id_) for id_, it in GETS.items()),
        *(pytest.param(it, id=id_) for id_, it in ODD_GETS.items()),
    ],
)
def test_a_question_by_get_is_answered(ca: EmbeddedCa, way: Callable[[str], str]) -> None:
    asked = question(ca)

    answered = http.answer(ca, "GET", way(base64.b64encode(asked).decode()), b"")

    assert answered is not None
    assert ocsp.load_der_ocsp_response(answered[2]).certificate_status is ocsp.OCSPCertStatus.GOOD


@pytest.mark.parametrize(
    "path",
    [
        "/ocsp",
        *("/ocsp/", "http://pki.example/ocsp", "//ocsp"),
    ],
)
def test_a_question_by_post_is_answered(ca: EmbeddedCa, path: str) -> None:
    answered = http.answer(ca, "POST", path, question(ca))

    assert answered is not None
    assert answered[0] == 200
    assert ocsp.load_der_ocsp_response(answered[2]).certificate_status is ocsp.OCSPCertStatus.GOOD


@pytest.mark.parametrize("file", ["root.crt", "root.crl", "issuing.crt", "issuing.crl"])
def test_a_file_is_served_to_a_proxy(ca: EmbeddedCa, file: str) -> None:
    answered = http.answer(ca, "GET", f"http://pki.example/ca/{file}", b"")

    assert answered is not None
    assert answered[0] == 200


@pytest.mark.parametrize("behind", [2, 10, 120])
def test_a_verifier_whose_clock_is_behind_accepts_the_newest_list(
    ca: EmbeddedCa, behind: int
) -> None:
    crl = x509.load_der_x509_crl(ca.crl())

    assert crl.last_update_utc <= START - timedelta(seconds=behind)


def test_a_verifier_whose_clock_is_behind_accepts_an_answer(ca: EmbeddedCa) -> None:
    answer = ocsp.load_der_ocsp_response(ca.ocsp(question(ca)))

    assert answer.this_update_utc <= START - timedelta(minutes=2)


def test_no_entry_is_later_than_its_list(ca: EmbeddedCa) -> None:
    certificate = x509.load_der_x509_certificate(ca.issue(request()).certificate)
    ca.suspend(certificate.serial_number, request_id="s")

    crl = x509.load_der_x509_crl(ca.crl())

    assert [entry.revocation_date_utc <= crl.last_update_utc for entry in crl] == [True]


# --- siblings: what clients compare byte for byte -------------------------------------------------

SHA1_WITHOUT_NULL = seq(oid("1.3.14.3.2.26"))
SHA1_WITH_NULL = seq(oid("1.3.14.3.2.26"), b"\x05\x00")


def by_hand(ca: EmbeddedCa, *, algorithm: bytes, nonce: bytes, before: bytes = b"") -> bytes:
    """A request as other clients write it."""
    known = ocsp.load_der_ocsp_request(question(ca))
    certificate_id = seq(
        algorithm,
        tlv(4, known.issuer_name_hash),
        tlv(4, known.issuer_key_hash),
        integer(known.serial_number),
    )
    extensions = seq(seq(oid("1.3.6.1.5.5.7.48.1.2"), tlv(4, nonce)))
    return seq(seq(before, seq(seq(certificate_id)), tlv(0xA2, extensions)))


@pytest.mark.parametrize("algorithm", [SHA1_WITHOUT_NULL, SHA1_WITH_NULL])
@pytest.mark.parametrize("nonce", [tlv(4, b"sixteen octets.."), b"\x30bare octets of old clients"])
@pytest.mark.parametrize(
    "before", [b"", tlv(0xA0, integer(0))], ids=["", "its version written out"]
)
def test_what_was_asked_comes_back_byte_for_byte(
    ca: EmbeddedCa, algorithm: bytes, nonce: bytes, before: bytes
) -> None:
    asked = by_hand(ca, algorithm=algorithm, nonce=nonce, before=before)

    answered = ca.ocsp(asked)

    assert answered[:2] == b"\x30\x82"
    assert algorithm + tlv(4, ocsp.load_der_ocsp_request(question(ca)).issuer_name_hash) in answered
    assert tlv(4, nonce) in answered


def test_openssl_believes_an_answer_while_its_clock_is_behind(
    ca: EmbeddedCa, tmp_path: Path
) -> None:
    suspended = x509.load_der_x509_certificate(ca.issue(request()).certificate)
    ca.suspend(suspended.serial_number, request_id="s")
    other = ca.issue(request(1, not_before=START - timedelta(hours=1))).certificate
    files = {"root": ca.root_certificate, "issuing": ca.issuing_certificate, "one": other}
    for name, der in files.items():
        (tmp_path / f"{name}.pem").write_text(pem(der))
    lists = pem(ca.crl(), "X509 CRL") + pem(ca.root_crl(), "X509 CRL")
    (tmp_path / "crl.pem").write_text(lists)

    verified = subprocess.run(
        [
            *("openssl", "verify", "-crl_check_all", "-CAfile", "root.pem"),
            *("-untrusted", "issuing.pem", "-CRLfile", "crl.pem"),
            *("-attime", str(int(START.timestamp()) - 60), "one.pem"),
        ],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )

    assert "CRL is not yet valid" not in verified.stderr + verified.stdout
