"""Roles as one matrix in data: what a member of an organization, or of one workspace of it, may do.

A role is a set of scopes, the same ones that keys and tokens carry, so a person never gets more through the dashboard
than through the API. Custom roles are sets of scopes of an organization's own.
"""

from __future__ import annotations

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


class WorkspaceRole(StrEnum):
    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"


_READ = frozenset(scope for scope in ALL_SCOPES if scope.endswith(":read"))
_PRIVILEGED_READ = frozenset((Scope.AUDIT_LOGS_READ, Scope.LOGS_READ, Scope.API_KEYS_READ, Scope.OAUTH_APPS_READ))
_WORK = frozenset((Scope.EMAILS_WRITE, Scope.SUPPRESSIONS_WRITE))
_BUILD = frozenset((Scope.API_KEYS_WRITE, Scope.OAUTH_APPS_WRITE, Scope.WEBHOOK_ENDPOINTS_WRITE, Scope.DOMAINS_WRITE))

ORGANIZATION_ROLES: dict[OrganizationRole, frozenset[Scope]] = {
    OrganizationRole.OWNER: frozenset(ALL_SCOPES),
    OrganizationRole.ADMIN: frozenset(ALL_SCOPES),
    OrganizationRole.DEVELOPER: _READ - {Scope.AUDIT_LOGS_READ} | _WORK | _BUILD,
    OrganizationRole.MEMBER: _READ - _PRIVILEGED_READ | _WORK,
    OrganizationRole.VIEWER: _READ - _PRIVILEGED_READ,
    OrganizationRole.BILLING: frozenset((Scope.ORGANIZATIONS_READ, Scope.MEMBERS_READ, Scope.USAGE_READ)),
}
"""Only an owner may change owners and admins, transfer or delete the organization; these are rules, not scopes."""

_OF_WORKSPACE = frozenset(
    scope
    for scope in ALL_SCOPES
    if scope.partition(":")[0]
    in ("workspaces", "domains", "emails", "events", "suppressions", "webhook_endpoints", "api_keys", "usage")
)

WORKSPACE_ROLES: dict[WorkspaceRole, frozenset[Scope]] = {
    WorkspaceRole.ADMIN: _OF_WORKSPACE | {Scope.MEMBERS_READ, Scope.MEMBERS_WRITE},
    WorkspaceRole.MEMBER: _OF_WORKSPACE & _READ - _PRIVILEGED_READ | _WORK,
    WorkspaceRole.VIEWER: _OF_WORKSPACE & _READ - _PRIVILEGED_READ,
}
"""They hold inside that workspace only, on top of the organization role."""


def scopes_of(role: OrganizationRole) -> frozenset[str]:
    """Expanded: write scopes imply read scopes."""
    return expand(ORGANIZATION_ROLES[role])
