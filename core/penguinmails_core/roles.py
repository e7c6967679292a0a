"""Roles as one matrix in data: what a member of an organization, or of one workspace of it, may do.

A role is a set of scopes, the same ones that keys and tokens carry, so a person never gets more through the dashboard
than through the API. Custom roles are sets of scopes of an organization's own. docs/roles.md is generated from here.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from penguinmails_core.scopes import ALL_SCOPES, Scope, expand


class OrganizationRole(StrEnum):
    """Ordered from most to least."""

    OWNER = "owner"
    ADMIN = "admin"
    DEVELOPER = "developer"
    MEMBER = "member"
    VIEWER = "viewer"
    BILLING = "billing"


CUSTOM = "custom"  # what `members.role` says of a member with a role of the organization's own


class WorkspaceRole(StrEnum):
    """Of a member who is limited to certain workspaces, in one of them. Ordered from most to least."""

    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"


_READ = frozenset(scope for scope in ALL_SCOPES if scope.endswith(":read"))
_PRIVILEGED_READ = frozenset(
    (Scope.AUDIT_LOGS_READ, Scope.LOGS_READ, Scope.API_KEYS_READ, Scope.OAUTH_APPS_READ, Scope.INBOUND_READ)
)
_WORK = frozenset((Scope.EMAILS_WRITE, Scope.TEMPLATES_WRITE, Scope.SUPPRESSIONS_WRITE))
_BUILD = frozenset(
    (
        Scope.API_KEYS_WRITE,
        Scope.OAUTH_APPS_WRITE,
        Scope.WEBHOOK_ENDPOINTS_WRITE,
        Scope.DOMAINS_WRITE,
        Scope.MAILBOXES_WRITE,
        Scope.INBOUND_WRITE,
        Scope.LANES_WRITE,
    )
)

ORGANIZATION_ROLES: dict[OrganizationRole, frozenset[Scope]] = {
    OrganizationRole.OWNER: frozenset(ALL_SCOPES),
    OrganizationRole.ADMIN: frozenset(ALL_SCOPES),
    OrganizationRole.DEVELOPER: _READ - {Scope.AUDIT_LOGS_READ} | _WORK | _BUILD,
    OrganizationRole.MEMBER: _READ - _PRIVILEGED_READ | _WORK,
    OrganizationRole.VIEWER: _READ - _PRIVILEGED_READ,
    OrganizationRole.BILLING: frozenset((Scope.ORGANIZATIONS_READ, Scope.MEMBERS_READ, Scope.USAGE_READ)),
}
"""Only an owner may change owners and admins, or hand the organization over: these are rules (`members/rules.py`), not
scopes."""

DESCRIPTIONS: dict[OrganizationRole, str] = {
    OrganizationRole.OWNER: "Everything, and the only ones who change owners and admins and hand over the organization",
    OrganizationRole.ADMIN: "Everything but owners and admins",
    OrganizationRole.DEVELOPER: "Keys, apps, webhooks in and out, domains, mailboxes; sends and reads",
    OrganizationRole.MEMBER: "Sends and reads mail, writes templates, manages suppressions",
    OrganizationRole.VIEWER: "Reads mail and its history",
    OrganizationRole.BILLING: "Reads usage and who is a member; no mail",
}

_OF_WORKSPACE = frozenset(
    scope
    for scope in ALL_SCOPES
    if scope.partition(":")[0]
    in (
        "workspaces",
        "domains",
        "mailboxes",
        "emails",
        "templates",
        "events",
        "suppressions",
        "webhook_endpoints",
        "inbound",
        "api_keys",
        "usage",
    )
)
_SEES_WORKSPACE = _OF_WORKSPACE & _READ - _PRIVILEGED_READ | {Scope.ORGANIZATIONS_READ}

WORKSPACE_ROLES: dict[WorkspaceRole, frozenset[Scope]] = {
    WorkspaceRole.ADMIN: _OF_WORKSPACE | {Scope.ORGANIZATIONS_READ, Scope.MEMBERS_READ, Scope.MEMBERS_WRITE},
    WorkspaceRole.MEMBER: _SEES_WORKSPACE | _WORK,
    WorkspaceRole.VIEWER: _SEES_WORKSPACE,
}
"""All that a limited member may do, and inside that workspace only."""


def scopes_of(role: str, custom: Collection[str] = ()) -> frozenset[str]:
    """Of a role of the organization, expanded: write scopes imply read scopes. `custom` are the scopes of a custom
    role; built-in ones have their own."""
    return expand(custom if role == CUSTOM else ORGANIZATION_ROLES[OrganizationRole(role)])


def scopes_in_workspace(role: str) -> frozenset[str]:
    """Of a limited member's role in one workspace, expanded."""
    return expand(WORKSPACE_ROLES[WorkspaceRole(role)])


# Rules that scopes cannot say, by operation. The services hold them; docs/roles.md shows them, and a test tries each.
OWNERS_ONLY = frozenset(("organizations_transfer", "oauth_apps_approve", "oauth_apps_unapprove"))
FOR_ALL_WORKSPACES = frozenset(
    (
        "workspaces_create",
        "workspaces_archive",
        "workspaces_restore",
        "workspaces_delete",
        "roles_create",
        "roles_get",
        "roles_update",
        "roles_delete",
    )
)
"""What a limited member has no part in, whatever the role in the workspace."""


def may(role: OrganizationRole | WorkspaceRole, operation_id: str, required: Collection[str]) -> bool:
    """Whether a member with that role may call an operation that needs these scopes."""
    if isinstance(role, WorkspaceRole):
        if operation_id in FOR_ALL_WORKSPACES | OWNERS_ONLY:
            return False
        return scopes_in_workspace(role).issuperset(required)
    if operation_id in OWNERS_ONLY and role is not OrganizationRole.OWNER:
        return False
    return scopes_of(role).issuperset(required)
