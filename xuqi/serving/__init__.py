"""Serves everything in one process, or some components of it."""
