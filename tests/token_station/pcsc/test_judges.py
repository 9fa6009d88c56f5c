"""Lets OpenSC and Yubico's tool judge, through pcscd, what the station left on a token."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from renewal.rules.proof import verify_possession
from tests.token_station.pcsc.daemon import PrivatePcscd, wait_until
from tests.token_station.tokens import MANAGEMENT_KEY, PIN, Desk, PretendCa
from token_station.piv.keys import P256, RSA2048
from token_station.piv.session import open_token
from token_station.simulator.card import SimulatedCard

if TYPE_CHECKING:
    from token_station.pcsc import PcscReaders
    from token_station.simulator.card_profiles import CardProfile

LIBRARIES = Path("/usr/lib/x86_64-linux-gnu")
#: OpenSC's ids of the PIV key slots.
OPENSC = {"9A": "01", "9C": "02"}
MECHANISMS = {P256: "ECDSA-SHA256", RSA2048: "SHA256-RSA-PKCS"}
DATA = b"signed through somebody else's software"


def judged(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, timeout=120, check=False, env=dict(os.environ))
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


@pytest.fixture(params=[P256, RSA2048])
def token(
    request: pytest.FixtureRequest, tmp_path: Path, ca: PretendCa, manners: CardProfile
) -> Desk:
    profile = replace(manners, tells_version=True)
    return Desk(tmp_path, manners=profile, ca=ca, algorithm=request.param)


@pytest.fixture
def renewed(pcscd: PrivatePcscd, readers: PcscReaders, token: Desk) -> tuple[Desk, bytes]:
    """A token that our driver has renewed in a real reader, still in there; its new certificate."""
    desk = token
    desk.reader.pull()
    pcscd.insert(SimulatedCard(desk.card_path, desk.manners, desk.ledger))
    wait_until(readers, lambda: readers.has_token(pcscd.names[0]))
    reader = next(reader for reader in readers if reader.name == pcscd.names[0])
    new = desk.renew(open_token(reader, MANAGEMENT_KEY))
    reader.release()
    return desk, new


def test_opensc_reads_both_certificates_byte_for_byte(
    renewed: tuple[Desk, bytes], tmp_path: Path
) -> None:
    desk, new = renewed

    for slot, der in (("9C", desk.old), ("9A", new)):
        read = tmp_path / f"{slot}.pem"
        judged("pkcs15-tool", "--read-certificate", OPENSC[slot], "--output", str(read))

        found = x509.load_pem_x509_certificate(read.read_bytes())
        assert found.public_bytes(Encoding.DER) == der


@pytest.mark.parametrize("slot", ["9C", "9A"])
def test_opensc_signs_with_either_key_and_openssl_verifies(
    renewed: tuple[Desk, bytes], tmp_path: Path, slot: str
) -> None:
    desk, new = renewed
    data, signature, key = tmp_path / "data", tmp_path / "signature", tmp_path / "key.pem"
    data.write_bytes(DATA)
    public = x509.load_der_x509_certificate(desk.old if slot == "9C" else new).public_key()
    key.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    judged(
        *("pkcs11-tool", "--module", str(LIBRARIES / "opensc-pkcs11.so")),
        *("--login", "--pin", PIN, "--sign", "--id", OPENSC[slot]),
        *("--mechanism", MECHANISMS[desk.algorithm], "--signature-format", "openssl"),
        *("--input-file", str(data), "--output-file", str(signature)),
    )

    told = judged(
        *("openssl", "dgst", "-sha256", "-verify", str(key)),
        *("-signature", str(signature), str(data)),
    )
    assert "Verified OK" in told
    verify_possession(desk.old if slot == "9C" else new, DATA, signature.read_bytes())


def test_yubicos_tool_reads_both_certificates_byte_for_byte(
    renewed: tuple[Desk, bytes], tmp_path: Path
) -> None:
    desk, new = renewed

    for slot, der in (("9c", desk.old), ("9a", new)):
        read = tmp_path / f"{slot}.der"
        judged(
            *("yubico-piv-tool", "--reader", "Yubico", "--action", "read-certificate"),
            *("--slot", slot, "--key-format", "DER", "--output", str(read)),
        )

        assert read.read_bytes() == der


def test_yubicos_tool_counts_the_same_tries(renewed: tuple[Desk, bytes]) -> None:
    told = judged("yubico-piv-tool", "--reader", "Yubico", "--action", "status")

    assert f"PIN tries left:\t{renewed[0].manners.pin_tries}" in told
