"""Workspaces as the API shows them."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field

from penguinmails_api.v1.common import Page, RequestBody, Resource, Timestamp, from_path, typeid
from penguinmails_api.v1.paging import PageQuery, next_cursor
from penguinmails_core import models
from penguinmails_core.kit import ids
from penguinmails_core.kit.ids import Prefix
from penguinmails_core.workspaces.service import MAX_NAME, MAX_SLUG

WorkspaceIdInPath = Annotated[UUID, from_path(Prefix.WORKSPACE, "workspace"), typeid(Prefix.WORKSPACE)]

Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME, examples=["Northwind"])]
Slug = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_SLUG,
        pattern="^[a-z0-9]+(-[a-z0-9]+)*$",
        description="Names it in addresses, once in the organization.",
        examples=["northwind"],
    ),
]
Timezone = Annotated[
    str | None,
    Field(
        max_length=64,
        description="A name of the IANA time zone database; null for the organization's.",
        examples=["Europe/Vienna"],
    ),
]


class WorkspaceStatus(StrEnum):
    """`archived`: kept to be read, nothing new is made in it."""

    ACTIVE = "active"
    ARCHIVED = "archived"


def unset() -> Any:
    """Of a field that may be left out and may not be null. Never read: see `given`."""


class WorkspaceCreate(RequestBody):
    name: Name
    slug: Slug | None = Field(None, description="Made from the name unless given.", examples=["northwind"])
    timezone: Timezone = None


class WorkspaceUpdate(RequestBody):
    """Only what is given is changed."""

    name: Name = Field(default_factory=unset)
    slug: Slug = Field(default_factory=unset)
    timezone: Timezone = Field(default_factory=unset)

    def given(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.model_fields_set}


class WorkspaceListQuery(PageQuery):
    status: WorkspaceStatus | None = Field(None, description="In this status; both unless given.")

    @property
    def archived(self) -> bool | None:
        return None if self.status is None else self.status is WorkspaceStatus.ARCHIVED


class Workspace(Resource):
    """A client, brand or team inside the organization: it owns domains, mail, keys and webhook endpoints."""

    id: Annotated[str, typeid(Prefix.WORKSPACE)]
    name: str = Field(examples=["Northwind"])
    slug: str = Field(examples=["northwind"])
    status: WorkspaceStatus
    is_default: bool = Field(description="Where things go that name no workspace. It stays.")
    timezone: str | None = Field(description="Null for the organization's.", examples=["Europe/Vienna"])
    archived_at: Timestamp | None
    created_at: Timestamp
    updated_at: Timestamp

    @classmethod
    def of(cls, row: models.Workspace) -> Self:
        return cls(
            id=ids.encode(Prefix.WORKSPACE, row.id),
            name=row.name,
            slug=row.slug,
            status=WorkspaceStatus.ARCHIVED if row.archived_at else WorkspaceStatus.ACTIVE,
            is_default=row.is_default,
            timezone=row.timezone,
            archived_at=row.archived_at,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class WorkspaceList(Page[Workspace]):
    """Workspaces, the newest first."""

    @classmethod
    def of(cls, rows: Sequence[models.Workspace], has_more: bool, *, backwards: bool) -> Self:
        return cls(
            data=[Workspace.of(row) for row in rows],
            has_more=has_more,
            next_cursor=next_cursor([row.id for row in rows], has_more, backwards=backwards),
        )
