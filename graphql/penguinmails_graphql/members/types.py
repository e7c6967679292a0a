"""Who belongs to the organization, and as what."""

from __future__ import annotations

from enum import StrEnum
from typing import Self
from uuid import UUID

import strawberry

from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.members.manage import MemberView
from penguinmails_core.members.places import Place, WorkspacePlace
from penguinmails_core.roles import WorkspaceRole
from penguinmails_graphql.context import Info
from penguinmails_graphql.relay import Node, id_of
from penguinmails_graphql.scalars import DateTime
from penguinmails_graphql.workspaces.loaders import workspace_of
from penguinmails_graphql.workspaces.types import Workspace

strawberry.enum(WorkspaceRole)


@strawberry.enum(description="Built-in roles, from most to least, and `CUSTOM` for one of the organization's own.")
class MemberRole(StrEnum):
    OWNER = "owner"
    ADMIN = "admin"
    DEVELOPER = "developer"
    MEMBER = "member"
    VIEWER = "viewer"
    BILLING = "billing"
    CUSTOM = "custom"


@strawberry.type(description="One workspace of a limited member, and the role there.")
class MemberWorkspace:
    workspace_id: strawberry.ID
    role: WorkspaceRole
    uuid: strawberry.Private[UUID]

    @strawberry.field(description="Needs `workspaces:read`; null when the caller may not see it.")
    async def workspace(self, info: Info) -> Workspace | None:
        return await workspace_of(info, self.uuid)

    @classmethod
    def of(cls, item: WorkspacePlace) -> Self:
        return cls(
            workspace_id=strawberry.ID(ids.encode(Prefix.WORKSPACE, item.workspace_id)),
            role=WorkspaceRole(item.role),
            uuid=item.workspace_id,
        )


def workspaces_of(place: Place) -> list[MemberWorkspace] | None:
    return None if place.workspaces is None else [MemberWorkspace.of(item) for item in place.workspaces]


@strawberry.type(description="A person's place in the organization.")
class Member(Node):
    user_id: strawberry.ID = strawberry.field(description="The same in all organizations.")
    email: str
    name: str | None
    role: MemberRole
    custom_role_id: strawberry.ID | None
    custom_role_name: str | None
    workspaces: list[MemberWorkspace] | None = strawberry.field(
        description="What a limited member sees, nothing when it is empty; null for all workspaces."
    )
    created_at: DateTime = strawberry.field(description="Since when they are a member.")
    updated_at: DateTime

    @classmethod
    def of(cls, view: MemberView) -> Self:
        row = view.row
        return cls(
            id=strawberry.ID(ids.encode(Prefix.MEMBER, row.id)),
            user_id=strawberry.ID(ids.encode(Prefix.USER, row.user_id)),
            email=view.email,
            name=view.name,
            role=MemberRole(row.role),
            custom_role_id=id_of(Prefix.ROLE, row.custom_role_id),
            custom_role_name=view.role_name,
            workspaces=workspaces_of(view.place),
            created_at=DateTime(row.created_at),
            updated_at=DateTime(row.updated_at),
        )


@strawberry.type
class MemberPayload:
    member: Member
