"""Gateways: each outside system as a port with real, embedded and null adapters."""
