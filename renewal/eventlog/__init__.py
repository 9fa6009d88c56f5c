"""The event log: its port and its engines."""
