"""What the cases that real life showed stand on besides a whole world: a bank to import from."""

from __future__ import annotations

from tests.back_office.imports.conftest import bank, store

__all__ = ["bank", "store"]
