"""From a browser session to the principal of the API: the person, in the organization they chose, with their role."""

from __future__ import annotations

from penguinmails_core.errors import NotAMember
from penguinmails_core.identity.sessions import Session
from penguinmails_core.kit.db import Database
from penguinmails_core.members.service import principal_for
from penguinmails_core.principal import Principal


async def principal_for_session(database: Database, session: Session) -> Principal | None:
    """None without an organization or a place in it. Read anew each time: a role that changed counts at once."""
    if session.organization_id is None:
        return None
    async with database.tenant(session.organization_id) as transaction:
        try:
            return await principal_for(
                transaction, session.user_id, session.organization_id, workspace_id=session.workspace_id
            )
        except NotAMember:
            return None
