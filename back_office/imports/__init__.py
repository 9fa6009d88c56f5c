"""Imports a bank's own customers and certificates."""
