"""Facts for the voice to speak of."""

from __future__ import annotations

import pytest

from templates.bank_file import sample_bank
from templates.rendering import MessageRenderer


@pytest.fixture(scope="session")
def voice() -> MessageRenderer:
    return MessageRenderer(sample_bank())
