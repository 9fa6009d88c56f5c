"""Measures, side by side in one run: what counts is a ratio, for the machine's speed varies."""
