"""How a bank's own customers and certificates get in."""
