"""Holds that openssl, GnuTLS, NSS and Java find out by OCSP and CRL what a certificate is worth."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from renewal.clock import VirtualClock
from renewal.gateways.ca.embedded import http as http_answer
from renewal.gateways.ca.embedded.ceremony import CaSettings
from schema.events import RevocationReason
from tests.renewal.gateways.ca.asking import open_ca, request, serial_of
from xuqi.serving import http, public_site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from renewal.gateways.ca.embedded.adapter import EmbeddedCa

JAVA_PROGRAM = Path(__file__).parent / "inputs" / "AskStatus.java"
PATIENCE = 120  #: seconds; a virtual machine starts slowly on a loaded one
AN_HOUR = timedelta(hours=1)
STATES = ("good", "revoked", "suspended")


@dataclass(frozen=True)
class Published:
    """A CA whose public files and answers are served where its certificates say."""

    folder: Path
    url: str

    def file(self, name: str) -> str:
        return str(self.folder / f"{name}.pem")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    folder = tmp_path_factory.mktemp("published")
    site = _Site()
    with http.listening(public_site.application(site), "127.0.0.1", 0) as port:
        url = f"http://127.0.0.1:{port}"
        now = datetime.now(UTC).replace(microsecond=0)
        site.ca = open_ca(folder, VirtualClock(now), CaSettings(base_url=url))
        for number, state in enumerate(STATES):
            _write(folder, state, _issued(site.ca, number, state, now))
        _write(folder, "root", site.ca.root_certificate)
        _write(folder, "issuing", site.ca.issuing_certificate)
        yield Published(folder, url)
        site.ca.close()


class _Site:
    """The public door, with the CA alone behind it."""

    ca: EmbeddedCa

    def answer(
        self, method: str, path: str, headers: public_site.Headers, body: bytes
    ) -> http_answer.HttpAnswer:
        del headers
        found = http_answer.answer(self.ca, method, path, body)
        assert found is not None, path
        return found


def _issued(ca: EmbeddedCa, number: int, state: str, now: datetime) -> bytes:
    asked = request(number, not_before=now - AN_HOUR, not_after=now + timedelta(days=365))
    der = ca.issue(asked).certificate
    if state == "revoked":
        ca.revoke(serial_of(der), RevocationReason.SUPERSEDED, request_id="revoke")
    elif state == "suspended":
        ca.suspend(serial_of(der), request_id="suspend")
    return der


def _write(folder: Path, name: str, der: bytes) -> None:
    certificate = x509.load_der_x509_certificate(der)
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE)


# --- OCSP -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [(), ("-no_nonce",), ("-sha256",)])
@pytest.mark.parametrize(
    ("name", "word"), [("good", "good"), ("revoked", "revoked"), ("suspended", "revoked")]
)
def test_openssl_is_answered(
    published: Published, name: str, word: str, way: tuple[str, ...]
) -> None:
    chain = ["-CAfile", published.file("root"), "-issuer", published.file("issuing")]

    asked = run(
        "openssl",
        "ocsp",
        *way,
        *chain,
        "-cert",
        published.file(name),
        "-url",
        f"{published.url}/ocsp",
    )

    assert "Response verify OK" in asked.stderr
    assert "WARNING" not in asked.stderr  # of a nonce that does not come back
    assert f"{name}.pem: {word}" in asked.stdout


@pytest.mark.parametrize("nonce", ["--nonce", "--no-nonce"])
@pytest.mark.parametrize(("name", "word"), [("good", "good"), ("revoked", "revoked")])
def test_gnutls_is_answered(published: Published, name: str, word: str, nonce: str) -> None:
    files = ("--load-cert", published.file(name), "--load-issuer", published.file("issuing"))
    trust = ("--load-trust", published.file("issuing"))

    asked = run("ocsptool", f"--ask={published.url}/ocsp", nonce, *files, *trust)

    said = asked.stdout + asked.stderr
    assert "Verifying OCSP Response: Success." in said, said
    assert f"Certificate Status: {word}" in said


@pytest.fixture(scope="module")
def nss(published: Published) -> str:
    database = published.folder / "nss"
    database.mkdir()
    where = f"sql:{database}"
    run("certutil", "-N", "-d", where, "--empty-password")
    for name, trust in {"root": "CT,C,C", "issuing": ",,", "good": ",,", "revoked": ",,"}.items():
        run(
            "certutil", "-A", "-d", where, "-n", name, "-t", trust, "-a", "-i", published.file(name)
        )
    return where


@pytest.mark.parametrize(("name", "said"), [("good", "good"), ("revoked", "has been revoked")])
def test_nss_is_answered(nss: str, name: str, said: str) -> None:
    asked = run("ocspclnt", "-S", name, "-d", nss)

    assert said in asked.stdout + asked.stderr


# --- Java, and CRLs -------------------------------------------------------------------------------


def test_java_is_answered_by_ocsp_and_by_lists(published: Published) -> None:
    files = map(published.file, ("root", "issuing", *STATES))

    asked = run("java", "-Dcom.sun.security.enableCRLDP=true", str(JAVA_PROGRAM), *files)

    assert asked.stdout.split("\n")[:-1] == [
        *("ocsp good", "nonce good", "crl good"),
        *("ocsp REVOKED", "nonce REVOKED", "crl REVOKED"),
        *("ocsp REVOKED", "nonce REVOKED", "crl REVOKED"),
    ], asked.stderr


@pytest.mark.parametrize(("name", "said"), [("good", "OK"), ("revoked", "certificate revoked")])
@pytest.mark.parametrize("behind", [0, 240])
def test_openssl_is_told_by_lists_though_its_clock_is_behind(
    published: Published, name: str, said: str, behind: int
) -> None:
    at = int(datetime.now(UTC).timestamp()) - behind
    ways = ("-crl_check", "-crl_download", "-attime", str(at))
    chain = ("-CAfile", published.file("root"), "-untrusted", published.file("issuing"))

    asked = run("openssl", "verify", *ways, *chain, published.file(name))

    assert said in asked.stdout + asked.stderr
