"""Core banking."""
