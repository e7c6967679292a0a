"""From a browser session to the principal of the API: the person, in the organization they chose, with their role."""

from __future__ import annotations

from penguinmails_core.identity import repository
from penguinmails_core.identity.sessions import Session
from penguinmails_core.kit.db import Database
from penguinmails_core.principal import Principal, PrincipalKind
from penguinmails_core.roles import OrganizationRole, scopes_of


async def principal_for_session(database: Database, session: Session) -> Principal | None:
    """None without an organization or a place in it. Read anew each time: a role that changed counts at once."""
    if session.organization_id is None:
        return None
    row = await repository.membership(database.worker, session.organization_id, session.user_id)
    if row is None:
        return None
    return Principal(
        id=session.user_id,
        organization_id=session.organization_id,
        workspace_id=None,
        default_workspace_id=row["default_workspace_id"],
        mode="live",
        scopes=scopes_of(OrganizationRole(row["role"])),
        kind=PrincipalKind.SESSION,
        user_id=session.user_id,
    )
