"""What a person may do in an organization at this moment: no token ever gets beyond it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from penguinmails_core.errors import NotAMember
from penguinmails_core.kit.db import Database
from penguinmails_core.members.service import principal_for


@dataclass(frozen=True, slots=True)
class Rights:
    """`scopes` are expanded. `workspace_id` is set when only one workspace is seen: because the grant is for that one,
    or because the person sees no other."""

    scopes: frozenset[str]
    workspace_id: UUID | None
    default_workspace_id: UUID


async def rights_of(
    database: Database, user_id: UUID, organization_id: UUID, workspace_id: UUID | None
) -> Rights | None:
    """`workspace_id`: the workspace that a grant is for. None for those who are not members any more, or do not see
    that workspace any more."""
    async with database.tenant(organization_id) as session:
        try:
            principal = await principal_for(session, user_id, organization_id, workspace_id=workspace_id)
        except NotAMember:
            return None
    if workspace_id is not None and principal.target_workspace_id != workspace_id:
        return None
    return Rights(principal.scopes, principal.workspace_id or workspace_id, principal.target_workspace_id)
