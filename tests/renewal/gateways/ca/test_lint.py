"""pkilint finds nothing to warn of in what the CA makes; kept apart, for it is slow to import."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import sha1
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from pkilint.bin import lint_crl, lint_ocsp_response, lint_pkix_cert

from renewal.clock import VirtualClock
from renewal.gateways.ca.embedded.ceremony import CaSettings
from schema.events import RevocationReason
from tests.renewal.gateways.ca.asking import open_ca, parsed, request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from renewal.gateways.ca.embedded.adapter import EmbeddedCa

#: pkilint leaves the file that it reads to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(scope="module", params=["P-256", "RSA-2048"])
def ca(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedCa]:
    opened = open_ca(tmp_path_factory.mktemp("ca"), settings=CaSettings(key=request.param))
    yield opened
    opened.close()


class Linter:
    def __init__(self, file: Path, output: pytest.CaptureFixture[str]) -> None:
        self._file = file
        self._output = output

    def findings(self, main: Callable[[list[str]], int], der: bytes, *options: str) -> list[str]:
        """Return the codes of what a linter finds at WARNING or above."""
        self._file.write_bytes(der)
        shown = ("-s", "WARNING", "-f", "JSON", "--document-format", "DER")
        main(["lint", *options, *shown, str(self._file)])
        results = json.loads(self._output.readouterr().out)["results"]
        return [found["code"] for one in results for found in one["finding_descriptions"]]

    def certificate(self, der: bytes) -> list[str]:
        return self.findings(lint_pkix_cert.main, der)

    def crl(self, der: bytes, kind: str) -> list[str]:
        return self.findings(lint_crl.main, der, "-t", kind, "-p", "PKIX")

    def ocsp(self, der: bytes) -> list[str]:
        return self.findings(lint_ocsp_response.main, der)


@pytest.fixture
def lint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Linter:
    return Linter(tmp_path / "linted.der", capsys)


def issue(ca: EmbeddedCa, number: int) -> x509.Certificate:
    return parsed(ca.issue(request(number)).certificate)


def answer_about(ca: EmbeddedCa, certificate: x509.Certificate) -> bytes:
    issuer = parsed(ca.issuing_certificate)
    asked = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA256())
    asked = asked.add_extension(x509.OCSPNonce(sha1(b"n").digest()), critical=False)  # noqa: S324 -- just 20 bytes
    return ca.ocsp(asked.build().public_bytes(Encoding.DER))


def test_the_linter_sees_what_is_wrong(ca: EmbeddedCa, lint: Linter) -> None:
    good = issue(ca, 1).public_bytes(Encoding.DER)
    no_authority_key_identifier = good.replace(b"\x55\x1d\x23", b"\x55\x1d\x7f")

    assert lint.certificate(no_authority_key_identifier) != []


def test_certificates(ca: EmbeddedCa, lint: Linter) -> None:
    customer = issue(ca, 1).public_bytes(Encoding.DER)

    assert lint.certificate(customer) == []
    assert lint.certificate(ca.issuing_certificate) == []
    assert lint.certificate(ca.root_certificate) == []


def test_a_certificate_that_ends_beyond_2049(lint: Linter, tmp_path: Path) -> None:
    now = datetime(2049, 6, 1, tzinfo=UTC)
    ca = open_ca(tmp_path, VirtualClock(now))
    asked = request(1, not_before=now, not_after=datetime(2051, 6, 1, tzinfo=UTC))

    assert lint.certificate(ca.issue(asked).certificate) == []
    ca.close()


def test_the_responders_certificate(ca: EmbeddedCa, lint: Linter) -> None:
    [signer] = ocsp.load_der_ocsp_response(answer_about(ca, issue(ca, 1))).certificates

    assert lint.certificate(signer.public_bytes(Encoding.DER)) == []


def test_lists(ca: EmbeddedCa, lint: Linter) -> None:
    empty = ca.crl()
    for number, reason in enumerate(RevocationReason, 10):
        ca.revoke(issue(ca, number).serial_number, reason, request_id=f"r-{number}")
    ca.suspend(issue(ca, 20).serial_number, request_id="s-1")

    assert lint.crl(empty, "CRL") == []
    assert lint.crl(ca.crl(), "CRL") == []
    assert lint.crl(ca.root_crl(), "ARL") == []


def test_answers(ca: EmbeddedCa, lint: Linter) -> None:
    good, revoked, held = (issue(ca, number) for number in range(30, 33))
    ca.revoke(revoked.serial_number, RevocationReason.KEY_COMPROMISE, request_id="r-31")
    ca.suspend(held.serial_number, request_id="s-32")

    for certificate in (good, revoked, held, parsed(ca.issuing_certificate)):
        assert lint.ocsp(answer_about(ca, certificate)) == []


def test_malformed_is_an_answer_too(ca: EmbeddedCa, lint: Linter) -> None:
    assert lint.ocsp(ca.ocsp(b"")) == []
