"""What the document says of the whole: its introduction and its tags."""

from __future__ import annotations

DESCRIPTION = """\
Send email and know what became of it.

Authenticate with `Authorization: Bearer pm_live_...`, or `pm_test_...` for test data, which never leaves the server.
Apps send an OAuth2 access token in the same place, and browsers that are signed in here their session cookie.
Every answer carries `Request-Id`; quote it when you ask us something. Errors are `application/problem+json` (RFC 9457).
Every POST takes an `Idempotency-Key`: the same key with the same request gives the same answer and does the work once
(24 hours). Lists are read with `limit`, `after` and `before`.
"""

TAGS = (
    ("me", "Who a key belongs to."),
    ("organizations", "The tenant, its settings and its owner."),
    ("workspaces", "Clients, brands or teams inside the organization."),
    ("members", "Who belongs to the organization, and as what."),
    ("invitations", "Ask people to join."),
    ("roles", "What members may do: built-in roles and custom ones."),
    ("emails", "Send messages and follow them."),
    ("templates", "What messages say: written once, versioned, filled in for each person."),
    ("content_checks", "What is wrong with a message before anybody gets it."),
    ("events", "Everything that happened, in order, to read at your own pace."),
    ("event_types", "The event catalogue: what can happen, with schemas and examples."),
    ("domains", "Where mail is sent from, and what their DNS must say."),
    ("mailboxes", "People's own mailboxes: mail goes out from them, and replies come back to them."),
    ("lanes", "How mail leaves to each provider: limits, pauses, and what was done and why."),
    ("suppressions", "Who is not mailed, and why."),
    ("topics", "What people can choose on the preference page."),
    ("webhook_endpoints", "Where events are pushed to."),
    ("inbound", "Webhooks of others: where they come in, how they are proven, what came."),
    ("webhook_portal", "Pages where your customers manage their own webhook endpoints."),
    ("webhook_deliveries", "What was sent, to all endpoints, and every attempt of it."),
    ("webhook_replays", "What an endpoint has missed, sent once more."),
    ("webhook_sources", "Where webhooks come from, for firewalls."),
    ("api_keys", "Credentials: make, limit, rotate, derive and revoke them."),
    ("usage", "What was used, what is left, and when it runs out."),
    ("sso_connections", "Single sign-on by OIDC and SAML, proven domains, and SCIM tokens."),
    ("graphql", "The same resources as a graph."),
    ("audit_logs", "Who changed what, when and from where; tampering shows."),
    ("logs", "The requests that were made to this API."),
    ("oauth_apps", "Clients of the OAuth server: register, approve, rotate secrets."),
    ("oauth_grants", "What people and the organization granted to apps."),
    ("oauth2", "The OAuth2 and OpenID server. Libraries call it; its errors are those of RFC 6749."),
    ("webhooks", "What webhook endpoints receive."),
    ("operations", "For those who run the server."),
)
