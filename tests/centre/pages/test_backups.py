"""Four programs of others open what the pages' script writes, and it opens what they write."""

from __future__ import annotations

import base64
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    pkcs12,
)
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from web.layout import STATIC
from xuqi.serving.http import listening

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

Private = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PASSWORD = "Try12345"  # noqa: S105 - of a backup in a story
NAME = "王小明_KGI"

WRITE = """async ([pkcs8, der, name, password, profile]) => {
  const { write } = await import("/static/centre/pfx.js");
  const bytes = (text) => Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
  const file = await write({ pkcs8: bytes(pkcs8), der: bytes(der), name, password, profile });
  return btoa(String.fromCharCode(...file));
}"""
OPEN = """async ([file, password]) => {
  const { open } = await import("/static/centre/pfx.js");
  const { spkiOf } = await import("/static/centre/keys.js");
  const bytes = Uint8Array.from(atob(file), (sign) => sign.charCodeAt(0));
  try {
    const { pkcs8, der } = await open(bytes, password, spkiOf);
    return [pkcs8, der].map((part) => btoa(String.fromCharCode(...part)));
  } catch (error) { return [error.constructor.name]; }
}"""


@pytest.fixture(scope="module")
def script(chromium: Browser) -> Iterator[Page]:
    """A page that runs the modules of the centre."""

    def empty(_request: Any) -> HTMLResponse:  # noqa: ANN401 - starlette's
        return HTMLResponse("<!doctype html><title>backups</title>")

    app = Starlette(routes=[Route("/", empty), Mount("/static", StaticFiles(directory=STATIC))])
    with listening(app, "127.0.0.1", 0) as port:
        page = chromium.new_page()
        page.goto(f"http://127.0.0.1:{port}/")
        yield page
        page.close()


def held(kind: str) -> tuple[Private, x509.Certificate]:
    made: Private = (
        ec.generate_private_key(ec.SECP256R1())
        if kind == "EC"
        else rsa.generate_private_key(65537, 2048)
    )
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "A123456789-00-000001")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    builder = builder.public_key(made.public_key()).serial_number(4711)
    builder = builder.not_valid_before(now).not_valid_after(now + timedelta(days=365))
    return made, builder.sign(made, SHA256())


def pkcs8_of(key: Private) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def public(key: Private) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def run(*command: object) -> str:
    made = subprocess.run([str(part) for part in command], capture_output=True, check=False)
    assert made.returncode == 0, made.stderr.decode() + made.stdout.decode()
    return made.stdout.decode(errors="replace")  # openssl prints a friendly name byte by byte


# --- what others make of ours ---------------------------------------------------------------------


def by_openssl(file: Path, spki: bytes) -> None:
    found = run(
        "openssl", "pkcs12", "-legacy", "-in", file, "-nodes", "-passin", f"pass:{PASSWORD}"
    )
    pem = run("openssl", "pkcs12", "-legacy", "-in", file, "-nokeys", "-passin", f"pass:{PASSWORD}")
    assert "PRIVATE KEY" in found
    shown = x509.load_pem_x509_certificate(pem[pem.index("-----BEGIN") :].encode())
    assert shown.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == spki


def by_nss(file: Path, _spki: bytes) -> None:
    database = f"sql:{file.parent}"
    run("certutil", "-N", "-d", database, "--empty-password")
    run("pk12util", "-i", file, "-d", database, "-W", PASSWORD)
    assert "< 0>" in run("certutil", "-K", "-d", database)


def by_java(file: Path, _spki: bytes) -> None:
    store = ("-keystore", file, "-storetype", "PKCS12", "-storepass", PASSWORD)
    assert "PrivateKeyEntry" in run("keytool", "-list", *store)


def by_cryptography(file: Path, spki: bytes) -> None:
    key, certificate, _ = pkcs12.load_key_and_certificates(file.read_bytes(), PASSWORD.encode())
    assert isinstance(key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey))
    assert public(key) == spki
    assert certificate is not None


@pytest.mark.shows("B14", "B16")
@pytest.mark.parametrize("judge", [by_openssl, by_nss, by_java, by_cryptography])
@pytest.mark.parametrize(
    ("kind", "profile"), [("EC", "standard"), ("EC", "old"), ("RSA", "standard")]
)
def test_a_backup_of_ours_is_opened_by(
    script: Page,
    tmp_path: Path,
    profile: str,
    kind: str,
    judge: Callable[[Path, bytes], None],
) -> None:
    key, certificate = held(kind)
    der = certificate.public_bytes(Encoding.DER)
    asked = [text(pkcs8_of(key)), text(der), NAME, PASSWORD, profile]

    file = tmp_path / "backup.pfx"
    file.write_bytes(base64.b64decode(script.evaluate(WRITE, asked)))

    judge(file, public(key))


# --- what ours makes of others' -------------------------------------------------------------------


def of_cryptography(folder: Path, key: Private, certificate: x509.Certificate) -> Path:
    sealed = BestAvailableEncryption(PASSWORD.encode())
    made = pkcs12.serialize_key_and_certificates(NAME.encode(), key, certificate, None, sealed)
    (folder / "python.pfx").write_bytes(made)
    return folder / "python.pfx"


def of_windows(folder: Path, key: Private, certificate: x509.Certificate) -> Path:
    """As Windows exports it: 3DES, HMAC with SHA-1."""
    builder = PrivateFormat.PKCS12.encryption_builder()
    builder = builder.key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
    sha1 = SHA1()  # noqa: S303 - what Windows writes
    sealed = builder.hmac_hash(sha1).kdf_rounds(2000).build(PASSWORD.encode())
    made = pkcs12.serialize_key_and_certificates(b"win", key, certificate, None, sealed)
    (folder / "windows.pfx").write_bytes(made)
    return folder / "windows.pfx"


def of_openssl(folder: Path, key: Private, certificate: x509.Certificate, *more: str) -> Path:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "both.pem").write_bytes(pem + certificate.public_bytes(Encoding.PEM))
    file = folder / "openssl.pfx"
    run("openssl", "pkcs12", "-export", *more, "-in", folder / "both.pem", "-out", file,
        "-name", "mine", "-passout", f"pass:{PASSWORD}")  # fmt: skip
    return file


def of_old_openssl(folder: Path, key: Private, certificate: x509.Certificate) -> Path:
    return of_openssl(folder, key, certificate, "-legacy")


def of_java(folder: Path, key: Private, certificate: x509.Certificate) -> Path:
    run(
        "keytool", "-importkeystore", "-srckeystore", of_openssl(folder, key, certificate),
        "-srcstoretype", "PKCS12", "-srcstorepass", PASSWORD, "-destkeystore", folder / "java.pfx",
        "-deststoretype", "PKCS12", "-deststorepass", PASSWORD, "-noprompt",
    )  # fmt: skip
    return folder / "java.pfx"


def of_nss(folder: Path, key: Private, certificate: x509.Certificate) -> Path:
    run("certutil", "-N", "-d", f"sql:{folder}", "--empty-password")
    given = of_openssl(folder, key, certificate)
    run("pk12util", "-i", given, "-d", f"sql:{folder}", "-W", PASSWORD)
    file = folder / "nss.pfx"
    run("pk12util", "-o", file, "-n", "mine", "-d", f"sql:{folder}", "-W", PASSWORD)
    return file


@pytest.mark.shows("B16")
@pytest.mark.parametrize(
    "made_by", [of_cryptography, of_windows, of_openssl, of_old_openssl, of_java, of_nss]
)
def test_a_backup_is_opened_that_was_made(
    script: Page, tmp_path: Path, made_by: Callable[[Path, Private, x509.Certificate], Path]
) -> None:
    key, certificate = held("EC")
    file = made_by(tmp_path, key, certificate).read_bytes()

    wrong = script.evaluate(OPEN, [text(file), "wrong1"])
    found = script.evaluate(OPEN, [text(file), PASSWORD])

    assert wrong == ["CannotOpen"]
    assert base64.b64decode(found[1]) == certificate.public_bytes(Encoding.DER)
    opened = load_der_private_key(base64.b64decode(found[0]), None)
    assert isinstance(opened, ec.EllipticCurvePrivateKey)
    assert public(opened) == public(key)
