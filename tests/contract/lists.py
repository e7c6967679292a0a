"""The two lists that a person has to agree to: what needs no credentials, and what the specification leaves out."""

from __future__ import annotations

PUBLIC = {
    "operations_landing": "says where to go from here",
    "operations_health": "asked by load balancers",
    "operations_readiness": "asked by load balancers",
    "operations_metrics": "asked by Prometheus; a proxy keeps it off the internet",
    "operations_problem": "the page that a problem's `type` leads to, read in a browser",
    "oauth2_token": "clients authenticate with their own credentials (RFC 6749)",
    "oauth2_revoke": "clients authenticate with their own credentials",
    "oauth2_introspect": "clients authenticate with their own credentials",
    "oauth2_device_authorization": "clients authenticate with their own credentials",
    "oauth2_par": "clients authenticate with their own credentials",
    "oauth2_register": "apps register themselves, a few from each address (RFC 7591)",
    "oauth2_register_get": "takes the registration's own token (RFC 7592)",
    "oauth2_register_update": "takes the registration's own token",
    "oauth2_register_delete": "takes the registration's own token",
    "oauth2_userinfo": "takes an access token, and answers as OpenID Connect wants",
    "oauth2_userinfo_post": "as oauth2_userinfo",
    "oauth2_server_metadata": "how clients find the OAuth server",
    "oauth2_openid_metadata": "how clients find the OpenID provider",
    "oauth2_resource_metadata": "how clients find whom to ask for a token",
    "oauth2_resource_part_metadata": "as oauth2_resource_metadata",
    "oauth2_jwks": "public keys",
}
"""operationId -> why anybody may call it."""

KEPT_OUT = {
    "/openapi.json": "the specification itself",
    "/openapi/v2.json": "the specification of version 2",
    "/asyncapi.json": "the specification of events",
    "/docs": "pages for people",
    "/docs.md": "pages for people",
    "/docs/*": "pages for people",
    "/llms.txt": "tells language models what there is to read",
    "/problems": "pages for people",
    "/problems.md": "pages for people",
    "/login*": "pages for people, and what their script calls",
    "/signup": "pages for people",
    "/verify-email": "pages for people",
    "/invitation*": "pages for people",
    "/reset-password*": "pages for people",
    "/scim*": "SCIM 2.0 describes itself: /scim/v2/Schemas, /ResourceTypes, /ServiceProviderConfig (RFC 7643)",
    "/sso*": "pages for people, and where identity providers send them back to",
    "/logout": "the button of those pages",
    "/account*": "pages for people",
    "/oauth2/authorize": "seen by people in a browser (docs/oauth.md)",
    "/oauth2/consent": "pages for people",
    "/device": "pages for people",
    "/inbound/*": "called by others in their own protocols (docs/inbound.md)",
    "/portal/*": "pages for people (docs/webhook-portal.md)",
    "/static/*": "style and script of the pages",
    "/u/*": "a page behind a link in mail, and what mail programs POST to (RFC 8058)",
    "/p/*": "a page behind a link in mail",
    "/t/*": "a link in mail: leads on",
    "/o/*": "an image in mail",
}
"""path (or a prefix and `*`) -> why the specification does not hold it."""


def kept_out(path: str) -> bool:
    """Whether the specification leaves this path out on purpose."""
    return any(path == place or (place.endswith("*") and path.startswith(place[:-1])) for place in KEPT_OUT)
