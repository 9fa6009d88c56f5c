"""The CA's keys are of no use to whoever has the folder and not the passphrase."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
import time
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from renewal.clock import VirtualClock
from renewal.errors import GatewayUnavailableError, XuqiError
from renewal.gateways.ca.embedded import database
from renewal.gateways.ca.embedded.adapter import BOOK, EmbeddedCa
from renewal.gateways.ca.embedded.authority import CaLockedError
from renewal.gateways.ca.embedded.ceremony import CaSettings
from renewal.secret import Secret
from tests.renewal.gateways.ca.asking import PASSPHRASE, START, open_ca, request

if TYPE_CHECKING:
    from pathlib import Path

QUICK = 0.05  #: seconds


def opened(folder: Path, passphrase: Secret | str | bytes) -> EmbeddedCa:
    return EmbeddedCa(folder / "ca", VirtualClock(START), passphrase)


def test_no_key_is_read_without_the_passphrase(tmp_path: Path) -> None:
    ca = open_ca(tmp_path)
    ca.ocsp(b"")
    ca.issue(request())
    password = ca._opened.password
    signing = ca._opened.issuing.key
    ca.close()

    book = sqlite3.connect(tmp_path / "ca" / BOOK)
    keys = [bytes(row[0]) for row in book.execute("SELECT key FROM authority")]
    book.close()

    assert len(keys) == 2
    for key in keys:
        assert key.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
        with pytest.raises(TypeError, match="not given"):
            load_pem_private_key(key, None)
        with pytest.raises(ValueError, match="Incorrect password"):
            load_pem_private_key(key, PASSPHRASE.encode())
        assert load_pem_private_key(key, password)
    assert isinstance(signing, ec.EllipticCurvePrivateKey)
    secret_number = signing.private_numbers().private_value.to_bytes(32)
    for file in (tmp_path / "ca").iterdir():
        assert secret_number not in file.read_bytes()


def test_only_the_owner_may_read_the_folder(tmp_path: Path) -> None:
    ca = open_ca(tmp_path)
    ca.issue(request())

    assert stat.S_IMODE((tmp_path / "ca").stat().st_mode) == 0o700
    for file in (tmp_path / "ca").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    ca.close()


@pytest.mark.parametrize("wrong", ["wrong", b"", Secret(b"wrong")], ids=["text", "empty", "secret"])
def test_a_wrong_passphrase_is_told(wrong: Secret | str | bytes, tmp_path: Path) -> None:
    open_ca(tmp_path).close()

    with pytest.raises(CaLockedError, match="passphrase") as caught:
        opened(tmp_path, wrong)

    assert "wrong'" not in str(caught.value)


def test_a_ca_is_not_made_with_an_empty_passphrase(tmp_path: Path) -> None:
    with pytest.raises(CaLockedError, match="empty"):
        opened(tmp_path, "")


def test_text_bytes_and_secret_open_the_same_ca(tmp_path: Path) -> None:
    first = opened(tmp_path, PASSPHRASE)
    certificate = first.issuing_certificate
    first.close()

    for passphrase in (PASSPHRASE.encode(), Secret(PASSPHRASE.encode())):
        again = opened(tmp_path, passphrase)
        assert again.issuing_certificate == certificate
        again.close()


def test_an_unknown_kind_of_key_is_told(tmp_path: Path) -> None:
    with pytest.raises(XuqiError, match="cannot be 'DSA': one of P-256, RSA-2048"):
        open_ca(tmp_path, settings=CaSettings(key="DSA"))


def test_it_opens_quickly(tmp_path: Path) -> None:
    open_ca(tmp_path).close()

    def seconds() -> float:
        begin = time.process_time()
        open_ca(tmp_path).close()
        return time.process_time() - begin

    assert min(seconds() for _ in range(5)) < QUICK


def test_a_book_that_another_process_holds_is_unavailable_and_nothing_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PATIENCE", 0.01)
    ca = open_ca(tmp_path)
    other = sqlite3.connect(tmp_path / "ca" / BOOK, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(GatewayUnavailableError, match="locked"):
        ca.issue(request())

    other.execute("ROLLBACK")
    other.close()
    assert ca.recover("renewal-0") is None
    assert ca.issue(request()).certificate
    ca.close()


def test_the_folder_may_not_exist_yet(tmp_path: Path) -> None:
    folder = tmp_path / "var" / "deep"

    opened(folder, PASSPHRASE).close()

    assert os.listdir(folder / "ca") == [BOOK]  # noqa: PTH208 -- the names are what is compared


def test_a_file_that_is_no_book_is_told_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "ca").mkdir()
    (tmp_path / "ca" / BOOK).write_bytes(b"these are not the pages of a database" * 30)

    with pytest.raises(XuqiError, match=r"ca\.db cannot be opened as the CA's book"):
        open_ca(tmp_path)


def test_many_that_open_a_new_folder_at_once_open_one_ca(tmp_path: Path) -> None:
    certificates: list[bytes] = []

    def open_it() -> None:
        ca = opened(tmp_path, PASSPHRASE)
        certificates.append(ca.issuing_certificate)
        ca.close()

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(certificates) == 4
    assert len(set(certificates)) == 1
