"""Named bundles of scopes, so that nobody has to know the fine ones to make a sensible key."""

from __future__ import annotations

from dataclasses import dataclass

from penguinmails_core.scopes import ALL_SCOPES, Scope


@dataclass(frozen=True, slots=True)
class Preset:
    """`missing`: resources that belong to the bundle and that the API does not have yet. A bundle without scopes cannot
    make a key."""

    name: str
    description: str
    scopes: tuple[Scope, ...]
    missing: tuple[str, ...] = ()


_READ = tuple(scope for scope in ALL_SCOPES if scope.endswith(":read"))

PRESETS: tuple[Preset, ...] = (
    Preset("send_email", "Send emails and see what became of them", (Scope.EMAILS_WRITE,)),
    Preset(
        "read_analytics",
        "Read emails, events and usage",
        (Scope.EMAILS_READ, Scope.EVENTS_READ, Scope.USAGE_READ),
        ("analytics",),
    ),
    Preset("manage_contacts", "Manage whom not to mail", (Scope.SUPPRESSIONS_WRITE,), ("contacts", "lists")),
    Preset("manage_campaigns", "Manage campaigns", (), ("campaigns",)),
    Preset("manage_templates", "Manage templates", (), ("templates",)),
    Preset("manage_domains", "Add, verify and delete sending domains", (Scope.DOMAINS_WRITE,)),
    Preset("read_inbox", "Read replies", (), ("inbox",)),
    Preset(
        "manage_webhooks",
        "Manage webhook endpoints and read the events they get",
        (Scope.EVENTS_READ, Scope.WEBHOOK_ENDPOINTS_WRITE),
    ),
    Preset("read_only", "Read everything, change nothing", _READ),
    Preset("full_access", "Everything, other keys included", ALL_SCOPES),
    Preset(
        "email_sending",
        "Send emails; read domains, events and suppressions",
        (Scope.DOMAINS_READ, Scope.EMAILS_WRITE, Scope.EVENTS_READ, Scope.SUPPRESSIONS_READ),
    ),
)

BY_NAME = {preset.name: preset for preset in PRESETS}
