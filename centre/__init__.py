"""The customer's certificate centre."""
