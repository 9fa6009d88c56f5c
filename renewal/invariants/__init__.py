"""Recomputes the invariants from the stored state, apart from the code that made it."""

from renewal.invariants.check import INVARIANTS, Check, CheckInput, Reads
from renewal.invariants.checks import CHECKS

__all__ = ["CHECKS", "INVARIANTS", "Check", "CheckInput", "Reads"]
