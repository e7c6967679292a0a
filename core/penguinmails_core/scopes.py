"""What a key or token may do: ``resource:read`` and ``resource:write``.

The same names stand in the specification, in tokens, in GraphQL and in the SDK docs. A write scope implies the read
scope of its resource.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Scope(StrEnum):
    ORGANIZATIONS_READ = "organizations:read"
    ORGANIZATIONS_WRITE = "organizations:write"
    WORKSPACES_READ = "workspaces:read"
    WORKSPACES_WRITE = "workspaces:write"
    MEMBERS_READ = "members:read"
    MEMBERS_WRITE = "members:write"
    API_KEYS_READ = "api_keys:read"
    API_KEYS_WRITE = "api_keys:write"
    OAUTH_APPS_READ = "oauth_apps:read"
    OAUTH_APPS_WRITE = "oauth_apps:write"
    DOMAINS_READ = "domains:read"
    DOMAINS_WRITE = "domains:write"
    MAILBOXES_READ = "mailboxes:read"
    MAILBOXES_WRITE = "mailboxes:write"
    EMAILS_READ = "emails:read"
    EMAILS_WRITE = "emails:write"
    TEMPLATES_READ = "templates:read"
    TEMPLATES_WRITE = "templates:write"
    EVENTS_READ = "events:read"
    LANES_READ = "lanes:read"
    LANES_WRITE = "lanes:write"
    SUPPRESSIONS_READ = "suppressions:read"
    SUPPRESSIONS_WRITE = "suppressions:write"
    WEBHOOK_ENDPOINTS_READ = "webhook_endpoints:read"
    WEBHOOK_ENDPOINTS_WRITE = "webhook_endpoints:write"
    INBOUND_READ = "inbound:read"
    INBOUND_WRITE = "inbound:write"
    USAGE_READ = "usage:read"
    AUDIT_LOGS_READ = "audit_logs:read"
    LOGS_READ = "logs:read"


ALL_SCOPES: tuple[Scope, ...] = tuple(Scope)

DESCRIPTIONS: dict[Scope, str] = {
    Scope.ORGANIZATIONS_READ: "Read the organization and its settings",
    Scope.ORGANIZATIONS_WRITE: "Change the organization and its settings",
    Scope.WORKSPACES_READ: "Read workspaces",
    Scope.WORKSPACES_WRITE: "Create, change and delete workspaces",
    Scope.MEMBERS_READ: "Read members, invitations and roles",
    Scope.MEMBERS_WRITE: "Invite, change and remove members, and define roles",
    Scope.API_KEYS_READ: "Read API keys (never their secrets)",
    Scope.API_KEYS_WRITE: "Create, change, rotate and revoke API keys",
    Scope.OAUTH_APPS_READ: "Read OAuth apps and what was granted to them",
    Scope.OAUTH_APPS_WRITE: "Register and change OAuth apps, revoke grants",
    Scope.DOMAINS_READ: "Read sending domains",
    Scope.DOMAINS_WRITE: "Add, verify and delete sending domains",
    Scope.MAILBOXES_READ: "Read mailboxes (never their passwords)",
    Scope.MAILBOXES_WRITE: "Connect, change, pause and delete mailboxes",
    Scope.EMAILS_READ: "Read emails, their recipients, content and history",
    Scope.EMAILS_WRITE: "Send, reschedule, cancel and retry emails",
    Scope.TEMPLATES_READ: "Read templates, their versions and previews",
    Scope.TEMPLATES_WRITE: "Create, change, publish and delete templates",
    Scope.EVENTS_READ: "Read the event log",
    Scope.LANES_READ: "Read sending lanes and what they did",
    Scope.LANES_WRITE: "Pause and resume one's own mail in a lane",
    Scope.SUPPRESSIONS_READ: "Read who is not mailed, and why",
    Scope.SUPPRESSIONS_WRITE: "Suppress addresses and lift suppressions",
    Scope.WEBHOOK_ENDPOINTS_READ: "Read webhook endpoints and their deliveries",
    Scope.WEBHOOK_ENDPOINTS_WRITE: "Create, change and delete webhook endpoints",
    Scope.INBOUND_READ: "Read inbound sources and the messages that came in",
    Scope.INBOUND_WRITE: "Create, change and delete inbound sources, replay messages",
    Scope.USAGE_READ: "Read usage, limits and quotas",
    Scope.AUDIT_LOGS_READ: "Read and export the audit log",
    Scope.LOGS_READ: "Read the log of API requests",
}


def expand(granted: Iterable[str]) -> frozenset[str]:
    """The granted scopes plus the read scopes that their write scopes imply."""
    scopes = set(granted)
    scopes |= {scope[: -len("write")] + "read" for scope in granted if scope.endswith(":write")}
    return frozenset(scopes)
