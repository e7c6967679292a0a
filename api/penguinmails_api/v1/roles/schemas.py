"""Roles as the API shows them."""

from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field

from penguinmails_api.v1.common import RequestBody, Resource, Timestamp, from_path, typeid
from penguinmails_api.v1.members.schemas import MemberRole
from penguinmails_core import models
from penguinmails_core.custom_roles.service import MAX_DESCRIPTION, MAX_NAME
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.roles import DESCRIPTIONS, OrganizationRole, scopes_of
from penguinmails_core.scopes import Scope, expand

RoleIdInPath = Annotated[UUID, from_path(Prefix.ROLE, "custom role"), typeid(Prefix.ROLE)]

Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME, examples=["Copywriter"])]
Description = Annotated[str | None, Field(max_length=MAX_DESCRIPTION, examples=["Writes and reads mail"])]
Scopes = Annotated[
    list[Scope],
    Field(
        min_length=1,
        max_length=100,
        description="What the role may do; write scopes imply read scopes. Nobody gives a role more than they have.",
        examples=[["emails:write"]],
    ),
]


def unset() -> Any:
    """Of a field that may be left out. Never read: see `given`."""


class RoleCreate(RequestBody):
    name: Name
    scopes: Scopes
    description: Description = None


class RoleUpdate(RequestBody):
    """Only what is given is changed. Members with the role feel it at once."""

    name: Name = Field(default_factory=unset)
    scopes: Scopes = Field(default_factory=unset)
    description: Description = Field(default_factory=unset)

    def given(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.model_fields_set}


class RoleKind(StrEnum):
    BUILT_IN = "built_in"
    CUSTOM = "custom"


class Role(Resource):
    """What members with it may do."""

    id: Annotated[str, typeid(Prefix.ROLE)] | None = Field(
        description="Send it as `custom_role_id`; null for built-in roles, which are sent as `role`."
    )
    kind: RoleKind
    role: MemberRole = Field(description="What `role` of a member says.")
    name: str = Field(examples=["Copywriter"])
    description: str | None = Field(examples=["Writes and reads mail"])
    scopes: list[Scope]
    created_at: Timestamp | None = Field(description="Null for built-in roles.")
    updated_at: Timestamp | None = Field(description="Null for built-in roles.")

    @classmethod
    def of(cls, row: models.Role) -> Self:
        granted = expand(row.scopes)
        return cls(
            id=ids.encode(Prefix.ROLE, row.id),
            kind=RoleKind.CUSTOM,
            role=MemberRole.CUSTOM,
            name=row.name,
            description=row.description,
            scopes=[scope for scope in Scope if scope in granted],
            created_at=row.created_at,
            updated_at=row.updated_at,
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
            scopes=[scope for scope in Scope if scope in granted],
            created_at=None,
            updated_at=None,
        )


class Roles(Resource):
    """Built-in roles from most to least, then custom ones by name: all of them, an organization has at most 50."""

    data: list[Role]
