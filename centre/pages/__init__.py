"""The pages of the certificate centre."""
