"""Recomputes from the stored state what must never happen, apart from the code that made it."""

from renewal.store.check.check import INVARIANTS, Check, Given, Reads
from renewal.store.check.checks import CHECKS

__all__ = ["CHECKS", "INVARIANTS", "Check", "Given", "Reads"]
