"""Makes tokens in SoftHSM2, in a folder of their own."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pkcs11
import pytest

from renewal.rules.token_keys import WriteKeys
from tests.token_station.tokens import PIN, PretendCa
from token_station import models
from token_station.models import ModelError
from token_station.pkcs11 import Pkcs11Reader, Pkcs11Session, readers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from token_station.models import TokenModel

SO_PIN = "87654321"
MODEL = "softhsm2"


@dataclass
class SoftToken:
    """One token with its first key and certificate, as the bank hands it out."""

    reader: Pkcs11Reader
    ca: PretendCa
    algorithm: str
    old: bytes = b""

    def session(self) -> Pkcs11Session:
        return self.reader.open_token(WriteKeys(b""))


@pytest.fixture(scope="session")
def soft_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The module reads its settings once in a process."""
    folder = tmp_path_factory.mktemp("softhsm2")
    (folder / "tokens").mkdir()
    conf = folder / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\n")
    os.environ["SOFTHSM2_CONF"] = str(conf)
    return folder


@pytest.fixture
def model(soft_folder: Path) -> TokenModel:
    return models.load(MODEL)


_made: list[str] = []


@pytest.fixture
def label(soft_folder: Path) -> str:
    """The label of a fresh token."""
    name = f"token{len(_made)}"
    _made.append(name)
    argv = ["softhsm2-util", "--init-token", "--free", "--label", name]
    done = subprocess.run(
        [*argv, "--so-pin", SO_PIN, "--pin", PIN], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    with suppress(ModelError):
        pkcs11.lib(models.load(MODEL).module()).reinitialize()  # it lists its tokens once
    return name


@pytest.fixture(params=["P-256", "RSA-2048"])
def token(
    request: pytest.FixtureRequest, label: str, model: TokenModel, ca: PretendCa
) -> Iterator[SoftToken]:
    reader = next(one for one in readers(model) if one.label == label)
    made = SoftToken(reader, ca, request.param)
    session = made.session()
    session.verify_pin(PIN)
    made.old = ca.certify(session.generate("a1", made.algorithm))
    session.write_certificate("a1", made.old, pin=PIN)
    yield made
    reader.release()
