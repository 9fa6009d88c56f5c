"""The consumers: one module for each effect of an event."""
