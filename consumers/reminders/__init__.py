"""Sends reminders: which certificates are due, on which channel, each once."""
