"""Speaks PIV to a token by single commands (NIST SP 800-73-4)."""
