"""The station's own pages on 127.0.0.1, for the clerk and the customer in front of it."""
