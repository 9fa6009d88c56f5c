"""A simulated token in its reader, for the demo and the tests."""
