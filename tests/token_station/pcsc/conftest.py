"""Starts one PC/SC service for all tests of real readers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.token_station.pcsc.daemon import PrivatePcscd, missing, wait_until
from token_station.pcsc import PcscReaders

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def pcscd_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivatePcscd]:
    why = missing()
    if why:
        pytest.fail(f"real readers cannot be tested: {why}", pytrace=False)
    daemon = PrivatePcscd(tmp_path_factory.mktemp("pcscd"))
    os.environ["PCSCLITE_CSOCK_NAME"] = str(daemon.socket)  # read once by the client library
    daemon.start()
    yield daemon
    daemon.pull_all()
    daemon.kill()


@pytest.fixture
def pcscd(pcscd_process: PrivatePcscd) -> Iterator[PrivatePcscd]:
    """The service, with empty readers."""
    yield pcscd_process
    pcscd_process.pull_all()
    with PcscReaders() as readers:  # the service looks for a card each 0.4 s
        wait_until(readers, lambda: _empty(readers))


@pytest.fixture
def readers(pcscd: PrivatePcscd) -> Iterator[PcscReaders]:
    with PcscReaders() as readers:
        wait_until(readers, lambda: all(name in readers.names for name in pcscd.names))
        yield readers


def _empty(readers: PcscReaders) -> bool:
    return len(readers) > 0 and not any(map(readers.has_token, readers.names))
