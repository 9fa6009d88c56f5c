"""Facts for the voice to speak of."""

from __future__ import annotations

import pytest

from templates.voice import Voice


@pytest.fixture(scope="session")
def voice() -> Voice:
    return Voice()
