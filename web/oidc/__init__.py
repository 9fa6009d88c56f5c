"""The log-in with the bank: OpenID Connect, authorization code with PKCE."""
