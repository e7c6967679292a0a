"""What members may do: built-in roles, and custom ones."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

import strawberry

from penguinmails_core import models
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.roles import DESCRIPTIONS, OrganizationRole, scopes_of
from penguinmails_core.scopes import Scope, expand
from penguinmails_graphql.members.types import MemberRole
from penguinmails_graphql.scalars import DateTime


@strawberry.enum
class RoleKind(StrEnum):
    BUILT_IN = "built_in"
    CUSTOM = "custom"


@strawberry.type(description="What members with it may do.")
class Role:
    id: strawberry.ID | None = strawberry.field(
        description="Send it as `customRoleId`; null for built-in roles, which are sent as `role`."
    )
    kind: RoleKind
    role: MemberRole = strawberry.field(description="What `role` of a member says.")
    name: str
    description: str | None
    scopes: list[str]
    created_at: DateTime | None = strawberry.field(description="Null for built-in roles.")
    updated_at: DateTime | None

    @classmethod
    def of(cls, row: models.Role) -> Self:
        granted = expand(row.scopes)
        return cls(
            id=strawberry.ID(ids.encode(Prefix.ROLE, row.id)),
            kind=RoleKind.CUSTOM,
            role=MemberRole.CUSTOM,
            name=row.name,
            description=row.description,
            scopes=[str(scope) for scope in Scope if scope in granted],
            created_at=DateTime(row.created_at),
            updated_at=DateTime(row.updated_at),
        )

    @classmethod
    def built_in(cls, role: OrganizationRole) -> Self:
        granted = scopes_of(role)
        return cls(
            id=None,
            kind=RoleKind.BUILT_IN,
            role=MemberRole(role),
            name=role.value.capitalize(),
            description=DESCRIPTIONS[role],
            scopes=[str(scope) for scope in Scope if scope in granted],
            created_at=None,
            updated_at=None,
        )
