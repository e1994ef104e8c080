"""Logins and tokens of an issuer of OpenID Connect."""

BEGIN = "/v1/session/oidc"
"""Sends a browser to the issuer."""
CALLBACK = "/v1/session/oidc/callback"
"""Where the issuer sends it back to."""
