"""Holds an error to its reason, in the words that a person reads."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from templates.codes import text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from renewal.errors import ReasonedError


@contextmanager
def refused(error: type[ReasonedError], match: str) -> Iterator[None]:
    """``pytest.raises`` with a part of the English sentence of the error's reason."""
    with pytest.raises(error) as caught:
        yield
    said = text(caught.value.reason, "en")
    assert re.search(match, said), said
