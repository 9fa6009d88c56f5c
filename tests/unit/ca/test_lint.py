"""pkilint finds nothing to warn of in what the CA makes; kept apart, for it is slow to import."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from renewal.gateways.ca.ceremony import CaSettings
from renewal.gateways.ca.port import Reason
from tests.unit.ca.asking import open_ca, parsed, request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from renewal.gateways.ca.embedded import EmbeddedCa

CERTIFICATE = ("lint_pkix_cert", "lint")
CRL = ("lint_crl", "lint", "-t", "CRL", "-p", "PKIX")
AUTHORITY_LIST = ("lint_crl", "lint", "-t", "ARL", "-p", "PKIX")
OCSP = ("lint_ocsp_response", "lint")


@pytest.fixture(scope="module", params=["P-256", "RSA-2048"])
def ca(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedCa]:
    opened = open_ca(tmp_path_factory.mktemp("ca"), settings=CaSettings(key=request.param))
    yield opened
    opened.close()


def findings(linter: tuple[str, ...], der: bytes, folder: Path) -> list[object]:
    file = folder / "linted.der"
    file.write_bytes(der)
    module = f"pkilint.bin.{linter[0]}"
    ran = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-m", module, *linter[1:]),
            *("-s", "WARNING", "-f", "JSON", str(file)),
        ],
        capture_output=True,
        check=False,
    )
    assert ran.stdout, ran.stderr
    results: list[object] = json.loads(ran.stdout)["results"]
    return results
