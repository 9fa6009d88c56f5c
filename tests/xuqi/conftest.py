"""What the tests of the command stand on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.xuqi import sample

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[sample.Bank]:
    """A bank with one customer who keeps a certificate in the browser, due in 18 days."""
    with sample.opened(tmp_path / "bank") as opened:
        opened.browser()
        yield opened
