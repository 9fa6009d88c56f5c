"""Replaces keys, is killed in the middle, and goes on; what they protect stays readable."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from renewal.gateways.ca.embedded.adapter import EmbeddedCa
from renewal.gateways.mail.verp import return_address, returned_token
from renewal.store import sealed
from simulation.servers.postgresql import cluster
from tests.xuqi import sample
from xuqi.key_files import KeyFiles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.xuqi.sample import Bank


class KilledError(Exception):
    """The power is off at this line."""


@pytest.fixture
def bank(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bank]:
    if getattr(request, "param", "sqlite") == "sqlite":
        with sample.opened(tmp_path / "bank") as made:
            made.browser()
            yield made
        return
    with cluster() as url, sample.opened(tmp_path / "bank", store_url=url) as made:
        made.environment["XUQI_STORE_URL"] = url
        made.browser()
        yield made


def numbers(bank: Bank, name: str) -> list[int]:
    [found] = [row["numbers"] for row in bank.listed("keys", "list") if row["name"] == name]
    return list(found)


def killed(bank: Bank, name: str) -> None:
    with pytest.raises(KilledError):
        bank.run("keys", "rotate", name)


@pytest.mark.parametrize(
    "bank",
    ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)],
    indirect=True,
)
def test_a_rotation_of_the_column_key_that_was_killed_goes_on_where_it_was(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    reseal = sealed.reseal
    done: list[object] = []

    def dies(*given: object) -> object:
        if len(done) == 3:
            raise KilledError
        done.append(given)
        return reseal(*given)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(sealed, "reseal", dies)
        killed(bank, "columns")
    between = bank.run("check")
    would = bank.run("--lang", "en", "keys", "rotate", "columns", "--dry-run")

    resumed = bank.run("keys", "rotate", "columns")

    assert between.exit_code == 0, between.output
    assert "would be number 2" in would.output
    assert resumed.exit_code == 0, resumed.output
    assert "xuqi keys retire columns 1" in resumed.output
    assert numbers(bank, "columns") == [1, 2]
    os.utime(bank.home / "secrets" / "columns.2.key", (0, 0))
    assert bank.run("keys", "retire", "columns", "1").exit_code == 0
    assert bank.run("check").exit_code == 0


def reopened(bank: Bank) -> EmbeddedCa:
    """The CA as the next process opens it."""
    with sample.opened(bank.home) as again:
        ca = again.app.gateways.ca
        assert isinstance(ca, EmbeddedCa)
        ca.crl()
        return ca


def test_a_rotation_of_the_cas_passphrase_that_was_killed_goes_on_where_it_was(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_given: object) -> None:
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(EmbeddedCa, "change_passphrase", dies)
        killed(bank, "ca")
    os.utime(bank.home / "secrets" / "ca.2.key", (0, 0))
    reopened(bank)
    too_early = bank.run("keys", "retire", "ca", "1")

    resumed = bank.run("keys", "rotate", "ca")

    assert too_early.exit_code == 1
    assert resumed.exit_code == 0, resumed.output
    assert numbers(bank, "ca") == [1, 2]
    assert bank.run("keys", "retire", "ca", "1").exit_code == 0
    reopened(bank)


def test_a_process_that_has_the_passphrase_of_before_goes_on_answering(bank: Bank) -> None:
    running = bank.app.gateways.ca
    assert isinstance(running, EmbeddedCa)
    bank.run("keys", "rotate", "ca")

    question = sample_question(running)

    for answer in (running.ocsp(question), reopened_answer(bank, question)):
        told = ocsp.load_der_ocsp_response(answer)
        assert told.certificate_status is ocsp.OCSPCertStatus.GOOD
    assert running.root_crl()


def sample_question(ca: EmbeddedCa) -> bytes:
    leaf = x509.load_der_x509_certificate(next(iter(ca.certificates())).certificate)
    issuer = x509.load_der_x509_certificate(ca.issuing_certificate)
    asked = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, SHA256()).build()
    return asked.public_bytes(Encoding.DER)


def reopened_answer(bank: Bank, question: bytes) -> bytes:
    with sample.opened(bank.home) as again:
        ca = again.app.gateways.ca
        assert isinstance(ca, EmbeddedCa)
        return ca.ocsp(question)


def test_the_roots_key_that_is_kept_elsewhere_opens_with_the_passphrase_of_then(
    bank: Bank,
) -> None:
    ca = bank.app.gateways.ca
    assert isinstance(ca, EmbeddedCa)
    kept = ca.root_key()
    ca.take_root_key()

    assert bank.run("keys", "rotate", "ca").exit_code == 0
    os.utime(bank.home / "secrets" / "ca.2.key", (0, 0))
    refused = bank.run("keys", "retire", "ca", "1")

    with sample.opened(bank.home) as again:
        later = again.app.gateways.ca
        assert isinstance(later, EmbeddedCa)
        assert later.sign_root_crl(kept)
    assert refused.exit_code == 1


def test_mail_of_the_key_of_before_still_bounces_to_us(bank: Bank) -> None:
    keys = bank.app.keys
    old = return_address("m-1", key=keys.mail.value, domain="bank.example")

    assert bank.run("keys", "rotate", "mail").exit_code == 0
    ring = keys.ring("mail", anew=True)

    assert sorted(ring) == [1, 2]
    assert returned_token(old, keys=keys.of_mail()) == "m-1"
    new = return_address("m-1", key=keys.mail.value, domain="bank.example")
    assert new != old
    assert returned_token(new, keys=keys.of_mail()) == "m-1"
    assert returned_token(old, keys=[ring[2].value]) is None


def test_what_followed_from_a_key_is_kept_once_for_the_owner_alone(tmp_path: Path) -> None:
    files = KeyFiles(tmp_path / "not there yet", {})

    files.write_out("lookup", b"hex:00" * 8)
    files.write_out("lookup", b"hex:ff" * 8)

    kept = files.path("lookup", 1)
    assert kept.read_bytes() == b"hex:00" * 8
    assert kept.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in files.folder.iterdir()] == ["lookup.key"]
