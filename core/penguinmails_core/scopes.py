"""What a key or token may do: ``resource:read`` and ``resource:write``.

The same names stand in the specification, in tokens, in GraphQL and in the SDK docs. A write scope implies the read
scope of its resource.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Scope(StrEnum):
    EMAILS_READ = "emails:read"
    EMAILS_WRITE = "emails:write"
    EVENTS_READ = "events:read"
    WEBHOOK_ENDPOINTS_READ = "webhook_endpoints:read"
    WEBHOOK_ENDPOINTS_WRITE = "webhook_endpoints:write"


ALL_SCOPES: tuple[Scope, ...] = tuple(Scope)

DESCRIPTIONS: dict[Scope, str] = {
    Scope.EMAILS_READ: "Read emails, their recipients, content and history",
    Scope.EMAILS_WRITE: "Send, reschedule, cancel and retry emails",
    Scope.EVENTS_READ: "Read the event log",
    Scope.WEBHOOK_ENDPOINTS_READ: "Read webhook endpoints and their deliveries",
    Scope.WEBHOOK_ENDPOINTS_WRITE: "Create, change and delete webhook endpoints",
}


def expand(granted: Iterable[str]) -> frozenset[str]:
    """The granted scopes plus the read scopes that their write scopes imply."""
    scopes = set(granted)
    scopes |= {scope[: -len("write")] + "read" for scope in granted if scope.endswith(":write")}
    return frozenset(scopes)
