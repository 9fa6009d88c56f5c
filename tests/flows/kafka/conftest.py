"""A rig on the broker of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.flows.kafka.rig import Rig, rigged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from renewal.eventlog.kafka import Connection


@pytest.fixture
def rig(kafka: Connection, tmp_path: Path) -> Iterator[Rig]:
    with rigged(kafka, tmp_path) as rig:
        yield rig
