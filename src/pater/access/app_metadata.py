"""What the server tells apps of itself: the part of SMART App Launch, and OpenID Connect."""

from __future__ import annotations

from typing import Any

from pater.access.smart import ALGORITHMS

_ASKING = ("client_secret_basic", "private_key_jwt", "none")
_SCOPES = (
    "openid",
    "fhirUser",
    "profile",
    "launch",
    "launch/patient",
    "offline_access",
    "online_access",
    "patient/*.rs",
    "user/*.rs",
    "patient/Observation.rs?category=laboratory",
)
_CAPABILITIES = (
    "launch-ehr",
    "launch-standalone",
    "authorize-post",
    "client-public",
    "client-confidential-symmetric",
    "sso-openid-connect",
    "context-banner",
    "context-ehr-patient",
    "context-standalone-patient",
    "permission-offline",
    "permission-online",
    "permission-patient",
    "permission-user",
)


def _endpoints(base_url: str) -> dict[str, Any]:
    return {
        "issuer": base_url,
        "authorization_endpoint": base_url + "/oauth/authorize",
        "introspection_endpoint": base_url + "/oauth/introspect",
        "userinfo_endpoint": base_url + "/oauth/userinfo",
        "revocation_endpoint": base_url + "/oauth/revoke",
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
    }


def addresses(base_url: str) -> dict[str, str]:
    """The endpoints by the names that a CapabilityStatement gives them (SMART, oauth-uris)."""
    return {
        "authorize": base_url + "/oauth/authorize",
        "introspect": base_url + "/oauth/introspect",
        "revoke": base_url + "/oauth/revoke",
        "manage": base_url + "/apps",
    }


def configuration(base_url: str, systems: dict[str, Any]) -> dict[str, Any]:
    """The SMART configuration of systems widened by what apps need (SMART 2.2, section 2.1.6)."""
    methods = [*systems["token_endpoint_auth_methods_supported"]]
    return {
        **systems,
        **_endpoints(base_url),
        "management_endpoint": base_url + "/apps",
        "grant_types_supported": [
            *systems["grant_types_supported"], "authorization_code", "refresh_token",
        ],
        "token_endpoint_auth_methods_supported": [
            *methods, *(each for each in _ASKING if each not in methods),
        ],
        "scopes_supported": [*_SCOPES, *systems["scopes_supported"]],
        "capabilities": [*systems["capabilities"], *_CAPABILITIES],
    }  # fmt: skip


def openid(base_url: str) -> dict[str, Any]:
    """The document of OpenID Connect Discovery 1.0 and of RFC 8414."""
    return {
        **_endpoints(base_url),
        "token_endpoint": base_url + "/oauth/token",
        "jwks_uri": base_url + "/.well-known/jwks.json",
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "response_modes_supported": ["query"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": list(_ASKING),
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "introspection_endpoint_auth_methods_supported": list(_ASKING),
        "revocation_endpoint_auth_methods_supported": list(_ASKING),
        "scopes_supported": list(_SCOPES),
        "claims_supported": [
            "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "fhirUser", "name",
        ],
        "prompt_values_supported": ["login", "consent"],
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "claims_parameter_supported": False,
    }  # fmt: skip
