"""Logins by providers of others (OpenID Connect): whom we trust, what they say, whom it means."""
