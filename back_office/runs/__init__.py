"""Bulk renewal runs: plan, approve, run, result."""
