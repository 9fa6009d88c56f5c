"""Keeps what a served process would write of itself, for tests to read."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from xuqi.serving import json_logging

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


@contextmanager
def opened_book(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    root, written = logging.getLogger(), io.StringIO()
    before = (root.handlers[:], root.level, threading.excepthook)
    monkeypatch.setattr(sys, "stderr", written)
    json_logging.write_to_stderr(logging.DEBUG)
    try:
        yield written
    finally:
        logging.captureWarnings(capture=False)
        root.handlers[:], level, threading.excepthook = before
        root.setLevel(level)


def lines(book: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in book.getvalue().splitlines()]
